import copy
import random
from functools import partial

import numpy as np
import pytest
from mmcv.transforms import BaseTransform
from mmdet.datasets import BaseDetDataset
from mmdet.datasets.transforms import MixUp, Mosaic
from mmengine.dataset import (
    ClassBalancedDataset,
    ConcatDataset,
    RepeatDataset,
    pseudo_collate,
    worker_init_fn,
)
from mmengine.registry import (
    DATASETS,
    TRANSFORMS,
    Registry,
    init_default_scope,
)
from paste_samples import SIZE, random_sample, rectangle, sample
from torch.utils.data import DataLoader

from mmcp.datasets import CopyPasteDataset
from mmcp.datasets.sample_index import SampleIndex
from mmcp.datasets.samplers import InfiniteSampler
from mmcp.datasets.transforms import CopyPaste

CLASSES = ('cat', 'dog', 'bird', 'horse', 'cow')
PACK = [dict(type='PackDetInputs', meta_keys=())]


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


class Samples:
    """A data set of ready results."""

    def __init__(self, samples, classes=CLASSES):
        self.samples = samples
        self.metainfo = dict(classes=classes)
        self.loaded = []

    def full_init(self):
        pass

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        self.loaded.append(int(index))
        results = self.samples[index]
        return None if results is None else dict(results)

    def get_data_info(self, index):
        return dict(number=index)

    def get_cat_ids(self, index):
        return self.samples[index]['gt_bboxes_labels'].tolist()


def destinations(count=4):
    rng = np.random.default_rng(0)
    return Samples([random_sample(rng, 2) for _ in range(count)])


def sources():
    """Image i holds one object, of class i, and is painted with 50 + i."""
    box = rectangle(4, 4, 12, 12)
    return Samples([sample([box], labels=[i], value=50 + i) for i in range(5)])


def build(dataset=None, source=None, **kwargs):
    kwargs.setdefault('copy_paste', dict(num_pasted='all'))
    return CopyPasteDataset(
        dataset or destinations(), source, pipeline=PACK, **kwargs
    )


def pasted_classes(dataset, repeats=200):
    """The classes of the pasted objects, by the colour at (8, 8)."""
    colours = [
        int(dataset[i % len(dataset)]['inputs'][0, 8, 8])
        for i in range(repeats)
    ]
    return [value - 50 for value in colours]


def empty(count=3):
    return Samples([sample() for _ in range(count)])


def test_objects_come_from_the_source():
    dataset = build(empty(), sources())
    assert set(pasted_classes(dataset)) == set(range(5))
    assert len(dataset) == 3
    assert dataset.metainfo == dict(classes=CLASSES)
    assert dataset.get_data_info(2) == dict(number=2)


def test_without_a_source_objects_come_from_the_data_set_itself():
    dataset = build(sources())
    assert set(pasted_classes(dataset)) == set(range(5))


def test_registered_and_built_from_configs(tmp_path):
    dataset = DATASETS.build(
        dict(type='mmcp.CopyPasteDataset', dataset=empty(), pipeline=PACK)
    )
    assert isinstance(dataset, CopyPasteDataset)


def test_nothing_is_changed_in_either_data_set():
    below, above = destinations(), sources()
    before = copy.deepcopy((below.samples, above.samples))
    dataset = build(below, above, cache=2)
    for index in range(8):
        dataset[index % 4]
    for old, new in zip(before, (below.samples, above.samples), strict=True):
        for a, b in zip(old, new, strict=True):
            assert np.array_equal(a['img'], b['img'])
            assert np.array_equal(a['gt_masks'].masks, b['gt_masks'].masks)
            assert (a['gt_bboxes'].tensor == b['gt_bboxes'].tensor).all()


def test_prob_saves_the_loading():
    source = sources()
    never = build(empty(), source, prob=0.0)
    assert set(pasted_classes(never, 20)) == {-50}
    assert source.loaded == []
    random.seed(0)
    half = build(empty(), source, prob=0.5)
    pasted_classes(half, 200)
    assert 60 < len(source.loaded) < 140


