import json
from types import SimpleNamespace

import numpy as np
import pytest
from mmdet.datasets import CocoDataset
from mmengine.dataset import ConcatDataset
from mmengine.registry import DATASETS, init_default_scope
from paste_samples import rectangle, sample
from tiny_coco import NUM_IMAGES, make_tiny_coco

from mmcp.datasets import CopyPasteDataset, SelfTrainingDataset
from mmcp.datasets.sample_index import SampleIndex
from mmcp.engine.hooks.stop_pasting_hook import StopPastingHook

CLASSES = ('cat', 'dog', 'bird')
PACK = [dict(type='PackDetInputs', meta_keys=())]
ALL = dict(num_pasted='all')
LABELED, PSEUDO = 50, 200  # what the objects of each kind are painted with
SIZE = 20


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


class Samples:
    """Images of one value; each holds an object in the top left corner."""

    def __init__(self, count, value, classes=CLASSES):
        box = rectangle(2, 2, 8, 8, (SIZE, SIZE))
        self.samples = [
            sample([box], labels=[0], value=value, size=(SIZE, SIZE))
            for _ in range(count)
        ]
        self.metainfo = dict(classes=classes)

    def full_init(self):
        pass

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return dict(self.samples[index], number=int(index))

    def get_data_info(self, index):
        return dict(number=int(index), value=self[index]['img'][0, 0, 0])

    def get_cat_ids(self, index):
        return [int(index)]


def build(labeled_prob=0.0, pseudo_prob=0.0, **options):
    options = dict(pipeline=PACK, copy_paste=ALL, **options)
    return SelfTrainingDataset(
        Samples(3, LABELED), Samples(4, PSEUDO), labeled_prob, pseudo_prob,
        **options,
    )  # fmt: skip


def values(results):
    """Values of an object's pixel and of the background."""
    image = results['inputs'].numpy()
    return int(image[0, 4, 4]), int(image[0, 15, 15])


@pytest.mark.parametrize('labeled_prob', [0.0, 1.0])
@pytest.mark.parametrize('pseudo_prob', [0.0, 1.0])
def test_ground_truth_is_pasted_into_the_kinds_that_are_chosen(
    labeled_prob, pseudo_prob
):
    dataset = build(labeled_prob, pseudo_prob)
    counts = [
        len(dataset[i]['data_samples'].gt_instances)
        for i in range(len(dataset))
    ]

    # An object pasted onto one in the same place takes its place.
    pasted = LABELED if pseudo_prob else PSEUDO
    assert [values(dataset[i]) for i in range(3)] == [(LABELED, LABELED)] * 3
    assert [values(dataset[i]) for i in range(3, 7)] == [(pasted, PSEUDO)] * 4
    assert counts == [1] * 7


@pytest.mark.parametrize('kind', ['labeled', 'pseudo'])
def test_each_probability_is_that_of_its_own_images(kind):
    dataset = build(**{f'{kind}_prob': 1.0})
    first, second = dataset.datasets

    assert (first.prob, second.prob) == (kind == 'labeled', kind == 'pseudo')
    assert first.source is second.source is first.dataset


def test_images_stand_one_behind_the_other():
    dataset = build()
    infos = [dataset.get_data_info(i) for i in range(7)]

    assert len(dataset) == 7
    assert [info['number'] for info in infos] == [0, 1, 2, 0, 1, 2, 3]
    assert [dataset.get_cat_ids(i) for i in (2, 3)] == [[2], [0]]
    assert dataset.metainfo == dict(classes=CLASSES)
    for index in (-1, 7):
        with pytest.raises(IndexError, match=f'image {index} of 7'):
            dataset[index]


def test_a_sample_follows_from_seed_and_position(tmp_path):
    dataset = _coco(tmp_path, labeled_prob=0.5, pseudo_prob=0.5)
    index = NUM_IMAGES + 1
    first = dataset[SampleIndex(index, 17, 3)]['inputs']
    again = dataset[SampleIndex(index, 17, 3)]['inputs']
    other = dataset[SampleIndex(index, 18, 3)]['inputs']

    assert bool((first == again).all())
    assert not bool((first == other).all())


