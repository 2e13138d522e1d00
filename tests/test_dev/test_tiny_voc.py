"""Tests of the tiny data set in PASCAL VOC's layout."""

import pytest
from mmdet.datasets import VOCDataset
from mmengine.registry import init_default_scope
from tiny_voc import NUM_IMAGES, OBJECTS_PER_IMAGE, make_tiny_voc

CONFIG = dict(
    data_root='data/VOCdevkit/',
    ann_file='VOC2007/ImageSets/Main/test.txt',
    data_prefix=dict(sub_data_root='VOC2007/'),
)


@pytest.fixture
def dataset(tmp_path):
    init_default_scope('mmdet')
    home = make_tiny_voc(CONFIG, tmp_path)
    assert home == tmp_path / 'data' / 'VOCdevkit'
    return VOCDataset(
        **{**CONFIG, 'data_root': str(home)},
        pipeline=[dict(type='LoadImageFromFile')],
    )


def test_mmdetection_reads_it(dataset):
    assert len(dataset) == NUM_IMAGES
    assert dataset.metainfo['dataset_type'] == 'VOC2007'
    flags = []
    for index, sample in enumerate(dataset):
        height, width = sample['img'].shape[:2]
        assert (sample['height'], sample['width']) == (height, width)
        assert len(sample['instances']) == OBJECTS_PER_IMAGE
        for instance in sample['instances']:
            left, top, right, bottom = instance['bbox']
            assert 0 <= left < right < width
            assert 0 <= top < bottom < height
            assert 0 <= instance['bbox_label'] < 20
            if instance['ignore_flag']:
                flags.append(index)
    # One difficult object.
    assert flags == [0]


def test_it_is_the_same_every_time(tmp_path):
    contents = []
    for name in ('a', 'b'):
        make_tiny_voc(CONFIG, tmp_path / name)
        files = sorted((tmp_path / name).rglob('*.*'))
        contents.append([f.read_bytes() for f in files])
    assert contents[0] == contents[1]
    assert len(contents[0]) == 2 * NUM_IMAGES + 1
