import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, default_collate
from mmengine.registry import DATASETS
from torch.utils.data import DataLoader

from mmcp.datasets import CopyPastePairDataset, UnlabeledImageDataset
from mmcp.datasets.sample_index import SampleIndex
from mmcp.datasets.samplers import EpochSampler, InfiniteSampler
from mmcp.functional.views import ViewParams, augment_view

# Views that leave flat images as they are.
PLAIN = dict(jitter_prob=0, gray_prob=0, blur_prob=0)
COUNT = 8


def colour_of(number):
    """RGB of the flat image of this number."""
    return 10 + 20 * number, 200 - 10 * number, 90


def write_flat(folder, count=COUNT, size=(40, 60)):
    """Flat images: a pixel tells which one it comes from."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image = np.full((*size, 3), colour_of(number), np.uint8)
        cv2.imwrite(str(folder / f'{number}.png'), image[..., ::-1])
    return str(folder)


def write_photos(folder, count=COUNT):
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image = rng.integers(0, 256, (9, 12, 3), np.uint8)
        image = cv2.resize(image, (180 + 9 * number, 150))
        cv2.imwrite(str(folder / f'{number}.jpg'), image)
    return str(folder)


@pytest.fixture
def flat(tmp_path):
    return UnlabeledImageDataset(write_flat(tmp_path / 'flat'))


@pytest.fixture
def photos(tmp_path):
    return UnlabeledImageDataset(write_photos(tmp_path / 'photos'))


def number_at(image, where):
    """Which flat image the pixels come from; fails if from several."""
    colours = image.permute(1, 2, 0)[where].unique(dim=0).tolist()
    (colour,) = colours
    return [list(colour_of(n)) for n in range(COUNT)].index(colour)


def same(first, second):
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        return all(same(first[key], second[key]) for key in first)
    return first.dtype == second.dtype and torch.equal(first, second)


def spec(sample):
    """Keys, shapes and dtypes."""
    if isinstance(sample, dict):
        return {key: spec(value) for key, value in sample.items()}
    return tuple(sample.shape), sample.dtype


IMAGES = {side: ((3, 32, 48), torch.uint8) for side in ('query', 'key')}
MASKS = {side: ((32, 48), torch.bool) for side in ('query', 'key')}
POSITION = ((), torch.int64)
SIDES = ('query', 'key', 'query_background', 'key_background')


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        (dict(), dict(inputs=IMAGES, masks=MASKS)),
        (dict(backgrounds='batch'), dict(inputs=IMAGES, masks=MASKS)),
        (dict(mask=None), dict(inputs=IMAGES)),
        (
            dict(augment='model'),
            dict(
                inputs=IMAGES,
                masks=MASKS,
                backgrounds=IMAGES,
                views={side: ((8,), torch.float32) for side in SIDES},
            ),
        ),
        (
            dict(augment='model', backgrounds='batch'),
            dict(
                inputs=IMAGES,
                masks=MASKS,
                views={side: ((8,), torch.float32) for side in SIDES[:2]},
            ),
        ),
        (
            dict(augment='model', mask=None),
            dict(
                inputs=IMAGES,
                views={side: ((8,), torch.float32) for side in SIDES[:2]},
            ),
        ),
    ],
)
def test_what_samples_hold(photos, options, expected):
    dataset = CopyPastePairDataset(photos, size=(32, 48), **options)
    assert len(dataset) == COUNT
    sample = dataset[SampleIndex(3, 17, 0)]
    assert spec(sample) == {**expected, 'position': POSITION}
    assert sample['position'] == 17
    assert dataset[5]['position'] == 5
    batch = default_collate([dataset[0], dataset[1], dataset[2]])
    assert batch['inputs']['key'].shape == (3, 3, 32, 48)
    assert batch['position'].tolist() == [0, 1, 2]


def test_pixels_come_from_the_right_images(flat):
    dataset = CopyPastePairDataset(flat, size=64, views=PLAIN)
    used = set()
    for position in range(60):
        own = position % COUNT
        sample = dataset[SampleIndex(own, position, 0)]
        grounds = []
        for side in ('query', 'key'):
            mask = sample['masks'][side]
            assert number_at(sample['inputs'][side], mask) == own
            grounds.append(number_at(sample['inputs'][side], ~mask))
        assert own not in grounds
        assert grounds[0] != grounds[1]
        used.update(grounds)
        assert not torch.equal(*sample['masks'].values())
    assert used == set(range(COUNT))


@pytest.mark.parametrize('kind', ['rectangle', 'polygon', 'blocks', 'patches'])
def test_composition_is_exact(photos, kind):
    """Equal to fg * M + bg * (1 - M), from what augment='model' sends."""
    composed, parts = (
        CopyPastePairDataset(photos, size=64, mask=kind, augment=augment)
        for augment in ('worker', 'model')
    )
    for position in range(10):
        index = SampleIndex(position % COUNT, position, 5)
        done, raw = composed[index], parts[index]
        assert same(done['masks'], raw['masks'])
        for side in ('query', 'key'):
            fore = finish(raw['inputs'][side], raw['views'][side])
            back = finish(
                raw['backgrounds'][side], raw['views'][f'{side}_background']
            )
            mask = done['masks'][side].int()
            expected = fore * mask + back * (1 - mask)
            assert torch.equal(done['inputs'][side].int(), expected)


def finish(crop, vector):
    image = np.ascontiguousarray(crop.permute(1, 2, 0).numpy())
    view = augment_view(image, ViewParams.from_vector(vector.numpy()))
    return torch.from_numpy(view).permute(2, 0, 1).int()


def test_batch_backgrounds_leave_whole_views(flat):
    dataset = CopyPastePairDataset(
        flat, size=64, views=PLAIN, backgrounds='batch'
    )
    sample = dataset[2]
    everywhere = torch.ones(64, 64, dtype=torch.bool)
    for side in ('query', 'key'):
        assert number_at(sample['inputs'][side], everywhere) == 2
        assert 0.4 < sample['masks'][side].float().mean() < 0.9


def test_query_and_key_are_different_views(photos):
    dataset = CopyPastePairDataset(photos, size=64, mask=None)
    sample = dataset[0]
    assert not torch.equal(*sample['inputs'].values())


def batches_of(dataset, workers, count=3, **options):
    loader = DataLoader(
        dataset,
        batch_size=4,
        num_workers=workers,
        sampler=InfiniteSampler(dataset, seed=7),
        collate_fn=default_collate,
        **options,
    )
    batches = iter(loader)
    return [next(batches) for _ in range(count)]


def test_any_number_of_workers_gives_the_same(photos):
    dataset = CopyPastePairDataset(photos, size=64)
    alone, together = batches_of(dataset, 0), batches_of(dataset, 2)
    for first, second in zip(alone, together, strict=True):
        assert same(first, second)
    assert not same(alone[0], alone[2])


def test_the_seed_and_the_position_decide(photos):
    dataset = CopyPastePairDataset(photos, size=64)
    first = dataset[SampleIndex(1, 10, 0)]
    np.random.rand(5)  # noqa: NPY002
    assert same(first, dataset[SampleIndex(1, 10, 0)])
    assert not same(first, dataset[SampleIndex(1, 11, 0)])
    assert not same(first['inputs'], dataset[SampleIndex(1, 10, 1)]['inputs'])


def test_plain_indices_follow_the_workers_state(photos):
    dataset = CopyPastePairDataset(photos, size=64)
    np.random.seed(0)  # noqa: NPY002
    first, second = dataset[1], dataset[1]
    np.random.seed(0)  # noqa: NPY002
    assert same(first, dataset[1])
    assert not same(first, second)


def test_global_states_are_left_alone(photos):
    dataset = CopyPastePairDataset(photos, size=64)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    expected = np.random.rand(), torch.rand(1)  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    _ = dataset[SampleIndex(1, 10, 0)]
    assert (np.random.rand(), torch.rand(1)) == expected  # noqa: NPY002


def spoil(folder, numbers):
    for number in numbers:
        (path,) = folder.glob(f'{number}.*')
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 3])


def test_unreadable_images_are_replaced_and_reported(tmp_path):
    folder = tmp_path / 'photos'
    write_photos(folder)
    spoil(folder, (1, 2))
    (folder / '5.jpg').write_bytes(b'')
    images = UnlabeledImageDataset(str(folder))
    dataset = CopyPastePairDataset(images, size=64)
    first = [dataset[SampleIndex(n % 8, n, 0)] for n in range(24)]
    assert set(images.unreadable) == {1, 2, 5}
    again = [dataset[SampleIndex(n % 8, n, 0)] for n in range(24)]
    assert all(same(a, b) for a, b in zip(first, again, strict=True))


def test_a_replacement_is_never_its_own_background(tmp_path):
    folder = tmp_path / 'flat'
    write_flat(folder, 4)
    spoil(folder, (0,))
    dataset = CopyPastePairDataset(
        UnlabeledImageDataset(str(folder)), size=64, views=PLAIN
    )
    for position in range(40):
        sample = dataset[SampleIndex(0, position, 0)]
        for side in ('query', 'key'):
            mask = sample['masks'][side]
            fore = number_at(sample['inputs'][side], mask)
            back = number_at(sample['inputs'][side], ~mask)
            assert 0 not in (fore, back)
            assert fore != back


def test_two_readable_images_are_enough(tmp_path):
    """Both backgrounds are the same one then."""
    folder = tmp_path / 'flat'
    write_flat(folder, 4)
    spoil(folder, (0, 2))
    images = UnlabeledImageDataset(str(folder))
    dataset = CopyPastePairDataset(images, size=64, views=PLAIN)
    for position in range(20):
        sample = dataset[SampleIndex(position % 4, position, 0)]
        shown = [
            number_at(sample['inputs'][side], mask)
            for side in ('query', 'key')
            for mask in (sample['masks'][side], ~sample['masks'][side])
        ]
        assert shown in ([1, 3, 1, 3], [3, 1, 3, 1])


def test_too_few_readable_images_are_an_error(tmp_path):
    folder = tmp_path / 'flat'
    write_flat(folder, 3)
    spoil(folder, (0, 1))
    dataset = CopyPastePairDataset(UnlabeledImageDataset(str(folder)), size=64)
    with pytest.raises(RuntimeError, match='no other of 3 images can be'):
        dataset[0]
    write_photos(tmp_path / 'many', 60)
    spoil(tmp_path / 'many', range(60))
    dataset = CopyPastePairDataset(
        UnlabeledImageDataset(str(tmp_path / 'many')), size=64
    )
    with pytest.raises(RuntimeError, match='50 images in a row'):
        dataset[0]


def test_two_images_are_enough_and_one_is_not(tmp_path):
    write_flat(tmp_path / 'two', 2)
    images = UnlabeledImageDataset(str(tmp_path / 'two'))
    dataset = CopyPastePairDataset(images, size=64, views=PLAIN)
    sample = dataset[0]
    for side in ('query', 'key'):
        mask = ~sample['masks'][side]
        assert number_at(sample['inputs'][side], mask) == 1
    write_flat(tmp_path / 'one', 1)
    one = UnlabeledImageDataset(str(tmp_path / 'one'))
    with pytest.raises(ValueError, match='no other image .* has 1; use more'):
        CopyPastePairDataset(one)
    assert len(CopyPastePairDataset(one, backgrounds='batch')) == 1
    assert len(CopyPastePairDataset(one, mask=None)) == 1


def test_backgrounds_of_another_data_set(tmp_path, photos):
    grounds = UnlabeledImageDataset(write_flat(tmp_path / 'grounds', 3))
    dataset = CopyPastePairDataset(
        photos, size=64, views=PLAIN, background_dataset=grounds
    )
    pairs = set()
    for position in range(40):
        sample = dataset[SampleIndex(0, position, 0)]
        pair = tuple(
            number_at(sample['inputs'][side], ~sample['masks'][side])
            for side in ('query', 'key')
        )
        pairs.add(pair)
    assert pairs == {(a, b) for a in range(3) for b in range(3) if a != b}
    one = UnlabeledImageDataset(write_flat(tmp_path / 'one', 1))
    dataset = CopyPastePairDataset(
        photos, size=64, views=PLAIN, background_dataset=one
    )
    sample = dataset[0]
    for side in ('query', 'key'):
        assert number_at(sample['inputs'][side], ~sample['masks'][side]) == 0


def plain_dataset(folder, pipeline):
    """An ordinary mmengine data set, as ImageNet's."""
    entries = [dict(img_path=f'{n}.png') for n in range(COUNT)]
    annotations = dict(metainfo=dict(classes=('a',)), data_list=entries)
    path = folder.parent / 'annotations.json'
    path.write_text(json.dumps(annotations))
    return BaseDataset(
        ann_file=str(path),
        data_prefix=dict(img_path=str(folder)),
        pipeline=pipeline,
    )


