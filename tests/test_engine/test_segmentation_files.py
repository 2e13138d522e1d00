"""Tests of finding out which files of segmentation data are missing."""

import shutil
from pathlib import Path

import pytest
from check_configs import ROOT
from mmengine.config import Config
from mmseg.datasets import BaseSegDataset, PascalVOCDataset
from mmseg.registry import DATASETS
from tiny_segmentation import make_tiny_segmentation

from mmcp.engine.data_check import check_data
from mmcp.engine.failures import explain
from mmcp.engine.segmentation_files import (
    is_segmentation_data,
    missing_files,
)

FRAGMENTS = ['voc12aug-512x512', 'cityscapes-512x1024', 'ade20k-512x512']
PARTS = ['train', 'val', 'test']


def make(fragment, tmp_path):
    """The config of real data sets on tiny files in their real layout."""
    path = ROOT / 'configs' / '_base_' / 'datasets' / f'{fragment}.py'
    cfg = Config.fromfile(path)
    cfg.default_scope = 'mmseg'
    for loader in (
        cfg.train_dataloader,
        cfg.val_dataloader,
        cfg.test_dataloader,
    ):
        for dataset in loader.dataset.get('datasets', [loader.dataset]):
            dataset.data_root = str(make_tiny_segmentation(dataset, tmp_path))
    return cfg, tmp_path / 'data'


def told(cfg, parts=PARTS):
    with pytest.raises(FileNotFoundError) as caught:
        check_data(cfg, parts)
    text = explain(caught.value)
    first, *lines, last = text.split('\n')
    assert first == 'Files of the data sets are missing:'
    assert last.startswith('Complete the data, or change the paths')
    return [line.strip() for line in lines]


@pytest.mark.parametrize('fragment', FRAGMENTS)
def test_whole_data_sets_are_accepted(fragment, tmp_path):
    check_data(make(fragment, tmp_path)[0], PARTS)


@pytest.mark.parametrize('fragment', FRAGMENTS)
def test_a_missing_root_is_named_with_the_keys_that_lead_to_it(
    fragment, tmp_path
):
    cfg, _ = make(fragment, tmp_path)
    shutil.rmtree(tmp_path / 'data')
    with pytest.raises(FileNotFoundError) as caught:
        check_data(cfg, PARTS)
    dataset = cfg.val_dataloader.dataset
    text = explain(caught.value)
    assert caught.value.filename == dataset.data_root
    assert text.startswith(f'{dataset.data_root} does not exist')


def test_all_that_is_missing_is_listed_once(tmp_path):
    cfg, data = make('voc12aug-512x512', tmp_path)
    home = data / 'VOCdevkit' / 'VOC2012'
    lists = home / 'ImageSets' / 'Segmentation'
    shutil.rmtree(home / 'SegmentationClassAug')
    (lists / 'val.txt').unlink()
    (home / 'JPEGImages' / 'tiny_1.jpg').unlink()
    (home / 'SegmentationClass' / 'tiny_0.png').unlink()

    assert told(cfg) == [
        f'1 of 3 images for {lists}/train.txt: {home}/JPEGImages/tiny_1.jpg',
        f'1 of 3 label maps for {lists}/train.txt: '
        f'{home}/SegmentationClass/tiny_0.png',
        f'no folder {home}/SegmentationClassAug',
        f'1 of 3 images for {lists}/aug.txt: {home}/JPEGImages/tiny_1.jpg',
        f'no list {lists}/val.txt',
    ]
    assert told(cfg, ['test']) == [f'no list {lists}/val.txt']


def test_label_maps_that_were_never_converted(tmp_path):
    cfg, data = make('cityscapes-512x1024', tmp_path)
    folder = data / 'cityscapes' / 'gtFine' / 'train' / 'aachen'
    for path in folder.iterdir():
        path.rename(folder / path.name.replace('TrainIds', 'Ids'))
    (folder.parents[2] / 'leftImg8bit/train/aachen/x_leftImg8bit.png').touch()

    ending = 'gtFine_labelTrainIds.png'
    assert told(cfg) == [
        f'4 of 4 label maps for {data}/cityscapes/leftImg8bit/train: '
        f'{folder}/tiny_0_{ending}, {folder}/tiny_1_{ending}, '
        f'{folder}/tiny_2_{ending}, ...'
    ]


