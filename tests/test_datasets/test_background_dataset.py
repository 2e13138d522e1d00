import numpy as np
import pytest
from cutout_samples import write_backgrounds
from mmengine.registry import DATASETS, init_default_scope

from mmcp.datasets import BackgroundDataset

CLASSES = dict(classes=('apple', 'pear'))
LOAD = [
    dict(type='LoadImageFromFile'),
    dict(type='mmcp.LoadAnnotations', with_bbox=True, with_mask=True),
]


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


def test_images_without_objects(tmp_path):
    write_backgrounds(tmp_path / 'a', count=2)
    write_backgrounds(tmp_path / 'b' / 'c', count=1)
    (tmp_path / 'a' / 'notes.txt').write_text('no image')
    dataset = DATASETS.build(
        dict(
            type='mmcp.BackgroundDataset',
            data_root=str(tmp_path),
            metainfo=CLASSES,
            pipeline=LOAD,
        )
    )
    assert isinstance(dataset, BackgroundDataset)
    assert dataset.metainfo['classes'] == ('apple', 'pear')
    assert len(dataset) == 3
    assert dataset.get_cat_ids(0) == []
    assert dataset.get_data_info(2) == dict(
        img_path=str(tmp_path / 'b' / 'c' / '0.jpg'),
        img_id=2,
        sample_idx=2,
        instances=[],
    )
    sample = dataset[1]
    assert np.abs(sample['img'].astype(int) - 101).max() <= 1
    assert sample['gt_bboxes'].tensor.shape == (0, 4)
    assert len(sample['gt_masks']) == 0


def test_unreadable_ones_are_counted(tmp_path):
    write_backgrounds(tmp_path, count=2)
    (tmp_path / 'x.jpg').write_bytes(b'')
    (tmp_path / 'y.png').write_bytes(b'nothing')
    with pytest.warns(
        UserWarning,
        match=r'2 of 4 images .*: 2 unreadable \(x.jpg, y.png\)$',
    ):
        dataset = BackgroundDataset(CLASSES, str(tmp_path))
    assert len(dataset) == 2
    assert len(BackgroundDataset(CLASSES, str(tmp_path), verify=False)) == 4


def test_what_cannot_work_is_said_at_once(tmp_path):
    with pytest.raises(ValueError, match="needs 'classes'"):
        BackgroundDataset({}, str(tmp_path))
    with pytest.raises(FileNotFoundError, match='no folder .*gone'):
        BackgroundDataset(CLASSES, str(tmp_path / 'gone'))
    with pytest.raises(ValueError, match='has no readable image'):
        BackgroundDataset(CLASSES, data_prefix=dict(img=str(tmp_path)))