@pytest.mark.parametrize('pipeline', [[], [dict(type='LoadImageFromFile')]])
def test_any_data_set_will_do(tmp_path, pipeline):
    import mmcv.transforms  # noqa: F401  (registers)

    folder = tmp_path / 'flat'
    write_flat(folder)
    dataset = CopyPastePairDataset(
        plain_dataset(folder, pipeline), size=64, views=PLAIN
    )
    assert dataset.metainfo == dict(classes=['a'])
    sample = dataset[SampleIndex(3, 0, 0)]
    for side in ('query', 'key'):
        mask = sample['masks'][side]
        assert number_at(sample['inputs'][side], mask) == 3
        assert number_at(sample['inputs'][side], ~mask) != 3


def test_unreadable_images_of_any_data_set(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmcp.datasets.image_reader.print_log',
        lambda text, **options: said.append(text),
    )
    folder = tmp_path / 'flat'
    write_flat(folder)
    spoil(folder, (0,))
    (folder / '1.png').unlink()
    dataset = CopyPastePairDataset(plain_dataset(folder, []), size=64)
    for position in range(20):
        _ = dataset[SampleIndex(position % 3, position, 0)]
    assert len(said) == 2, 'each is named once'
    assert any(
        text == 'unreadable image 0: the file is not an image, or damaged; '
        'another one takes its place'
        for text in said
    )
    assert any('1.png' in text for text in said)


