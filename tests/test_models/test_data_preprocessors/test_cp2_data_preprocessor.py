import copy

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.hooks import Hook
from mmengine.registry import MODELS
from mmengine.runner import Runner
from torch.utils.data import default_collate
from toy_pairs import small_cp2

from mmcp.datasets import CopyPastePairDataset
from mmcp.datasets.sample_index import SampleIndex
from mmcp.functional.views import (
    ViewParams,
    ViewSettings,
    augment_view,
    draw_view,
)
from mmcp.models.data_preprocessors import CP2DataPreprocessor

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
SIZE = (12, 10)
NAMES = ('query', 'key')


def build(**options):
    return MODELS.build(dict(type='mmcp.CP2DataPreprocessor', **options))


def normalized(image):
    """What float64 numpy makes of RGB images of shape (..., 3, H, W)."""
    shape = (3, 1, 1)
    mean, std = np.reshape(MEAN, shape), np.reshape(STD, shape)
    return (np.asarray(image, np.float64) - mean) / std


def assert_normalized(found, image):
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), normalized(image), atol=2e-6)


def random_images(seed, count, names=NAMES):
    rng = np.random.default_rng(seed)
    shape = (count, 3, *SIZE)
    return {
        name: torch.from_numpy(rng.integers(0, 256, shape, np.uint8))
        for name in names
    }


def random_masks(seed, count):
    rng = np.random.default_rng(seed + 1)
    return {
        name: torch.from_numpy(rng.random((count, *SIZE)) < 0.6)
        for name in NAMES
    }


def batch(seed=0, count=4, **parts):
    return dict(
        inputs=random_images(seed, count),
        masks=random_masks(seed, count),
        position=torch.arange(100, 100 + count),
        **parts,
    )


def untouched(data):
    """A deep copy to compare with, without what may be absent."""
    return copy.deepcopy(data)


def test_composed_pairs_are_only_normalised():
    data = batch()
    before = untouched(data)
    found = build()(data, training=True)
    assert found.keys() == {'inputs', 'masks'}
    for name in NAMES:
        assert_normalized(found['inputs'][name], before['inputs'][name])
        assert torch.equal(found['masks'][name], before['masks'][name])
        assert torch.equal(data['inputs'][name], before['inputs'][name])


def test_without_masks_as_for_moco():
    for backgrounds in ('dataset', 'batch'):
        data = dict(inputs=random_images(0, 1), position=torch.tensor([3]))
        found = build(backgrounds=backgrounds)(data)
        assert found.keys() == {'inputs'}
        for name in NAMES:
            assert_normalized(found['inputs'][name], data['inputs'][name])


def test_single_tensors_are_normalised():
    images = random_images(0, 2)['query']
    for given_images in (images, images.float()):
        assert_normalized(build()(dict(inputs=given_images))['inputs'], images)


@given(st.integers(0, 2**16), st.sampled_from([0, 103, 116, 123, 127, 255]))
def test_pasting_is_exact_for_any_background(seed, value):
    data = batch(seed, 2)
    data['backgrounds'] = {
        name: torch.full_like(image, value)
        for name, image in data['inputs'].items()
    }
    # A foreground with the same values must stay foreground.
    data['inputs']['query'][0] = value
    found = build()(data)
    for name in NAMES:
        mask = data['masks'][name][:, None]
        composed = data['inputs'][name] * mask + value * ~mask
        assert_normalized(found['inputs'][name], composed)
        assert torch.equal(found['masks'][name], data['masks'][name])


@given(st.integers(0, 2**16), st.integers(2, 7))
def test_backgrounds_of_the_batch_are_others_images(seed, count):
    data = batch(seed, count)
    # Recognisable: image i of the query has the value i, of the key 100 + i.
    for start, name in ((0, 'query'), (100, 'key')):
        values = torch.arange(start, start + count, dtype=torch.uint8)
        data['inputs'][name][:] = values[:, None, None, None]
        data['masks'][name][:, 0, 0] = False
    data['position'] = torch.arange(count) * 7 + seed
    preprocessor = build(
        backgrounds='batch', mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
    )
    found = preprocessor(data)
    sources = {}
    for start, name in ((0, 'query'), (100, 'key')):
        image = found['inputs'][name]
        sources[name] = image[:, 0, 0, 0].long() - start
        expected = torch.where(
            data['masks'][name],
            torch.arange(count)[:, None, None],
            sources[name][:, None, None],
        )
        expected = (expected + start)[:, None].expand_as(image)
        assert torch.equal(image, expected.float())
        assert not (sources[name] == torch.arange(count)).any()
        assert torch.equal(sources[name].sort().values, torch.arange(count))
    if count > 2:
        assert not (sources['query'] == sources['key']).any()


