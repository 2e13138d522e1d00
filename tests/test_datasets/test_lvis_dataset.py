import pickle
from pathlib import Path

import lvis_samples
import numpy as np
import pytest
import torch
from mmdet.datasets import CocoDataset
from mmengine.registry import DATASETS, DefaultScope

from mmcp.datasets import CopyPasteDataset, LVISDataset
from mmcp.datasets.samplers import RepeatFactorSampler
from mmcp.evaluation import LVISMetric

URL = 'http://images.cocodataset.org/'


def make_data(**changes):
    data = lvis_samples.make_annotations()
    for image in data['images']:
        image['coco_url'] = f'{URL}train2017/{image["id"]:012d}.jpg'
        image['file_name'] = f'{image["id"]:012d}.jpg'
    return {**data, **changes}


def build(tmp_path, data=None, **kwargs):
    path = lvis_samples.write(tmp_path / 'lvis.json', data or make_data())
    return LVISDataset(ann_file=path, **kwargs)


def infos(dataset):
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def names(data):
    return tuple(one['name'] for one in data['categories'])


def as_lists(info):
    """Polygons as the lists that MMDetection keeps them in."""
    instances = [
        {**one, 'mask': [np.asarray(part).tolist() for part in one['mask']]}
        for one in info['instances']
    ]
    return {**info, 'instances': instances}


@pytest.mark.parametrize('filter_cfg', [None, dict(filter_empty_gt=True)])
@pytest.mark.parametrize('chosen', [slice(None), slice(1, 8, 3)])
def test_samples_are_mmdetections(tmp_path, filter_cfg, chosen):
    data = make_data()
    kwargs = dict(
        metainfo=dict(classes=names(data)[chosen]),
        data_prefix=dict(img='images/train2017/'),
        filter_cfg=filter_cfg,
    )
    ours = build(tmp_path, data, **kwargs)
    path = lvis_samples.write(tmp_path / 'coco.json', data)
    stock = CocoDataset(ann_file=path, **kwargs)
    found, expected = map(infos, (ours, stock))
    extra = {one['id']: one for one in data['images']}
    for info in expected:
        for key in ('neg_category_ids', 'not_exhaustive_category_ids'):
            info[key] = extra[info['img_id']][key]
    assert [as_lists(info) for info in found] == expected
    assert sum(len(info['instances']) for info in found) > 3
    assert ours.cat_ids == stock.cat_ids
    if filter_cfg:
        assert 0 < len(ours) < len(data['images'])


def test_classes_are_those_of_the_file(tmp_path):
    data = make_data()
    dataset = build(tmp_path, data)
    assert dataset.metainfo == dict(
        classes=names(data),
        frequencies=tuple(one['frequency'] for one in data['categories']),
    )
    assert dataset.cat_ids == [one['id'] for one in data['categories']]
    assert LVISDataset.METAINFO == {}


def test_chosen_classes_are_in_the_order_of_the_file(tmp_path):
    data = make_data()
    wanted = [names(data)[i] for i in (5, 0, 2)]
    dataset = build(tmp_path, data, metainfo=dict(classes=wanted))
    order = [names(data)[i] for i in (0, 2, 5)]
    assert dataset.metainfo['classes'] == tuple(order)
    assert len(dataset.metainfo['frequencies']) == 3
    # So the metric gives them the same labels.
    metric = LVISMetric(dataset.ann_file)
    metric.dataset_meta = dataset.metainfo
    assert metric.category_indices.tolist() == [0, 2, 5]
    ids = [metric.annotations.category_ids[i] for i in (0, 2, 5)]
    assert dataset.cat_ids == ids


@pytest.mark.parametrize(
    ('image', 'prefix', 'expected'),
    [
        (dict(coco_url=f'{URL}val2017/1.jpg'), '', 'val2017/1.jpg'),
        (dict(coco_url=f'{URL}val2017/1.jpg'), 'a/', 'a/val2017/1.jpg'),
        # As MMDetection's configs of v0.5 have it.
        (dict(coco_url=f'{URL}val2017/1.jpg'), 'val2017/', 'val2017/1.jpg'),
        (
            dict(coco_url=f'{URL}val2017/1.jpg'),
            'train2017',
            'train2017/val2017/1.jpg',
        ),
        (dict(file_name='b/1.jpg'), 'a/', 'a/b/1.jpg'),
        (
            dict(file_name='COCO_val2014_000000000007.jpg'),
            'val2017/',
            'val2017/000000000007.jpg',
        ),
    ],
)
def test_where_images_lie(tmp_path, image, prefix, expected):
    data = make_data()
    row = {
        key: value
        for key, value in data['images'][0].items()
        if key not in ('coco_url', 'file_name')
    }
    data['images'][0] = row | image
    dataset = build(tmp_path, data, data_prefix=dict(img=prefix))
    assert dataset.get_data_info(0)['img_path'] == expected


