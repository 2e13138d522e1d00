"""Tests of finding out which files of PASCAL VOC's layout are missing."""

import shutil

import pytest
from check_configs import ROOT
from mmdet.datasets import VOCDataset
from mmengine.config import Config
from tiny_voc import NUM_IMAGES, make_tiny_voc

from mmcp.engine.data_check import check_data
from mmcp.engine.voc_files import is_voc_data, missing_voc_files

PARTS = ['train', 'val', 'test']


@pytest.fixture
def cfg(tmp_path):
    """The config of the real data sets on tiny files in their layout."""
    path = ROOT / 'configs' / '_base_' / 'datasets' / 'voc0712-1024_lsj.py'
    cfg = Config.fromfile(path)
    cfg.default_scope = 'mmdet'
    for part in PARTS:
        dataset = cfg[f'{part}_dataloader'].dataset
        nested = dataset.get('dataset', {}).get('datasets', [dataset])
        for one in nested:
            one.data_root = str(make_tiny_voc(one, tmp_path))
    return cfg


@pytest.fixture
def home(tmp_path):
    return tmp_path / 'data' / 'VOCdevkit'


def told(cfg, parts=PARTS):
    with pytest.raises(FileNotFoundError) as caught:
        check_data(cfg, parts)
    first, *lines, last = str(caught.value).split('\n')
    assert first == 'Files of the data sets are missing:'
    assert last.startswith('Complete the data')
    return [line.strip() for line in lines]


def test_whole_data_sets_are_accepted(cfg):
    check_data(cfg, PARTS)


def test_all_that_is_missing_is_listed(cfg, home):
    lists = 'ImageSets/Main'
    (home / 'VOC2007/JPEGImages/tiny_2.jpg').unlink()
    shutil.rmtree(home / 'VOC2012/Annotations')
    (home / 'VOC2007' / lists / 'test.txt').unlink()

    seven, twelve = (home / f'VOC{year}' for year in (2007, 2012))
    assert told(cfg) == [
        f'1 of {NUM_IMAGES} images for {seven}/{lists}/trainval.txt: '
        f'{seven}/JPEGImages/tiny_2.jpg',
        f'3 of {NUM_IMAGES} annotations for {twelve}/{lists}/trainval.txt: '
        f'{twelve}/Annotations/tiny_0.xml, {twelve}/Annotations/tiny_1.xml, '
        f'{twelve}/Annotations/tiny_2.xml',
        f'no list {seven}/{lists}/test.txt',
    ]
    assert told(cfg, ['val']) == [f'no list {seven}/{lists}/test.txt']


def test_a_missing_root_is_named(cfg, home):
    shutil.rmtree(home)
    with pytest.raises(FileNotFoundError) as caught:
        check_data(cfg, PARTS)
    root = cfg.val_dataloader.dataset.data_root
    assert caught.value.filename == root


@pytest.mark.parametrize(
    'options',
    [
        dict(backend_args=dict(backend='petrel')),
        dict(data_root='s3://bucket/VOCdevkit/'),
    ],
)
def test_what_is_elsewhere_is_left_alone(cfg, options):
    dataset = cfg.val_dataloader.dataset
    dataset.update(ann_file='none.txt', **options)
    check_data(cfg, ['val'])


def test_folders_of_other_names(cfg, home):
    folder = home / 'VOC2007'
    (folder / 'JPEGImages').rename(folder / 'photos')
    dataset = cfg.val_dataloader.dataset

    assert len(missing_voc_files(dataset, VOCDataset)) == 1
    dataset.img_subdir = 'photos'
    assert missing_voc_files(dataset, VOCDataset) == []


def test_data_sets_with_a_way_of_their_own_are_left_alone():
    class Other(VOCDataset):
        def load_data_list(self):
            return []

    assert is_voc_data(VOCDataset)
    assert not is_voc_data(Other)
    assert not is_voc_data(dict)