def test_the_hook_that_stops_the_pasting_reaches_both():
    dataset = build(1.0, 1.0)
    batches = SimpleNamespace(batch_size=2, sampler=None)
    loader = SimpleNamespace(dataset=dataset, batch_sampler=batches)
    runner = SimpleNamespace(train_dataloader=loader, iter=0)
    StopPastingHook(iteration=5).before_train(runner)

    late = [SampleIndex(4, position, 0) for position in (9, 10)]
    assert [values(dataset[index])[0] for index in late] == [LABELED, PSEUDO]


def test_options_are_for_both():
    dataset = build(1.0, 1.0, deny=['cat'], cache=0)
    assert values(dataset[4]) == (PSEUDO, PSEUDO)


def test_errors():
    with pytest.raises(ValueError, match="class 2 is 'cow' in dataset"):
        SelfTrainingDataset(
            Samples(2, LABELED), Samples(2, PSEUDO, ('cat', 'dog', 'cow'))
        )
    with pytest.raises(ValueError, match='sets prob, source itself'):
        build(source=Samples(1, 0), prob=0.5)
    with pytest.raises(ValueError, match='prob must lie in'):
        build(pseudo_prob=1.5)


def _coco_config(root, classes=CLASSES, pipeline=()):
    return dict(
        type='CocoDataset',
        data_root=str(root),
        ann_file='instances.json',
        data_prefix=dict(img='images/'),
        metainfo=dict(classes=classes),
        pipeline=list(pipeline),
    )


def _coco(folder, **kwargs):
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='mmcp.LoadAnnotations', with_bbox=True, with_mask=True),
        dict(type='mmcp.ScaleJitter', size=64, ratio_range=(0.5, 2.0)),
    ]
    parts = []
    for seed in range(3):
        make_tiny_coco(folder / str(seed), CLASSES, seed)
        parts.append(_coco_config(folder / str(seed), pipeline=pipeline))
    return DATASETS.build(
        dict(
            type='mmcp.SelfTrainingDataset',
            labeled=parts[0],
            pseudo=dict(type='ConcatDataset', datasets=parts[1:]),
            **kwargs,
        )
    )


def test_several_sets_of_pseudo_labels_from_configs(tmp_path):
    dataset = _coco(tmp_path, pseudo_prob=1.0)
    labeled, pseudo = (part.dataset for part in dataset.datasets)

    assert isinstance(labeled, CocoDataset)
    assert isinstance(pseudo, ConcatDataset)
    assert [len(part) for part in dataset.datasets] == [
        NUM_IMAGES,
        2 * NUM_IMAGES,
    ]
    assert all(isinstance(p, CopyPasteDataset) for p in dataset.datasets)
    names = [
        dataset.get_data_info(i * NUM_IMAGES)['img_path'] for i in range(3)
    ]
    assert names == [str(tmp_path / f'{i}/images/0.png') for i in range(3)]
    # One that is empty receives objects of the labelled images.
    empty = 2 * NUM_IMAGES - 1
    counts = [
        len(dataset[SampleIndex(empty, p, 0)]['data_samples'].gt_instances)
        for p in range(12)
    ]
    assert np.count_nonzero(counts) > 3


def test_a_file_without_the_classes_is_refused(tmp_path):
    path = make_tiny_coco(tmp_path, CLASSES)
    content = json.loads(path.read_text())
    content['categories'][1]['name'] = 'Dog'
    path.with_name('other.json').write_text(json.dumps(content))
    good, bad = _coco_config(tmp_path), _coco_config(tmp_path)
    bad['ann_file'] = 'other.json'

    with pytest.raises(ValueError, match='other.json has 2 of the 3 classes'):
        SelfTrainingDataset(
            good, dict(type='ConcatDataset', datasets=[good, bad])
        )