class Arrays:
    """A data set with nothing but a length and items."""

    def __init__(self, image):
        self.image = image

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return self.image


def test_gray_arrays_and_transparency():
    for image in (
        np.full((30, 30), 7, np.uint8),
        np.full((30, 30, 1), 7, np.uint8),
        np.full((30, 30, 4), 7, np.uint8),
    ):
        dataset = CopyPastePairDataset(
            Arrays(dict(img=image)), size=32, views=PLAIN
        )
        assert (dataset[0]['inputs']['query'] == 7).all()


@pytest.mark.parametrize(
    ('item', 'message'),
    [
        (dict(inputs=1), "must be dicts with 'img' or 'img_path'"),
        ((1, 2), 'Arrays gives no images'),
        (dict(img=np.zeros((9, 9, 3))), 'must be a uint8 array, .* float64'),
    ],
)
def test_data_sets_without_images(item, message):
    dataset = CopyPastePairDataset(Arrays(item), size=32)
    with pytest.raises(TypeError, match=message):
        dataset[0]


def test_large_jpegs_are_decoded_small(tmp_path, monkeypatch):
    write_photos(tmp_path, 3)
    images = UnlabeledImageDataset(str(tmp_path))
    dataset = CopyPastePairDataset(
        images, size=32, views=dict(crop_scale=(0.9, 1.0))
    )
    flags = []
    imdecode = cv2.imdecode

    def spy(data, flag):
        flags.append(flag)
        return imdecode(data, flag)

    monkeypatch.setattr(cv2, 'imdecode', spy)
    _ = dataset[0]
    assert flags == [cv2.IMREAD_REDUCED_COLOR_4] * 3


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(size=0), 'size must be a positive number'),
        (dict(size=(1, 2, 3)), 'size must be'),
        (dict(backgrounds='other'), "must be 'dataset' or 'batch', but is"),
        (dict(augment='gpu'), "augment must be 'worker' or 'model'"),
        (dict(mask='rectangel'), "'rectangel'. Did you mean 'rectangle'?"),
        (dict(mask=dict(area=(0.5, 0.8))), 'but is None'),
        (dict(views=dict(hue=3)), 'hue must lie'),
    ],
)
def test_wrong_arguments(flat, wrong, message):
    with pytest.raises(ValueError, match=message):
        CopyPastePairDataset(flat, **wrong)