@pytest.mark.parametrize(
    ('kwargs', 'classes'),
    [
        (dict(allow=['dog', 'cow']), {1, 4}),
        (dict(deny=['cat', 1]), {2, 3, 4}),
        (dict(class_weights={'cat': 0, 'dog': 0, 'bird': 0}), {3, 4}),
    ],
)
def test_class_weights_choose_the_source_images(kwargs, classes):
    source = sources()
    dataset = build(empty(), source, **kwargs)
    assert set(pasted_classes(dataset)) == classes
    assert set(source.loaded) == classes


def test_images_are_drawn_in_proportion_to_their_weight():
    random.seed(0)
    dataset = build(empty(), sources(), class_weights=[6, 1, 1, 1, 1])
    drawn = pasted_classes(dataset, 500)
    assert 250 < drawn.count(0) < 350


def long_tailed(counts=(24, 6, 1), crowd=0):
    """Single objects of the first classes, and some crowds of the third."""
    labels = np.repeat(np.arange(len(counts)), counts).tolist()
    labels += [2] * crowd
    flags = [False] * sum(counts) + [True] * crowd
    box = rectangle(4, 4, 12, 12)
    return Annotated(
        [
            sample([box], labels=[label], flags=[flag], value=50 + label)
            for label, flag in zip(labels, flags, strict=True)
        ]
    )


@pytest.mark.parametrize(
    ('weights', 'shares'),
    [
        (None, [24 / 31, 6 / 31, 1 / 31]),
        ('inverse_frequency', [1 / 3] * 3),
        (
            'inverse_sqrt_frequency',
            np.sqrt([24, 6, 1]) / np.sqrt([24, 6, 1]).sum(),
        ),
    ],
)
def test_classes_by_their_frequency(weights, shares):
    random.seed(0)
    # Crowds are not pasted, so they are not counted either.
    source = long_tailed(crowd=0 if weights is None else 50)
    dataset = build(empty(), source, class_weights=weights)
    drawn = np.bincount(pasted_classes(dataset, 600), minlength=3) / 600
    np.testing.assert_allclose(drawn, shares, atol=0.06)


def test_objects_of_an_image_are_drawn_by_the_frequency_of_their_class():
    random.seed(0)
    boxes = [rectangle(4, 4, 12, 12), rectangle(4, 14, 12, 22)]
    both = sample(boxes, labels=[0, 1])
    source = Annotated([both] + long_tailed((18, 0)).samples)
    dataset = build(
        empty(),
        source,
        class_weights='inverse_frequency',
        copy_paste=dict(num_pasted='one'),
    )
    pasted = [
        dataset[i % 3]['data_samples'].gt_instances.labels.item()
        for i in range(400)
    ]
    # The image of both weighs as much as the 18 others: 1 to 18/19. In it,
    # the rare object is drawn in 19 of 20 cases.
    assert 0.42 < np.mean(pasted) < 0.56


def test_frequencies_in_multi_image_mix_dataset():
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    paste = CopyPaste(class_weights='inverse_frequency', num_pasted='one')
    dataset = long_tailed()
    for _ in range(3):
        assert 0 <= paste.get_indexes(dataset) < len(dataset)
    source = sample([rectangle(4, 4, 12, 12)] * 2, labels=[0, 2])
    drawn = [
        paste.transform(dict(sample(), mix_results=[source]))
        for _ in range(300)
    ]
    labels = [results['gt_bboxes_labels'].item() for results in drawn]
    assert 0 < labels.count(0) < 30
    assert labels.count(0) + labels.count(2) == 300


def test_no_image_with_an_allowed_class_is_an_error():
    with pytest.raises(ValueError, match='no source image has a class'):
        build(empty(), sources(), class_weights=[0] * 5)
    with pytest.raises(ValueError, match="did you mean 'horse'"):
        build(empty(), sources(), deny=['hors'])


class Annotated(Samples):
    """Samples with the annotations that MMDetection's data sets have."""

    def get_data_info(self, index):
        results = self.samples[index]
        pairs = zip(
            results['gt_bboxes_labels'].tolist(),
            results['gt_ignore_flags'].tolist(),
            strict=True,
        )
        return dict(
            instances=[
                dict(bbox_label=label, ignore_flag=int(flag))
                for label, flag in pairs
            ]
        )


