"""Tests of Copy-Paste for label maps."""

import copy

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS
from mmseg.registry import TRANSFORMS as SEG_TRANSFORMS
from scipy.stats import chisquare

from mmcp.registry import TRANSFORMS

H, W = 12, 16


def build(**kwargs):
    return TRANSFORMS.build(dict(type='mmcp.SegCopyPaste', **kwargs))


def blocks(*rectangles, size=(H, W), ground=0):
    """A label map of rectangles ``(label, x0, y0, x1, y1)``."""
    seg_map = np.full(size, ground, np.uint8)
    for label, x0, y0, x1, y1 in rectangles:
        seg_map[y0:y1, x0:x1] = label
    return seg_map


def sample(seg_map, value=0, **extra):
    image = np.full((*seg_map.shape, 3), value, np.uint8)
    return dict(img=image, gt_seg_map=seg_map, **extra)


def paste(destination, source, **kwargs):
    return build(**kwargs)(dict(destination, mix_results=[source]))


def random_sample(seed, size=(H, W)):
    rng = np.random.default_rng(seed)
    coarse = rng.choice([0, 1, 2, 255], (4, 4)).astype(np.uint8)
    seg_map = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_NEAREST)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    return dict(img=image, gt_seg_map=seg_map)


def test_a_component_brings_its_pixels_and_labels():
    source = sample(blocks((1, 2, 3, 6, 8), (1, 9, 1, 12, 4)), 200)
    out = paste(sample(blocks(ground=5)), source, num_pasted='all', deny=[0])

    pasted = source['gt_seg_map'] == 1
    assert out['gt_seg_map'].tolist() == np.where(pasted, 1, 5).tolist()
    expected = np.where(pasted[..., None], 200, 0) * np.ones(3, int)
    assert out['img'].tolist() == expected.tolist()
    assert 'mix_results' not in out


@pytest.mark.parametrize(('mode', 'areas'), [('component', 1), ('class', 2)])
def test_modes_paste_one_component_or_the_whole_class(mode, areas):
    source = sample(blocks((1, 2, 3, 4, 5), (1, 9, 1, 11, 3)), 200)
    out = paste(
        sample(blocks(ground=5)), source, mode=mode, num_pasted='one', deny=[0]
    )
    assert int((out['gt_seg_map'] == 1).sum()) == 4 * areas


@settings(max_examples=60)
@given(
    seeds=st.tuples(st.integers(0, 999), st.integers(0, 999)),
    sizes=st.tuples(*[st.tuples(st.integers(1, 20), st.integers(1, 20))] * 2),
    mode=st.sampled_from(['component', 'class']),
    num=st.sampled_from(['random', 'one', 'all', (1, 3)]),
)
def test_image_and_map_agree_and_inputs_stay(seeds, sizes, mode, num):
    destination, source = map(random_sample, seeds, sizes)
    before = copy.deepcopy((destination, source))
    np.random.seed(seeds[0])  # noqa: NPY002
    out = paste(destination, source, mode=mode, num_pasted=num)

    for old, new in zip(before, (destination, source), strict=True):
        assert all(np.array_equal(old[key], new[key]) for key in old)
    # Wherever they meet, both come from one of the two images.
    height, width = (min(a, b) for a, b in zip(*sizes, strict=True))
    box = np.s_[:height, :width]
    kept, pasted = (
        (out['gt_seg_map'][box] == s['gt_seg_map'][box])
        & (out['img'][box] == s['img'][box]).all(-1)
        for s in (destination, source)
    )
    assert (kept | pasted).all()
    assert not (pasted & ~kept & (source['gt_seg_map'][box] == 255)).any()
    outside = np.ones(sizes[0], bool)
    outside[box] = False
    for key in ('img', 'gt_seg_map'):
        assert np.array_equal(out[key][outside], destination[key][outside])
        assert out[key].dtype == destination[key].dtype
        assert out[key].shape == destination[key].shape


def test_all_of_the_source_but_what_is_ignored():
    destination, source = random_sample(1), random_sample(2)
    ignored = source['gt_seg_map'] == 255
    assert 0 < ignored.sum() < ignored.size
    out = paste(destination, source, num_pasted='all')

    for key in ('img', 'gt_seg_map'):
        mask = ignored if key == 'gt_seg_map' else ignored[..., None]
        expected = np.where(mask, destination[key], source[key])
        assert np.array_equal(out[key], expected)