def test_lists_without_names_or_with_empty_lines(tmp_path):
    cfg, _ = make('voc12aug-512x512', tmp_path)
    dataset = cfg.val_dataloader.dataset
    path = Path(dataset.data_root) / dataset.ann_file
    text = path.read_text()
    path.write_text(f'{text}\n')
    count = len(text.splitlines())
    assert told(cfg, ['val']) == [f'line {count + 1} of {path} is empty']
    path.write_text('')
    assert told(cfg, ['val']) == [f'no names in {path}']


def test_folders_without_images(tmp_path):
    cfg, data = make('ade20k-512x512', tmp_path)
    images = data / 'ade' / 'ADEChallengeData2016' / 'images'
    shutil.rmtree(images / 'training')
    for path in (images / 'validation').iterdir():
        path.rename(path.with_suffix('.jpeg'))

    assert told(cfg) == [
        f'no folder {images}/training',
        f'no *.jpg in {images}/validation',
    ]


def voc(tmp_path, **options):
    """A training data set of VOC whose label maps are missing."""
    cfg, data = make('voc12aug-512x512', tmp_path)
    dataset = cfg.train_dataloader.dataset.datasets[0]
    shutil.rmtree(data / 'VOCdevkit' / 'VOC2012' / 'SegmentationClass')
    return dict(dataset, **options)


@pytest.mark.parametrize(
    'options',
    [
        dict(data_root='s3://bucket'),
        dict(backend_args=dict(backend='petrel')),
        # Predictions for images without labels.
        dict(pipeline=[dict(type='LoadImageFromFile')]),
    ],
)
def test_what_cannot_be_told_or_is_not_read_is_accepted(tmp_path, options):
    dataset = voc(tmp_path, **options)
    assert missing_files(dataset, PascalVOCDataset) == []
    check_data(
        Config(
            dict(default_scope='mmseg', train_dataloader=dict(dataset=dataset))
        ),
        ['train'],
    )


def test_label_maps_are_missed_where_they_are_loaded(tmp_path):
    (line,) = missing_files(voc(tmp_path), PascalVOCDataset)
    assert line.startswith('no folder ')


def test_suffixes_come_from_the_config_the_class_or_its_base(tmp_path):
    class Photos(BaseSegDataset):
        """A user's own, with its own end of names."""

        def __init__(self, img_suffix='.bmp', **kwargs):
            super().__init__(img_suffix=img_suffix, **kwargs)

    (tmp_path / 'a.bmp').touch()
    pipeline = [dict(type='LoadAnnotations')]
    prefix = dict(img_path='', seg_map_path='')
    data = dict(data_root=str(tmp_path), data_prefix=prefix, pipeline=pipeline)
    expected = f'1 of 1 label maps for {tmp_path}/: {tmp_path}/a'
    assert missing_files(data, Photos) == [expected + '.png']
    data['seg_map_suffix'] = '_map.png'
    assert missing_files(data, Photos) == [expected + '_map.png']
    data['img_suffix'] = '.tif'
    assert missing_files(data, Photos) == [f'no *.tif in {tmp_path}/']


def test_only_data_sets_that_find_files_as_mmsegmentation_are_looked_at():
    class Own(BaseSegDataset):
        """Finds its files in a way of its own."""

        def load_data_list(self):
            return []

    kinds = {name: DATASETS.get(name) for name in ('ADE20KDataset', 'Nope')}
    assert is_segmentation_data(kinds['ADE20KDataset'])
    assert not is_segmentation_data(kinds['Nope'])
    assert not is_segmentation_data(Own)
    # It is no BaseSegDataset but wraps them.
    assert not is_segmentation_data(DATASETS.get('MultiImageMixDataset'))