@pytest.mark.parametrize(('crowd', 'loaded'), [(False, {1}), (True, {0, 1})])
def test_images_with_crowds_alone_weigh_if_crowds_are_pasted(crowd, loaded):
    box = rectangle(4, 4, 12, 12)
    source = Annotated(
        [sample([box], labels=[2], flags=[flag]) for flag in (True, False)]
    )
    paste = dict(num_pasted='all', paste_crowd=crowd)
    dataset = build(empty(), source, copy_paste=paste, allow=['bird'])
    for index in range(40):
        packed = dataset[index % 3]['data_samples']
        assert len(packed.gt_instances) + len(packed.ignored_instances) == 1
    assert set(source.loaded) == loaded


@pytest.mark.parametrize('key', ['class_weights', 'allow', 'deny'])
def test_classes_are_not_chosen_in_copy_paste(key):
    with pytest.raises(ValueError, match=f"copy_paste must not have '{key}'"):
        build(copy_paste={key: [1]})


@pytest.mark.parametrize(
    ('classes', 'message'),
    [
        (('cat', 'bird', 'dog', 'horse', 'cow'), "1 is 'bird' in .* 'dog' in"),
        (CLASSES[:4], "4 is None in dataset and 'cow' in source"),
        ((*CLASSES, 'pig'), "5 is 'pig' in dataset and None in source"),
    ],
)
def test_both_data_sets_have_the_same_classes(classes, message):
    below = empty()
    below.metainfo = dict(classes=classes)
    with pytest.raises(ValueError, match=f'class {message}'):
        build(below, sources())
    below.metainfo = dict(classes=list(CLASSES))
    assert set(pasted_classes(build(below, sources()), 80)) == set(range(5))


def test_classes_may_be_missing_unless_they_are_named():
    below, above = empty(), sources()
    del above.metainfo['classes']
    assert set(pasted_classes(build(below, above, allow=['dog']), 9)) == {1}
    del below.metainfo['classes']
    assert set(pasted_classes(build(below, above), 80)) == set(range(5))
    assert set(pasted_classes(build(below, above, allow=[2]), 9)) == {2}
    with pytest.raises(ValueError, match=r"\['dog'\] .* no data set has"):
        build(below, above, allow=['dog'])


def test_a_bounded_cache_loads_less():
    source = sources()
    dataset = build(empty(), source, cache=3, cache_reuse=4)
    random.seed(0)
    classes = pasted_classes(dataset, 200)
    assert len(source.loaded) <= 3 + 200 // 4 + 1
    assert len(dataset._cache.samples) == 3
    assert set(classes) == set(range(5))


def test_the_cache_may_hold_decoded_samples_and_jitter_later():
    flip = [dict(type='RandomFlip', prob=1.0)]
    above = Samples([sample([rectangle(0, 0, 6, 6)], value=9)] * 2)
    dataset = build(empty(), above, source_pipeline=flip, cache=1)
    for index in (0, 1, 2):
        boxes = dataset[index]['data_samples'].gt_instances.bboxes
        assert boxes.tensor.tolist() == [[SIZE[1] - 6, 0, SIZE[1], 6]]


@pytest.mark.parametrize(
    'transform',
    [
        dict(type='CutOut', n_holes=3, cutout_shape=(30, 30)),
        dict(type='RandomErasing', n_patches=3, ratio=0.6),
    ],
)
def test_transforms_in_place_leave_the_cache_as_it_was(transform):
    above = sources()
    for results in above.samples:
        results['gt_seg_map'] = np.ones(SIZE, np.uint8)
    dataset = build(empty(), above, source_pipeline=[transform], cache=5)
    before = copy.deepcopy(above.samples)
    for index in range(30):
        dataset[index % 3]
    assert len(dataset._cache.samples) == 5
    for cached in dataset._cache.samples:
        expected = before[int(cached['gt_bboxes_labels'][0])]
        assert set(cached) == set(expected)
        for key in ('img', 'gt_seg_map', 'gt_bboxes_labels'):
            assert np.array_equal(cached[key], expected[key])
        masks, boxes = cached['gt_masks'].masks, cached['gt_bboxes'].tensor
        assert np.array_equal(masks, expected['gt_masks'].masks)
        assert boxes.equal(expected['gt_bboxes'].tensor)


