"""CopyPasteDataset makes jittered images late, and the same ones."""

import copy
import pickle

import numpy as np
import pytest
import torch
from mmdet.datasets import BaseDetDataset
from mmengine.dataset import (
    ClassBalancedDataset,
    Compose,
    ConcatDataset,
    RepeatDataset,
)
from mmengine.registry import init_default_scope
from paste_samples import random_sample

from mmcp.datasets import CopyPasteDataset, copy_paste_dataset, late_jitters
from mmcp.datasets.sample_index import SampleIndex
from mmcp.datasets.transforms import CopyPaste, PackDetInputs, ScaleJitter
from mmcp.functional.jittered_image import JitteredImage
from mmcp.structures import CroppedBitmapMasks

CLASSES = ('cat', 'dog', 'bird', 'horse', 'cow')
PACK = [dict(type='mmcp.PackDetInputs')]
RESULTS = [lambda results: results]


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


def pickled(dataset):
    return pickle.loads(pickle.dumps(dataset))


def load(results):
    rng = np.random.default_rng(results['number'])
    loaded = random_sample(rng, 4, size=(60, 80))
    smooth = np.linspace(0, 200, 60 * 80).reshape(60, 80, 1)
    loaded['img'] = (smooth + rng.integers(50)).astype(np.uint8).repeat(3, 2)
    return loaded


class Folder(BaseDetDataset):
    """Four images with objects."""

    METAINFO = dict(classes=CLASSES)

    def load_data_list(self):
        return [
            dict(number=n, instances=[dict(bbox_label=n, ignore_flag=0)])
            for n in range(4)
        ]


def jitter(**kwargs):
    return ScaleJitter(size=(96, 64), ratio_range=(0.5, 1.8), **kwargs)


def folder(*later):
    return Folder(pipeline=[load, jitter(), *later])


def wrapped(kind):
    if kind == 'repeat':
        return RepeatDataset(folder(), 2)
    if kind == 'balanced':
        return ClassBalancedDataset(folder(), 0.1)
    if kind == 'concat':
        return ConcatDataset([folder(), folder()])
    return folder()


def samples_of(dataset, count=24):
    return [
        dataset[SampleIndex(place % len(dataset), place, 3)]
        for place in range(count)
    ]


def check_alike(late, now):
    for one, other in zip(late, now, strict=True):
        assert isinstance(one['img'], np.ndarray)
        assert one['img'].dtype == np.uint8
        difference = np.abs(one['img'].astype(int) - other['img'])
        assert difference.mean() <= 0.5
        assert difference.max() <= 8
        masks = one['gt_masks'].to_ndarray()
        np.testing.assert_array_equal(masks, other['gt_masks'].to_ndarray())
        assert (one['gt_bboxes'].tensor == other['gt_bboxes'].tensor).all()


def at_once(monkeypatch):
    for module in (copy_paste_dataset, late_jitters):
        for name in ('ends_in_jitter', 'last_is_jitter'):
            monkeypatch.setattr(module, name, lambda _: False)


@pytest.fixture
def windows(monkeypatch):
    """Windows of sources that were made without the rest."""
    made = []
    whole = JitteredImage.__getitem__

    def record(self, window):
        made.append(window)
        return whole(self, window)

    monkeypatch.setattr(JitteredImage, '__getitem__', record)
    return made


@pytest.mark.parametrize('kind', ['plain', 'repeat', 'balanced', 'concat'])
@pytest.mark.parametrize('blend', ['none', 'gaussian'])
def test_samples_are_the_same(monkeypatch, windows, kind, blend):
    arguments = dict(pipeline=RESULTS, copy_paste=dict(blend=blend))
    late = samples_of(CopyPasteDataset(wrapped(kind), **arguments))
    assert windows
    windows.clear()
    at_once(monkeypatch)
    now = samples_of(CopyPasteDataset(wrapped(kind), **arguments))
    assert not windows
    check_alike(late, now)