def test_images_lie_below_the_root_if_nothing_is_said(tmp_path):
    lvis_samples.write(tmp_path / 'lvis.json', make_data())
    dataset = LVISDataset(data_root=str(tmp_path), ann_file='lvis.json')
    path = Path(dataset.get_data_info(0)['img_path'])
    assert path.parent == tmp_path / 'train2017'


def test_a_test_set_has_images_only(tmp_path):
    data = make_data()
    del data['annotations']
    for image in data['images']:
        del image['neg_category_ids'], image['not_exhaustive_category_ids']
    dataset = build(tmp_path, data, test_mode=True)
    assert len(dataset) == len(data['images'])
    assert not any(info['instances'] for info in infos(dataset))


def without(data, part, key):
    rows = [dict(one) for one in data[part]]
    del rows[1][key]
    return {**data, part: rows}


def broken_annotation(**changes):
    data = make_data()
    rows = [dict(one) for one in data['annotations']]
    rows[2].update(changes)
    return {**data, 'annotations': rows}


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        ({'images': [], 'annotations': []}, "the file has no 'categories'"),
        ({'images': [], 'categories': []}, "the file has no 'annotations'"),
        (without(make_data(), 'categories', 'name'), "category has no 'name'"),
        (without(make_data(), 'images', 'width'), "an image has no 'width'"),
        (
            without(
                without(make_data(), 'images', 'coco_url'),
                'images',
                'file_name',
            ),
            "an image has no 'file_name'",
        ),
        (
            without(make_data(), 'annotations', 'segmentation'),
            "an object has no 'segmentation'",
        ),
        (broken_annotation(image_id=4), 'in image 4, but not both'),
        (broken_annotation(category_id=4), 'category 4 in image'),
    ],
)
def test_files_that_are_not_lvis(tmp_path, data, message):
    with pytest.raises(ValueError, match=rf'lvis.json.*{message}'):
        build(tmp_path, data)


def test_unknown_classes(tmp_path):
    with pytest.raises(ValueError, match="no category 'kat'; leave out"):
        build(tmp_path, metainfo=dict(classes=['kat', 'zebra']))


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        LVISDataset(ann_file=str(tmp_path / 'none.json'))


def test_repeat_factors_and_copies_for_workers(tmp_path):
    dataset = build(tmp_path)
    sampler = RepeatFactorSampler(dataset, threshold=1.0, seed=0)
    labels = [dataset.get_cat_ids(i) for i in range(len(dataset))]
    share = [np.mean([k in one for one in labels]) for k in range(9)]
    expected = [
        max([1 / np.sqrt(share[label]) for label in one], default=1)
        for one in labels
    ]
    np.testing.assert_allclose(sampler.factors, expected)
    copied = pickle.loads(pickle.dumps(dataset))
    assert [copied.get_cat_ids(i) for i in range(len(copied))] == labels


def test_real_images_with_copy_paste(shared_data):
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='mmcp.LoadAnnotations', with_bbox=True, with_mask=True),
        dict(type='mmcp.ScaleJitter', size=256, ratio_range=(0.1, 2.0)),
    ]
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(
            dict(
                type='mmcp.LVISDataset',
                data_root=str(shared_data / 'lvis_tiny'),
                ann_file='lvis_v0.5_val_tiny.json',
                pipeline=pipeline,
            )
        )
    assert len(dataset.metainfo['classes']) == 1230
    objects = sum(len(dataset.get_cat_ids(i)) for i in range(len(dataset)))
    assert (len(dataset), objects) == (9, 77)
    mixed = CopyPasteDataset(dataset)
    for index in range(len(mixed)):
        sample = mixed[index]
        assert sample['inputs'].shape == (3, 256, 256)
        assert sample['inputs'].dtype == torch.uint8
