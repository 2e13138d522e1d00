"""The tiny data sets are laid out, labelled and read as the real ones."""

import numpy as np
import pytest
from check_configs import ROOT
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.datasets import ADE20KDataset, CityscapesDataset, PascalVOCDataset
from PIL import Image
from tiny_segmentation import NUM_IMAGES, make_tiny_segmentation

VOC = 'data/VOCdevkit/VOC2012'
ADE = 'data/ade/ADEChallengeData2016'
CITY = 'data/cityscapes'
FILES = {
    'voc12aug-512x512': [
        f'{VOC}/ImageSets/Segmentation/{part}.txt'
        for part in ('aug', 'train', 'val')
    ]
    + [f'{VOC}/JPEGImages/tiny_{i}.jpg' for i in range(3)]
    + [f'{VOC}/SegmentationClass/tiny_{i}.png' for i in range(3)]
    + [f'{VOC}/SegmentationClassAug/tiny_{i}.png' for i in range(3)],
    'cityscapes-512x1024': [
        f'{CITY}/{folder}/{part}/aachen/tiny_{i}_{ending}.png'
        for folder, ending in (
            ('gtFine', 'gtFine_labelTrainIds'),
            ('leftImg8bit', 'leftImg8bit'),
        )
        for part in ('train', 'val')
        for i in range(3)
    ],
    'ade20k-512x512': [
        f'{ADE}/{folder}/{part}/tiny_{i}.{ending}'
        for folder, ending in (('annotations', 'png'), ('images', 'jpg'))
        for part in ('training', 'validation')
        for i in range(3)
    ],
}


def datasets_of(fragment):
    """The training and the validation data sets of a fragment."""
    path = ROOT / 'configs' / '_base_' / 'datasets' / f'{fragment}.py'
    config = Config.fromfile(path).to_dict()
    train = config['train_dataloader']['dataset']
    return [
        *train.get('datasets', [train]),
        config['val_dataloader']['dataset'],
    ]


@pytest.mark.parametrize('fragment', FILES)
def test_files_are_those_of_the_real_layout(fragment, tmp_path):
    for dataset in datasets_of(fragment):
        home = make_tiny_segmentation(dataset, tmp_path)
        assert home == tmp_path / dataset['data_root']

    found = (p for p in tmp_path.rglob('*') if p.is_file())
    names = sorted(p.relative_to(tmp_path).as_posix() for p in found)
    assert names == FILES[fragment]


@pytest.mark.parametrize(
    ('fragment', 'kind', 'classes'),
    [
        ('voc12aug-512x512', PascalVOCDataset, 21),
        ('cityscapes-512x1024', CityscapesDataset, 19),
        ('ade20k-512x512', ADE20KDataset, 150),
    ],
)
def test_labels_as_read_are_classes_or_ignored(
    fragment, kind, classes, tmp_path
):
    config = datasets_of(fragment)[-1]
    config['data_root'] = str(make_tiny_segmentation(config, tmp_path))
    steps = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
    del config['type'], config['pipeline']
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = kind(**config, pipeline=steps)
    assert len(dataset) == NUM_IMAGES
    for sample in dataset:
        labels = np.unique(sample['gt_seg_map'])
        assert sample['img'].shape[:2] == sample['gt_seg_map'].shape
        assert labels[-1] == 255
        assert len(labels) > 1
        assert labels[-2] < classes


def test_vocs_label_maps_have_a_palette_and_the_images_are_not_square(
    tmp_path,
):
    config = datasets_of('voc12aug-512x512')[0]
    home = make_tiny_segmentation(config, tmp_path)
    with Image.open(home / 'SegmentationClass' / 'tiny_0.png') as label_map:
        assert (label_map.mode, label_map.size) == ('P', (128, 96))