def test_another_ignored_label_is_not_pasted():
    source = sample(blocks((11, 0, 0, 4, 4), (3, 8, 0, 12, 4)), 200)
    out = paste(sample(blocks()), source, num_pasted='all', ignore_index=11)
    assert set(np.unique(out['gt_seg_map'])) == {0, 3}
    assert not out['img'][:4, :4].any()


@pytest.mark.parametrize(
    'kwargs', [dict(prob=0), dict(num_pasted=0), dict(min_area=H * W + 1)]
)
def test_nothing_pasted_gives_the_same_arrays(kwargs):
    destination = sample(blocks(ground=5))
    out = paste(destination, sample(blocks((1, 0, 0, 4, 4))), **kwargs)
    assert out.keys() == destination.keys()
    assert all(out[key] is destination[key] for key in destination)


def test_a_source_that_is_ignored_altogether():
    destination = sample(blocks())
    out = paste(destination, sample(blocks(ground=255)), num_pasted='all')
    assert out['img'] is destination['img']


def test_small_regions_are_counted_inside_of_the_destination():
    # Four of its eight columns reach into the destination.
    source = sample(blocks((1, 12, 0, 20, 3), size=(H, 24)), 200)
    for least, pasted in ((12, True), (13, False)):
        out = paste(
            sample(blocks()),
            source,
            num_pasted='all',
            min_area=least,
            deny=[0],
        )
        assert bool((out['gt_seg_map'] == 1).any()) is pasted


@pytest.mark.parametrize('num_pasted', ['random', 'one', 'all', 2, (1, None)])
def test_counts_are_uniform_with_both_ends(num_pasted):
    source = sample(
        blocks(*((n + 1, 3 * n, 0, 3 * n + 2, 2) for n in range(3)))
    )
    transform = build(num_pasted=num_pasted, deny=[0])
    expected = {
        'random': [0, 1, 2, 3],
        'one': [1],
        'all': [3],
        2: [2],
        (1, None): [1, 2, 3],
    }[num_pasted]
    rng = np.random.default_rng(0)
    counts = [
        len(transform.draw(source['gt_seg_map'], rng)) for _ in range(400)
    ]
    found = [counts.count(n) for n in expected]
    assert sum(found) == 400
    assert len(found) == 1 or chisquare(found).pvalue > 1e-3


def test_weights_choose_classes():
    source = blocks((1, 0, 0, 2, 2), (2, 4, 0, 6, 2), (3, 8, 0, 10, 2))
    transform = build(
        num_pasted='one', class_weights={1: 3.0, 2: 1.0, 3: 0.0}, deny=[0]
    )
    rng = np.random.default_rng(0)
    lefts = [transform.draw(source, rng)[0].x for _ in range(400)]
    assert lefts.count(8) == 0
    found = [lefts.count(0), lefts.count(4)]
    assert chisquare(found, [300, 100]).pvalue > 1e-3


def test_blending_smooths_the_image_and_not_the_labels():
    source = sample(blocks((1, 4, 3, 12, 9)), 200)
    hard, soft = (
        paste(
            sample(blocks()), source, num_pasted='all', deny=[0], blend=blend
        )
        for blend in ('none', 'gaussian')
    )
    assert np.array_equal(hard['gt_seg_map'], soft['gt_seg_map'])
    assert set(np.unique(hard['img'])) == {0, 200}
    assert len(np.unique(soft['img'])) > 5
    assert soft['img'].dtype == np.uint8


@pytest.mark.parametrize('dtype', [np.float32, np.uint16])
def test_types_are_kept(dtype):
    destination, source = sample(blocks()), sample(blocks((1, 0, 0, 4, 4)), 9)
    for one in (destination, source):
        one['img'] = one['img'].astype(dtype)
        one['gt_seg_map'] = one['gt_seg_map'].astype(np.int64)
    out = paste(destination, source, num_pasted='all')
    assert out['img'].dtype == dtype
    assert out['gt_seg_map'].dtype == np.int64
    assert np.array_equal(out['gt_seg_map'], source['gt_seg_map'])


