import random

import cv2
import numpy as np
import pytest
from cutout_samples import COLOURS, disc, write_backgrounds, write_cutouts
from mmengine.config import Config
from mmengine.dataset import ClassBalancedDataset, pseudo_collate
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import Runner
from tiny import write_coco, write_detector
from torch.utils.data import DataLoader

from mmcp.datasets import CopyPasteDataset, CutoutDataset
from mmcp.datasets.samplers import InfiniteSampler

LOAD = [dict(type='mmcp.LoadCutouts')]
PLACE = [*LOAD, dict(type='mmcp.PlaceCutouts', size=64)]


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


@pytest.fixture
def folder(tmp_path):
    return write_cutouts(tmp_path / 'cutouts')


def labels_of(results):
    return [entry['bbox_label'] for entry in results['cutouts']]


def test_sub_folders_are_the_classes(folder):
    dataset = CutoutDataset(str(folder), pipeline=PLACE)
    assert dataset.metainfo['classes'] == ('apple', 'pear')
    assert len(dataset) == 6
    assert [dataset.get_cat_ids(i) for i in range(6)] == [[0]] * 3 + [[1]] * 3
    assert dataset.get_data_info(4) == dict(
        img_path=str(folder / 'pear' / '1.png'),
        img_id=4,
        sample_idx=4,
        instances=[dict(bbox_label=1, ignore_flag=0, bbox=[1, 1, 24, 24])],
    )
    sample = dataset[4]
    assert sample['gt_bboxes_labels'].tolist() == [1]
    mask = sample['gt_masks'].to_ndarray()[0] > 0
    assert (sample['img'][mask] == COLOURS['pear']).all()
    assert sample['img_path'] == str(folder / 'pear' / '1.png')


def test_classes_of_the_user_keep_their_order(folder):
    classes = ('pear', 'plum', 'apple')
    dataset = CutoutDataset(
        data_prefix=dict(img=str(folder)), metainfo=dict(classes=classes)
    )
    assert dataset.metainfo['classes'] == classes
    assert {dataset.get_cat_ids(i)[0] for i in range(6)} == {0, 2}


def test_an_unknown_folder_is_named_with_the_nearest_class(folder):
    with pytest.raises(
        ValueError, match=r"'pear' of .* is not one of .*mean 'pears'\?"
    ):
        CutoutDataset(str(folder), dict(classes=('apple', 'pears')))


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match='no folder .*data_root'):
        CutoutDataset(str(tmp_path / 'gone'))
    with pytest.raises(FileNotFoundError, match='no folder .*data_root'):
        CutoutDataset(str(tmp_path / 'gone'), dict(classes=('a',)))
    cv2.imwrite(str(tmp_path / 'a.png'), disc())
    with pytest.raises(ValueError, match='has no sub-folders'):
        CutoutDataset(str(tmp_path))
    (tmp_path / 'apple').mkdir()
    with pytest.raises(ValueError, match='no file of .* is a cut-out'):
        CutoutDataset(str(tmp_path))


def spoil(folder):
    """Adds files that are no cut-outs."""
    cv2.imwrite(str(folder / 'apple' / 'x1.png'), disc()[..., :3])
    cv2.imwrite(str(folder / 'apple' / 'x2.jpg'), disc()[..., :3])
    cv2.imwrite(str(folder / 'pear' / 'y.png'), disc(alpha=100))
    (folder / 'pear' / 'z.png').write_bytes(b'')
    (folder / 'pear' / 'readme.txt').write_text('not an image')
    cv2.imwrite(str(folder / 'beside.png'), disc())


def test_bad_files_are_counted_in_one_warning(folder):
    spoil(folder)
    with pytest.warns(UserWarning, match='left out') as record:
        dataset = CutoutDataset(str(folder))
    (text,) = [str(entry.message) for entry in record]
    assert text == (
        f'{folder}: 4 of 10 images are left out: '
        '2 no alpha channel (apple/x1.png, apple/x2.jpg); '
        '1 fully transparent (pear/y.png); 1 unreadable (pear/z.png)'
    )
    assert len(dataset) == 6


@pytest.mark.filterwarnings('ignore:.*left out')
def test_without_verifying_bad_files_are_replaced_when_met(folder):
    spoil(folder)
    dataset = CutoutDataset(str(folder), pipeline=PLACE, verify=False)
    assert len(dataset) == 10
    assert 'bbox' not in dataset.get_data_info(0)['instances'][0]
    for index in range(10):
        assert len(dataset[index]['gt_masks']) == 1


def test_files_in_deeper_folders_and_upper_case(folder):
    (folder / 'pear' / 'more' / 'deep').mkdir(parents=True)
    cv2.imwrite(str(folder / 'pear' / 'more' / 'deep' / 'a.png'), disc())
    (folder / 'pear' / '0.png').rename(folder / 'pear' / '0.PNG')
    dataset = CutoutDataset(str(folder))
    assert [dataset.get_cat_ids(i)[0] for i in range(7)] == [0] * 3 + [1] * 4