def test_a_source_without_masks_is_a_clear_error():
    above = sources()
    for results in above.samples:
        del results['gt_masks']
    with pytest.raises(ValueError, match='gt_masks'):
        build(destinations(), above)[0]


@pytest.mark.parametrize('name', ['Mosaic', 'MixUp', 'mmdet.Mosaic'])
def test_transforms_that_leave_masks_stale_are_refused(name):
    inner = dict(type='CocoDataset', pipeline=[dict(type=name)])
    with pytest.raises(ValueError, match='Cached' + name.split('.')[-1]):
        CopyPasteDataset(inner)
    with pytest.raises(ValueError, match='moves images and boxes but not'):
        CopyPasteDataset(empty(), pipeline=[dict(type=name), *PACK])


@pytest.mark.parametrize('kind', [Mosaic, MixUp])
def test_they_are_refused_however_they_are_given(kind):
    sizes = dict(img_scale=(48, 48))
    for step in (dict(type=kind, **sizes), kind(**sizes)):
        nested = dict(type='RandomApply', transforms=[step])
        for pipeline in ([step, *PACK], [nested, *PACK]):
            with pytest.raises(ValueError, match=f'use Cached{kind.__name__}'):
                CopyPasteDataset(empty(), pipeline=pipeline)


class Named(BaseTransform):
    """A user's own transform, which may be called as MMDetection's."""

    def transform(self, results):
        return results


@pytest.mark.parametrize('name', ['Mosaic', 'MixUp'])
def test_own_transforms_may_have_their_names(name):
    registry = Registry('transform', parent=TRANSFORMS, scope='mypkg')
    registry.register_module(module=Named, name=name)
    try:
        step = dict(type=f'mypkg.{name}')
        dataset = CopyPasteDataset(empty(), pipeline=[step, *PACK])
    finally:
        TRANSFORMS.children.pop('mypkg')
    assert dataset[0] is not None


@pytest.mark.parametrize('name', ['Mosaic', 'mmdet.Mosaic'])
def test_own_transforms_may_take_their_place(name):
    registry = TRANSFORMS.children['mmdet']
    theirs = registry.get('Mosaic')
    registry.register_module(module=Named, name='Mosaic', force=True)
    try:
        dataset = CopyPasteDataset(empty(), pipeline=[dict(type=name), *PACK])
    finally:
        registry.register_module(module=theirs, name='Mosaic', force=True)
    assert dataset[0] is not None


class OwnPaste(BaseTransform):
    """A transform of two images that knows nothing of classes."""

    def transform(self, results):
        return results['mix_results'][0]


@pytest.mark.parametrize('kind', [OwnPaste, 'CopyPaste', 'mmdet.CopyPaste'])
def test_other_transforms_of_two_images(kind):
    np.random.seed(0)  # noqa: NPY002
    source = Samples(sources().samples[3:4])
    dataset = build(empty(), source, copy_paste=dict(type=kind))
    values = {int(dataset[0]['inputs'][0, 8, 8]) for _ in range(20)}
    # MMDetection's pastes none of one object, or one.
    assert values == ({53} if kind is OwnPaste else {0, 53})


@pytest.mark.parametrize('kind', [OwnPaste, 'CopyPaste'])
@pytest.mark.parametrize('key', ['class_weights', 'allow', 'deny'])
def test_classes_are_not_chosen_by_a_transform_that_cannot(kind, key):
    value = {'class_weights': [1] * 5}.get(key, [1])
    with pytest.raises(TypeError, match=f'^{key} cannot .*mmcp.CopyPaste'):
        build(copy_paste=dict(type=kind), **{key: value})