@pytest.mark.parametrize('prob', [0.0, 1.0])
@pytest.mark.parametrize('blend', ['none', 'gaussian'])
def test_what_is_packed_at_last_is_the_same(blend, prob):
    def build(**pipeline):
        dataset = CopyPasteDataset(
            folder(), copy_paste=dict(blend=blend), prob=prob, **pipeline
        )
        return dataset, samples_of(dataset, 8)

    late, packed = build()
    assert late._packs
    at_once, expected = build(pipeline=[look, PackDetInputs()])
    assert not at_once._packs
    for one, other in zip(packed, expected, strict=True):
        assert torch.equal(one['inputs'], other['inputs'])
        meta = one['data_samples'].metainfo
        assert meta == other['data_samples'].metainfo
        mine = one['data_samples'].gt_instances
        theirs = other['data_samples'].gt_instances
        assert torch.equal(mine.bboxes.tensor, theirs.bboxes.tensor)
        assert torch.equal(mine.labels, theirs.labels)
        np.testing.assert_array_equal(
            mine.masks.to_ndarray(), theirs.masks.to_ndarray()
        )


def test_a_pipeline_that_is_switched_later_gets_an_array():
    dataset = CopyPasteDataset(folder())
    samples_of(dataset, 2)
    dataset.pipeline = Compose([look, PackDetInputs()])
    samples_of(dataset)


def test_mixing_takes_images_that_are_made_late(monkeypatch):
    def build():
        mix = dict(type='mmcp.DetMixUp', prob=0.5)
        return CopyPasteDataset(folder(), copy_paste=mix)

    late = build()
    assert late._postponed
    got = samples_of(late)
    at_once(monkeypatch)
    now = build()
    assert not now._postponed
    for one, other in zip(got, samples_of(now), strict=True):
        assert torch.equal(one['inputs'], other['inputs'])


class CuriousPaste(CopyPaste):
    """Looks at what it made."""

    def transform(self, results):
        return look(super().transform(results))


class CuriousPack(PackDetInputs):
    """Looks at what it packs."""

    def transform(self, results):
        return super().transform(look(results))


def test_a_class_of_the_users_own_gets_an_array():
    samples_of(CopyPasteDataset(folder(), pipeline=[CuriousPack()]))
    dataset = CopyPasteDataset(folder(), copy_paste=dict(type=CuriousPaste))
    samples_of(dataset)


def test_a_jitter_after_the_cache_is_late_too(monkeypatch, windows):
    def build():
        return CopyPasteDataset(
            folder(),
            Folder(pipeline=[load]),
            source_pipeline=[jitter()],
            pipeline=RESULTS,
            cache=3,
        )

    late = samples_of(build())
    assert windows
    at_once(monkeypatch)
    check_alike(late, samples_of(build()))


def test_what_is_cached_is_not_written_to():
    dataset = CopyPasteDataset(folder(), pipeline=RESULTS, cache=2)
    samples_of(dataset, 4)
    cached = [sample['img'] for sample in dataset._cache.samples]
    assert all(isinstance(image, JitteredImage) for image in cached)
    before = [image.image.copy() for image in cached]
    dataset._cache.reuse = 10**6
    for sample in samples_of(dataset, 20):
        sample['img'][...] = 0
    for image, old in zip(cached, before, strict=True):
        np.testing.assert_array_equal(image.image, old)


def look(results):
    assert isinstance(results['img'], np.ndarray)
    return results


class Curious(Folder):
    """Looks at what its pipeline made."""

    def prepare_data(self, idx):
        return look(super().prepare_data(idx))


class CuriousJitter(ScaleJitter):
    """Looks at what it made."""

    def transform(self, results):
        return look(super().transform(results))


class CuriousRepeats(RepeatDataset):
    """Looks at what the data set inside made."""

    def __getitem__(self, idx):
        return look(super().__getitem__(idx))