def test_labels_that_do_not_fit_are_refused():
    source = sample(blocks((1, 0, 0, 4, 4)))
    source['gt_seg_map'] = source['gt_seg_map'].astype(np.int32) + 300
    with pytest.raises(ValueError, match='labels that uint8'):
        paste(sample(blocks()), source, num_pasted='all')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(mix_results=[]), 'SegCopyPaste needs one source image'),
        (dict(gt_seg_map=None), "destination image has no 'gt_seg_map'"),
        (dict(mix_results=[dict(img=1)]), "source image has no 'gt_seg_map'"),
        (dict(gt_edge_map=np.zeros((H, W))), "cannot update 'gt_edge_map'"),
        (dict(gt_bboxes=np.zeros((0, 4))), "cannot update 'gt_bboxes'"),
    ],
)
def test_what_cannot_be_pasted_is_refused(change, message):
    results = dict(sample(blocks()), mix_results=[sample(blocks())])
    with pytest.raises(ValueError, match=message):
        build()(results | change)


def test_an_image_of_another_size_than_its_map_is_refused():
    source = sample(blocks((1, 0, 0, 4, 4)))
    source['img'] = source['img'][:-1]
    with pytest.raises(ValueError, match='changed one without the other'):
        paste(sample(blocks()), source, num_pasted='one')


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(mode='instance'), "mode must be one of \\('component', 'class'"),
        (dict(blend='poisson'), 'blend must be one of'),
        (dict(blend_sigma=0), 'blend_sigma must be > 0'),
        (dict(prob=1.5), r'prob must lie in \[0, 1\]'),
        (dict(min_area=0), 'min_area must be >= 1'),
        (dict(num_pasted='some'), "num_pasted must be 'random'"),
        (dict(class_weights={1: -1}), 'must be finite and not negative'),
        (
            dict(class_weights='inverse_frequency'),
            'counts objects, and label maps have none; give a dict',
        ),
    ],
)
def test_wrong_arguments_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)


def test_the_same_seed_gives_the_same():
    outs = []
    for _ in range(2):
        np.random.seed(7)  # noqa: NPY002
        outs.append(paste(random_sample(1), random_sample(2)))
    assert np.array_equal(outs[0]['img'], outs[1]['img'])


def test_arguments_are_shown():
    text = repr(build(mode='class', allow=[1, 2]))
    assert text.startswith("SegCopyPaste(mode='class', num_pasted='random', ")
    assert 'allow=[1, 2]' in text
    assert ' _weights' not in text


@pytest.fixture
def mixed(tmp_path):
    """MMSegmentation's wrapper around three images on disk."""
    for index in range(3):
        one = random_sample(index, (40, 48))
        for folder, image in (('img', one['img']), ('map', one['gt_seg_map'])):
            (tmp_path / folder).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / folder / f'{index}.png'), image)

    def make(**kwargs):
        inner = dict(
            type='BaseSegDataset',
            data_root=str(tmp_path),
            data_prefix=dict(img_path='img', seg_map_path='map'),
            img_suffix='.png',
            metainfo=dict(classes=('road', 'car', 'person')),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(
                    type='RandomResize',
                    scale=(48, 40),
                    ratio_range=(0.5, 2.0),
                    keep_ratio=True,
                ),
                dict(type='RandomCrop', crop_size=(32, 32)),
                dict(type='RandomFlip', prob=0.5),
            ],
        )
        return DATASETS.build(
            dict(
                type='MultiImageMixDataset',
                dataset=inner,
                pipeline=[
                    dict(type='mmcp.SegCopyPaste', **kwargs),
                    dict(type='PackSegInputs'),
                ],
            )
        )

    with DefaultScope.overwrite_default_scope('mmseg'):
        yield make


def test_in_mmsegmentations_wrapper(mixed):
    plain = mixed(prob=0)
    pasted = mixed(allow=['car', 'person'], num_pasted='all')
    changed = 0
    for seed in range(12):
        samples = []
        for dataset in (plain, pasted):
            np.random.seed(seed)  # noqa: NPY002
            samples.append(dataset[seed % 3])
        before, after = (s['data_samples'].gt_sem_seg.data for s in samples)
        assert before.shape == after.shape
        different = before != after
        changed += bool(different.any())
        assert set(after[different].tolist()) <= {1, 2}
    assert changed > 3


def test_an_unknown_class_is_refused_where_the_classes_are_known(mixed):
    with pytest.raises(ValueError, match="no class 'cra'; did you mean 'car'"):
        mixed(allow=['cra'])[0]


def test_it_is_found_from_mmsegmentations_scope():
    transform = SEG_TRANSFORMS.build(dict(type='mmcp.SegCopyPaste'))
    assert transform.get_indexes([0]) == transform.get_indices([0]) == 0