@pytest.mark.parametrize('place', ['before', 'after'])
def test_cached_mosaic_and_mixup_work(place):
    """MMDetection's issue 10196: Copy-Paste crashed beside MixUp."""
    mix = [
        dict(type='CachedMosaic', img_scale=(48, 48)),
        dict(type='CachedMixUp', img_scale=(48, 48)),
    ]
    rng = np.random.default_rng(0)
    images = Samples([random_sample(rng, 3) for _ in range(8)])
    if place == 'after':
        dataset = CopyPasteDataset(images, pipeline=[*mix, *PACK])
    else:
        from mmengine.dataset import Compose

        transforms = Compose(mix)

        class Mixed(Samples):
            def __getitem__(self, index):
                return transforms(copy.deepcopy(self.samples[index]))

        dataset = CopyPasteDataset(Mixed(images.samples), pipeline=PACK)
    np.random.seed(0)  # noqa: NPY002
    for index in range(16):
        packed = dataset[index % 8]['data_samples'].gt_instances
        assert len(packed.bboxes) == len(packed.masks) == len(packed.labels)


def test_bad_arguments():
    with pytest.raises(ValueError, match='prob'):
        build(prob=2.0)
    with pytest.raises(ValueError, match='cache must be >= 0, but is -1'):
        build(cache=-1)
    with pytest.raises(ValueError, match='cache_reuse must be >= 1'):
        build(cache_reuse=0)
    for name in ('cache', 'cache_reuse'):
        with pytest.raises(TypeError, match=f'{name} must be an integer'):
            build(**{name: 2.5})
    assert build(cache=np.int64(2))[0] is not None


def test_class_balanced_wrappers_work_outside():
    rare = sample([rectangle(0, 0, 4, 4)], labels=[4])
    common = sample([rectangle(0, 0, 4, 4)], labels=[1])
    inner = dict(
        type='mmcp.CopyPasteDataset',
        dataset=Samples([common] * 7 + [rare]),
        source=sources(),
        pipeline=PACK,
    )
    balanced = ClassBalancedDataset(inner, oversample_thr=0.5)
    assert [balanced.repeat_indices.count(i) for i in (0, 7)] == [1, 2]
    assert len(balanced[8]['data_samples'].gt_instances) >= 1


class Listed(BaseDetDataset):
    """Images of one object each, except an ignored one of class 4."""

    METAINFO = dict(classes=CLASSES)
    labels = (1, 1, 1, 4)

    def load_data_list(self):
        flags = [label == 4 for label in self.labels]
        pairs = zip(self.labels, flags, strict=True)
        return [
            dict(instances=[dict(bbox_label=label, ignore_flag=int(flag))])
            for label, flag in pairs
        ]


class Told(Listed):
    """Tells its classes itself, others than it lists."""

    def get_cat_ids(self, index):
        return [label - 1 for label in self.labels[index : index + 1]]


def twice(kind):
    return dict(type=RepeatDataset, dataset=kind(), times=2)


@pytest.mark.parametrize(
    ('inside', 'classes'),
    [
        (Listed, [1, 1, 1, 4]),
        (Told, [0, 0, 0, 3]),
        (lambda: RepeatDataset(Told(), 2), [0, 0, 0, 3] * 2),
        (
            lambda: ConcatDataset([Told(), twice(Listed)]),
            [0, 0, 0, 3] + [1, 1, 1, 4] * 2,
        ),
    ],
)
def test_classes_inside_wrappers_that_do_not_tell_them(inside, classes):
    inner = dict(
        type='mmcp.CopyPasteDataset', dataset=inside(), source=sources()
    )
    balanced = ClassBalancedDataset(inner, oversample_thr=0.5)
    assert balanced.repeat_indices.count(3) > 1
    dataset = balanced.dataset
    assert [dataset.get_cat_ids(i) for i in range(len(dataset))] == [
        [label] for label in classes
    ]


class Plain(Samples):
    """Has neither classes nor a list of its objects."""

    get_cat_ids = property()


def test_a_data_set_that_does_not_tell_its_classes_is_named():
    dataset = build(Plain(empty().samples))
    with pytest.raises(TypeError, match='Plain has no get_cat_ids'):
        dataset.get_cat_ids(0)


class Unlisted(RepeatDataset):
    """Lists no objects."""

    def get_data_info(self, idx):
        return {}


def test_a_source_in_a_wrapper_that_lists_no_objects_is_weighed():
    dataset = CopyPasteDataset(empty(), Unlisted(Told(), 2), deny=[0])
    assert {dataset._draw_source() % 4 for _ in range(50)} == {3}