@pytest.mark.parametrize(
    'make',
    [
        lambda: folder(look),
        lambda: Folder(pipeline=[load, CuriousJitter(size=(96, 64))]),
        lambda: CuriousRepeats(folder(), 2),
        lambda: ConcatDataset([folder(), Curious(pipeline=[load, jitter()])]),
        lambda: Folder(pipeline=[load, jitter(), look, jitter()]),
        lambda: Curious(pipeline=[load, jitter()]),
        lambda: CopyPasteDataset(folder(), pipeline=[look]),
    ],
)
def test_whoever_looks_in_between_gets_an_array(windows, make):
    samples_of(CopyPasteDataset(make(), pipeline=[look]))
    samples_of(CopyPasteDataset(folder(), make(), pipeline=[look]))


def same(held):
    return held


class Held:
    """Jitters by what it holds, and looks at it."""

    def __init__(self, held, find):
        self.held = held
        self.find = find

    def __call__(self, results):
        return look(self.find(self.held)(results))


@pytest.mark.parametrize(
    ('wrap', 'find'),
    [
        (same, same),
        (lambda one: [dict(large=one)], lambda held: held[0]['large']),
        (lambda one: Compose([one]), same),
        (lambda one: Held(one, same), same),
    ],
)
def test_a_transform_that_holds_a_jitter_gets_an_array(wrap, find):
    own = Held(wrap(jitter()), find)
    pipeline = [load, own, jitter()]
    samples_of(CopyPasteDataset(Folder(pipeline=pipeline), pipeline=[look]))
    loaded = Folder(pipeline=[load])
    samples_of(
        CopyPasteDataset(folder(), loaded, source_pipeline=pipeline[1:])
    )


@pytest.mark.parametrize('cache', [0, 2])
def test_transforms_that_are_added_later_get_arrays(windows, cache):
    below, above = folder(), folder()
    dataset = CopyPasteDataset(below, above, cache=cache)
    samples_of(dataset, 8)
    assert windows
    dataset.source_pipeline.transforms.append(look)
    samples_of(dataset, 8)
    dataset.source_pipeline.transforms.clear()
    samples_of(dataset, 8)
    for changed in (below, above):
        windows.clear()
        changed.pipeline.transforms.append(look)
        dataset._cache.samples.clear()
        samples_of(dataset, 8)
    assert not windows


def test_a_transform_that_is_added_after_a_late_jitter_gets_arrays():
    dataset = CopyPasteDataset(
        folder(), Folder(pipeline=[load]), source_pipeline=[jitter()]
    )
    dataset.source_pipeline.transforms.append(look)
    samples_of(dataset, 8)


@pytest.mark.parametrize('copied', [copy.deepcopy, pickled])
def test_copies_make_images_late_too(windows, copied):
    dataset = copied(CopyPasteDataset(folder(), pipeline=PACK))
    assert dataset._postponed
    samples_of(dataset, 4)
    assert windows


def test_a_jitter_after_the_cache_that_looks_gets_an_array(windows):
    dataset = CopyPasteDataset(
        folder(),
        Folder(pipeline=[load]),
        source_pipeline=[CuriousJitter(size=(96, 64))],
        pipeline=[look],
        cache=2,
    )
    samples_of(dataset)


def load_large(results):
    return dict(
        load(results),
        img=np.zeros((600, 800, 3), np.uint8),
        gt_masks=CroppedBitmapMasks([], 600, 800),
        gt_bboxes=np.zeros((0, 4), np.float32),
        gt_bboxes_labels=np.zeros(0, np.int64),
        gt_ignore_flags=np.zeros(0, bool),
    )


def test_a_cache_keeps_the_smaller_of_input_and_output():
    large = Folder(pipeline=[load_large, jitter()])
    dataset = CopyPasteDataset(folder(), large, pipeline=RESULTS, cache=2)
    samples_of(dataset, 4)
    for sample in dataset._cache.samples:
        image = sample['img']
        assert isinstance(image, np.ndarray)
        kept = image if image.base is None else image.base
        assert kept.nbytes <= 1.15 * 96 * 64 * 3


def test_without_pasting_the_image_is_made_too():
    dataset = CopyPasteDataset(folder(), pipeline=[look], prob=0.0)
    assert len(samples_of(dataset)) == 24