def test_masks_that_cannot_be_drawn_are_told_at_once(flat):
    """Not by the first worker, from within a traceback."""
    with pytest.raises(ValueError, match='grid of stride 40 in 100 draws'):
        CopyPastePairDataset(
            flat, size=32, mask=dict(type='rectangle', stride=40)
        )


def test_built_by_the_registry(tmp_path):
    dataset = DATASETS.build(
        dict(
            type='mmcp.CopyPastePairDataset',
            dataset=dict(
                type='mmcp.UnlabeledImageDataset',
                sources=write_flat(tmp_path / 'flat'),
                metainfo=dict(source='flat'),
            ),
            background_dataset=dict(
                type='mmcp.UnlabeledImageDataset',
                sources=write_flat(tmp_path / 'grounds', 3),
            ),
            size=(32, 48),
            mask=dict(type='polygon', corners=(3, 4)),
        )
    )
    assert dataset.metainfo == dict(source='flat')
    assert spec(dataset[0])['inputs'] == IMAGES


def test_masks_of_a_config(flat):
    dataset = CopyPastePairDataset(
        flat,
        size=64,
        mask=dict(type='rectangle', area=(0.2, 0.3), aspect=(1.0, 1.0)),
    )
    shares = [dataset[n]['masks']['key'].float().mean() for n in range(COUNT)]
    assert all(0.18 < share < 0.32 for share in shares)
    with pytest.raises(TypeError, match='corners'):
        CopyPastePairDataset(flat, mask=dict(type='rectangle', corners=3))


def test_repr(flat):
    text = repr(CopyPastePairDataset(flat, mask=None))
    assert text == (
        'CopyPastePairDataset(8 images, size=(224, 224), mask=None, '
        "backgrounds='dataset', augment='worker')"
    )


def test_an_epoch_in_whole_batches(photos):
    dataset = CopyPastePairDataset(photos, size=64, backgrounds='batch')
    loader = DataLoader(
        dataset,
        batch_size=3,
        sampler=EpochSampler(dataset, seed=0, batch_size=3),
        collate_fn=default_collate,
    )
    loader.sampler.set_epoch(2)
    positions = [batch['position'].tolist() for batch in loader]
    assert positions == [[16, 17, 18], [19, 20, 21]]