def test_pipelines_that_give_nothing_are_tried_again_and_then_named():
    below = empty()
    below.samples[0] = None
    dataset = build(below, sources())
    random.seed(0)
    assert dataset[0] is not None
    nothing = Samples([None, None])
    with pytest.raises(RuntimeError, match='keep_empty=False'):
        build(nothing, sources())[0]
    with pytest.raises(RuntimeError, match='source image'):
        build(empty(), nothing)[0]


def test_pasting_stops_at_a_position():
    dataset = build(empty(), sources())
    sampler = InfiniteSampler(dataset, seed=0)
    dataset.stop_pasting(6)
    pasted = []
    for _, index in zip(range(10), sampler, strict=False):
        pasted.append(len(dataset[index]['data_samples'].gt_instances))
    assert pasted == [1] * 6 + [0] * 4
    dataset.stop_pasting()
    assert len(dataset[0]['data_samples'].gt_instances) == 0


class Indices(Samples):
    """Samples that remember the indices as they came."""

    def __getitem__(self, index):
        self.loaded.append((index, getattr(index, 'position', None)))
        return None if index == 0 else dict(self.samples[index])


def test_positions_reach_the_data_sets_inside_when_drawn_again_too():
    below = Indices(empty().samples)
    dataset = build(below, sources())
    assert dataset[SampleIndex(0, 7, 5)] is not None
    assert below.loaded[0] == (0, 7)
    assert below.loaded[-1][0] != 0
    assert {position for _, position in below.loaded} == {7}


def test_the_source_gets_the_position_too():
    above = Indices(sources().samples)
    dataset = build(empty(), above, allow=[3])
    sampler = InfiniteSampler(dataset, seed=1)
    for _, index in zip(range(2), sampler, strict=False):
        dataset[index]
    assert above.loaded == [(3, 0), (3, 1)]


def test_one_inside_another_draws_other_numbers():
    """Both paste one of many objects; the same draws would paste the same."""
    boxes = [rectangle(4 * i, 0, 4 * i + 3, 4) for i in range(12)]
    above = Samples([sample([box], labels=[0]) for box in boxes])
    inner = CopyPasteDataset(
        empty(), above, dict(num_pasted='all'), pipeline=[]
    )
    dataset = build(inner, above)
    sampler = InfiniteSampler(dataset, seed=1)
    counts = [
        len(dataset[index]['data_samples'].gt_instances)
        for _, index in zip(range(30), sampler, strict=False)
    ]
    # A second paste at the same place hides the first.
    assert counts.count(2) > 20


def images_of(dataset, workers, skip=0, count=12, seed=4, **kwargs):
    sampler = InfiniteSampler(dataset, seed=seed)
    sampler.skip(skip)
    loader = DataLoader(
        dataset,
        batch_size=2,
        sampler=sampler,
        num_workers=workers,
        collate_fn=pseudo_collate,
        worker_init_fn=partial(
            worker_init_fn, num_workers=workers, rank=0, seed=seed
        ),
        **kwargs,
    )
    batches = iter(loader)
    return [
        image.numpy()
        for _ in range(count // 2)
        for image in next(batches)['inputs']
    ]


def test_samples_do_not_depend_on_workers_or_resuming():
    dataset = build(destinations(), sources(), copy_paste={})
    expected = images_of(dataset, 0)
    for workers in (1, 2, 3):
        found = images_of(dataset, workers)
        assert all(map(np.array_equal, expected, found))
    resumed = images_of(dataset, 2, skip=4, count=8)
    assert all(map(np.array_equal, expected[4:], resumed))
    other = images_of(dataset, 0, seed=5)
    assert not all(map(np.array_equal, expected, other))


# A Runner copies its config, in which the data set may stand ready.
@pytest.mark.parametrize('copied', [lambda same: same, copy.deepcopy])
def test_the_stop_reaches_persistent_workers(copied):
    dataset = copied(build(empty(), sources()))
    loader = DataLoader(
        dataset,
        batch_size=1,
        num_workers=2,
        persistent_workers=True,
        collate_fn=pseudo_collate,
    )

    def pasted():
        return [len(batch['data_samples'][0].gt_instances) for batch in loader]

    assert pasted() == [1, 1, 1]
    dataset.stop_pasting()
    assert pasted() == [0, 0, 0]