def test_several_cutouts_in_a_sample(folder):
    dataset = CutoutDataset(str(folder), num_cutouts=(2, 4), pipeline=LOAD)
    np.random.seed(0)  # noqa: NPY002
    drawn = [labels_of(dataset[5]) for _ in range(200)]
    assert {len(labels) for labels in drawn} == {2, 3, 4}
    assert {labels[0] for labels in drawn} == {1}
    others = np.concatenate([labels[1:] for labels in drawn])
    assert 0.4 < others.mean() < 0.6
    one = CutoutDataset(str(folder), pipeline=LOAD)
    assert [len(labels_of(one[i])) for i in range(6)] == [1] * 6


@pytest.mark.parametrize('count', [0, (0, 2), (3, 2), -1])
def test_wrong_numbers_of_cutouts(folder, count):
    with pytest.raises(ValueError, match='num_cutouts must be'):
        CutoutDataset(str(folder), num_cutouts=count)


def test_lazy_and_parts_of_the_data(folder):
    dataset = CutoutDataset(str(folder), lazy_init=True, indices=[1, 4])
    assert dataset.metainfo['classes'] == ('apple', 'pear')
    dataset.full_init()
    assert len(dataset) == 2
    assert [dataset.get_cat_ids(i) for i in range(2)] == [[0], [1]]


def test_class_balanced_wrapper(folder):
    for path in (folder / 'pear').glob('[12].png'):
        path.unlink()
    dataset = CutoutDataset(str(folder), pipeline=PLACE)
    balanced = ClassBalancedDataset(dataset, oversample_thr=0.5)
    labels = [
        balanced[i]['gt_bboxes_labels'].tolist() for i in range(len(balanced))
    ]
    assert labels == [[0], [0], [0], [1], [1]]


def paste_config(root, **kwargs):
    """Backgrounds of 64x64 that receive one to three cut-outs."""
    classes = ('apple', 'pear')
    load = [
        dict(type='LoadImageFromFile'),
        dict(type='mmcp.LoadAnnotations', with_bbox=True, with_mask=True),
        dict(type='mmcp.ScaleJitter', size=64, ratio_range=(2.0, 2.0)),
    ]
    return dict(
        type='mmcp.CopyPasteDataset',
        dataset=dict(
            type='mmcp.BackgroundDataset',
            data_root=str(write_backgrounds(root / 'backgrounds')),
            metainfo=dict(classes=classes),
            pipeline=load,
        ),
        source=dict(
            type='mmcp.CutoutDataset',
            data_root=str(write_cutouts(root / 'cutouts')),
            num_cutouts=(1, 3),
            pipeline=PLACE,
        ),
        copy_paste=dict(num_pasted='all'),
        **kwargs,
    )


def test_cutouts_are_pasted_onto_backgrounds(tmp_path):
    dataset = DATASETS.build(paste_config(tmp_path))
    assert isinstance(dataset, CopyPasteDataset)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    places, counts = set(), set()
    for index in range(60):
        sample = dataset[index % 3]
        image = sample['inputs'].permute(1, 2, 0).numpy()
        objects = sample['data_samples'].gt_instances
        empty = np.ones((64, 64), bool)
        for label, mask in zip(
            objects.labels.tolist(), objects.masks.to_ndarray(), strict=True
        ):
            colour = list(COLOURS.values())[label]
            assert (image[mask > 0] == colour).all()
            empty &= mask == 0
        assert np.abs(image[empty].astype(int) - 100 - index % 3).max() <= 2
        places.add(tuple(objects.bboxes.tensor[0].tolist()))
        counts.add(len(objects))
    assert len(places) == 60
    assert counts == {1, 2, 3}


def test_class_weights_choose_the_cutouts(tmp_path):
    config = paste_config(tmp_path, deny=['apple'])
    dataset = DATASETS.build(config)
    for index in range(20):
        labels = dataset[index % 3]['data_samples'].gt_instances.labels
        assert set(labels.tolist()) == {1}


def test_workers_make_the_same_samples(tmp_path):
    dataset = DATASETS.build(paste_config(tmp_path))

    def first(workers):
        loader = DataLoader(
            dataset,
            batch_size=2,
            num_workers=workers,
            sampler=InfiniteSampler(dataset, seed=3),
            collate_fn=pseudo_collate,
        )
        batches = iter(loader)
        images = [next(batches)['inputs'] for _ in range(4)]
        return [image for pair in images for image in pair]

    alone, together = first(0), first(2)
    assert all((a == b).all() for a, b in zip(alone, together, strict=True))
    assert any((alone[0] != other).any() for other in alone[1:])


def test_a_detector_trains_on_them(tmp_path):
    write_coco(tmp_path / 'coco', images=2)
    path = write_detector(tmp_path, tmp_path / 'coco', steps=2)
    cfg = Config.fromfile(str(path))
    cfg.work_dir = str(tmp_path / 'work')
    cfg.train_dataloader.dataset = paste_config(tmp_path)
    cfg.train_dataloader.sampler = dict(type='mmcp.InfiniteSampler')
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.train_cfg.pop('val_interval')
    cfg.experiment_name = cfg.visualizer.name = 'cutouts'
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 2
    losses = runner.message_hub.log_scalars
    assert losses['train/loss_mask'].current() > 0