def test_exchanged_images_depend_on_the_positions_alone():
    data = batch(count=8)
    preprocessor = build(backgrounds='batch')
    first = preprocessor(untouched(data))['inputs']['query']
    torch.manual_seed(7)
    preprocessor(batch(3))
    assert torch.equal(preprocessor(data)['inputs']['query'], first)
    assert torch.equal(
        build(backgrounds='batch')(data)['inputs']['query'], first
    )
    later = dict(data, position=data['position'] + 8)
    assert not torch.equal(preprocessor(later)['inputs']['query'], first)
    other = build(backgrounds='batch', seed=1)
    assert not torch.equal(other(data)['inputs']['query'], first)


def draw(seed):
    rng = np.random.default_rng(seed)
    return draw_view(rng, SIZE, ViewSettings())


def smooth(seed):
    """A crop without noise, RGB of shape (H, W, 3), uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] / 12
    waves = rng.random((3, 3)) * 3
    image = [np.sin(a * x + b * y + c * 2) for a, b, c in waves]
    return np.uint8(127.5 + 127 * np.stack(image, -1))


def sample_pair(seed):
    """The same sample: its crops and draws, and what a worker composes."""
    places = [
        f'{name}{kind}' for kind in ('', '_background') for name in NAMES
    ]
    crops = {place: smooth(4 * seed + n) for n, place in enumerate(places)}
    views = {place: draw(4 * seed + n) for n, place in enumerate(places)}
    rng = np.random.default_rng(seed)
    masks = {name: rng.random(SIZE) < 0.6 for name in NAMES}
    done = {
        place: augment_view(crops[place], views[place]) for place in places
    }
    composed = {
        name: np.where(
            masks[name][..., None], done[name], done[f'{name}_background']
        )
        for name in NAMES
    }
    chw = {place: crop.transpose(2, 0, 1) for place, crop in crops.items()}
    common = dict(masks=masks, position=seed)
    on_worker = dict(
        inputs={n: composed[n].transpose(2, 0, 1) for n in NAMES}, **common
    )
    on_device = dict(
        inputs={name: chw[name] for name in NAMES},
        backgrounds={name: chw[f'{name}_background'] for name in NAMES},
        views={place: views[place].to_vector() for place in places},
        **common,
    )
    return on_worker, on_device


def collate(samples):
    return default_collate(
        [
            {
                key: {k: torch.from_numpy(v.copy()) for k, v in part.items()}
                if isinstance(part, dict)
                else part
                for key, part in sample.items()
            }
            for sample in samples
        ]
    )


def test_workers_and_device_compose_the_same_images():
    pairs = [sample_pair(seed) for seed in range(24)]
    on_worker, on_device = (
        collate(samples) for samples in zip(*pairs, strict=True)
    )
    preprocessor = build(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    expected, found = preprocessor(on_worker), preprocessor(on_device)
    for name in NAMES:
        off = (expected['inputs'][name] - found['inputs'][name]).abs()
        assert off.mean() < 0.15
        assert (off > 2).float().mean() < 0.01
        assert torch.equal(expected['masks'][name], found['masks'][name])


def test_augmented_images_are_exchanged_not_the_crops():
    data = batch(count=3)
    # Every second parameter that matters: twice as bright.
    params = ViewParams(box=(0, 0, 1, 1), brightness=2.0)
    vectors = torch.from_numpy(params.to_vector()).repeat(3, 1)
    data['views'] = dict(query=vectors, key=vectors)
    for image in data['inputs'].values():
        image //= 2
    doubled = untouched(data)
    del doubled['views']
    for image in doubled['inputs'].values():
        image *= 2
    preprocessor = build(backgrounds='batch')
    found, expected = preprocessor(data), preprocessor(doubled)
    for name in NAMES:
        assert torch.equal(found['inputs'][name], expected['inputs'][name])


def test_wider_blurs_get_wider_kernels():
    image = torch.zeros(1, 3, 41, 41, dtype=torch.uint8)
    image[..., 20] = 255
    params = ViewParams(box=(0, 0, 1, 1), sigma=5.0)
    vectors = torch.from_numpy(params.to_vector())[None]
    data = dict(inputs=dict(query=image), views=dict(query=vectors))
    preprocessor = build(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    found = preprocessor(data)['inputs']['query'][0, 0, 20]
    # 255 / (5 sqrt(2 pi)) exp(-0.5 (10 / 5)^2)
    assert found[10] == 3


def test_channels_last():
    found = build(channels_last=True)(batch())['inputs']['query']
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, build()(batch())['inputs']['query'])


def test_autocast_and_gradients_do_not_reach_the_images():
    _, on_device = sample_pair(0)
    data = collate([on_device, on_device])
    expected = build()(data)['inputs']['query']
    with torch.autocast('cpu', torch.bfloat16):
        found = build()(data)['inputs']['query']
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    followed = data['inputs']['query'].float().requires_grad_()
    assert not build()(dict(inputs=followed))['inputs'].requires_grad


def test_no_buffer_goes_into_checkpoints():
    preprocessor = build()
    assert preprocessor.state_dict() == {}
    assert preprocessor.mean.tolist() == pytest.approx(MEAN)


@pytest.mark.slow
def test_compiled_augmentation_gives_the_same_images():
    data = collate([sample_pair(seed)[1] for seed in range(3)])
    expected = build()(untouched(data))
    compiled = build(compile=True)
    found = compiled(data)
    for name in NAMES:
        off = (found['inputs'][name] - expected['inputs'][name]).abs()
        # In units of the standard deviation; a gray level is 0.02.
        assert off.max() < 0.05
        assert (off > 1e-4).float().mean() < 0.01
    # A model is copied with it, for example by an EMA hook.
    assert isinstance(copy.deepcopy(compiled), CP2DataPreprocessor)


def without(data, *keys):
    return {key: part for key, part in data.items() if key not in keys}


@pytest.mark.parametrize(
    ('options', 'change', 'message'),
    [
        (
            dict(backgrounds='batch'),
            lambda data: without(data, 'position'),
            "needs each sample's 'position'",
        ),
        (
            dict(backgrounds='batch'),
            lambda data: data | dict(backgrounds=data['inputs']),
            'the data set sends backgrounds',
        ),
        (
            {},
            lambda data: (
                without(data, 'masks') | dict(backgrounds=data['inputs'])
            ),
            'backgrounds, but no masks',
        ),
        (
            {},
            lambda data: data | dict(masks=without(data['masks'], 'key')),
            r"masks of \['query'\], but images \['key', 'query'\]",
        ),
        (
            {},
            lambda data: data | dict(views=dict(query=torch.zeros(4, 8))),
            'neither pasted nor come with backgrounds',
        ),
        (
            dict(backgrounds='batch'),
            lambda data: data | dict(views=dict(query=torch.zeros(4, 8))),
            r"images \['key', 'query'\], but views \['query'\]",
        ),
        (
            dict(backgrounds='batch'),
            lambda data: (
                data
                | dict(
                    views=dict(query=torch.zeros(4, 8), key=torch.zeros(4, 7))
                )
            ),
            r'4 images need parameters of shape \(4, 8\)',
        ),
        (
            {},
            lambda data: (
                data
                | dict(masks={n: m.float() for n, m in data['masks'].items()})
            ),
            'mask of query must be bool .*, but is torch.float32',
        ),
        (
            {},
            lambda data: (
                data
                | dict(masks={n: m[..., 1:] for n, m in data['masks'].items()})
            ),
            r'shape \(N, H, W\).*\(4, 12, 9\) for images of \(4, 3, 12, 10\)',
        ),
        (
            {},
            lambda data: dict(inputs=torch.zeros(2, 1, 4, 4)),
            r'must have shape \(N, 3, H, W\), but have \(2, 1, 4, 4\)',
        ),
    ],
)
def test_parts_that_do_not_fit_are_named(options, change, message):
    with pytest.raises(ValueError, match=message):
        build(**options)(change(batch()))


def test_a_batch_of_one_has_no_backgrounds_of_its_own():
    with pytest.raises(ValueError, match='at least two samples.*drop_last'):
        build(backgrounds='batch')(batch(count=1))
    assert build()(batch(count=1))['inputs']['query'].shape == (1, 3, *SIZE)


def test_uncollated_batches_are_refused_with_advice():
    image = random_images(0, 1)['query'][0]
    for inputs in ([image, image], dict(query=[image], key=[image])):
        with pytest.raises(TypeError, match='default_collate'):
            build()(dict(inputs=inputs))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(backgrounds='images'), "'dataset' or 'batch', but is 'images'"),
        (dict(mean=(1.0,)), 'have 1 and 3'),
        (dict(std=(1.0, 1.0)), 'have 3 and 2'),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


class Photos:
    """Smooth colourful images of a data set, BGR."""

    def __len__(self):
        return 9

    def __getitem__(self, index):
        y, x = np.mgrid[:70, :90] / 25
        rng = np.random.default_rng(int(index))
        waves = [np.sin(a * x + b * y + c) for a, b, c in rng.random((3, 3))]
        return dict(img=np.uint8(127.5 + 127 * np.stack(waves, -1)))


@pytest.mark.parametrize('mask', ['rectangle', None])
@pytest.mark.parametrize('backgrounds', ['dataset', 'batch'])
def test_both_ways_of_the_data_set_give_the_same_batches(mask, backgrounds):
    """Augmented by workers or here, from the same draws."""
    preprocessor = build(
        backgrounds=backgrounds, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
    )
    batches = {}
    for augment in ('worker', 'model'):
        dataset = CopyPastePairDataset(
            Photos(), 48, mask=mask, backgrounds=backgrounds, augment=augment
        )
        samples = [dataset[SampleIndex(i, 50 + i, 3)] for i in range(9)]
        batches[augment] = preprocessor(default_collate(samples))
    expected, found = batches['worker'], batches['model']
    assert found.keys() == expected.keys()
    assert ('masks' in found) == (mask is not None)
    for name in NAMES:
        off = (expected['inputs'][name] - found['inputs'][name]).abs()
        assert off.mean() < 0.15
        assert (off > 2).float().mean() < 0.01
        if mask is not None:
            assert torch.equal(expected['masks'][name], found['masks'][name])


class Kept(Hook):
    """Keeps what the training logs."""

    def __init__(self):
        self.losses = []

    def after_train_iter(self, runner, batch_idx, data_batch, outputs=None):
        self.losses.append(outputs['loss'].item())


@pytest.mark.parametrize('backgrounds', ['dataset', 'batch'])
def test_a_training_from_files_to_the_loss(tmp_path, backgrounds):
    for index in range(8):
        cv2.imwrite(str(tmp_path / f'{index}.png'), Photos()[index]['img'])
    runs = []
    for workers in (0, 2):
        kept = Kept()
        Runner(
            model=small_cp2()
            | dict(
                data_preprocessor=dict(
                    type='mmcp.CP2DataPreprocessor', backgrounds=backgrounds
                )
            ),
            work_dir=str(tmp_path / f'{workers}'),
            train_dataloader=dict(
                dataset=dict(
                    type='mmcp.CopyPastePairDataset',
                    dataset=dict(
                        type='mmcp.UnlabeledImageDataset',
                        data_root=str(tmp_path),
                    ),
                    size=48,
                    backgrounds=backgrounds,
                    augment='model',
                ),
                sampler=dict(type='mmcp.EpochSampler'),
                batch_size=4,
                num_workers=workers,
                collate_fn=dict(type='default_collate'),
            ),
            train_cfg=dict(by_epoch=True, max_epochs=2),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
            custom_hooks=[kept],
            default_scope='mmseg',
            randomness=dict(seed=0),
            experiment_name=f'files-{backgrounds}-{workers}',
        ).train()
        runs.append(kept.losses)
    assert len(runs[0]) == 4
    assert np.isfinite(runs[0]).all()
    # Nothing depends on who loads.
    assert runs[0] == runs[1]
