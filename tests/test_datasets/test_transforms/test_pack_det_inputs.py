import pickle

import numpy as np
import pytest
import torch
from mmdet.datasets.transforms import PackDetInputs as MMDetPackDetInputs
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mmcp.datasets.transforms import PackDetInputs
from mmcp.functional.patches import Patch
from mmcp.registry import TRANSFORMS
from mmcp.structures import CroppedBitmapMasks, Polygons

SIZE = (32, 48)
META = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor',
        'flip', 'flip_direction')  # fmt: skip


def sample(seed=0, **extra):
    """Two objects, one of them ignored, with every kind of mask."""
    rng = np.random.default_rng(seed)
    results = dict(
        img=rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8),
        img_id=7,
        img_path='image.jpg',
        ori_shape=SIZE,
        img_shape=SIZE,
        scale_factor=(1.0, 1.0),
        flip=False,
        flip_direction=None,
        gt_bboxes=HorizontalBoxes(torch.tensor([[1, 2, 9, 8.5]] * 3)),
        gt_bboxes_labels=np.array([3, 1, 2]),
        gt_ignore_flags=np.array([False, True, False]),
        gt_masks=CroppedBitmapMasks(
            [
                Polygons([np.array([1.0, 2, 9, 2, 9, 8])]),
                dict(size=list(SIZE), counts=[40, 30, 32 * 48 - 70]),
                Patch(3, 4, np.ones((5, 6), np.uint8)),
            ],
            *SIZE,
        ),
        gt_seg_map=rng.integers(0, 9, SIZE, dtype=np.uint8),
        ignore_index=255,
        proposals=np.ones((2, 4), np.float32),
        proposals_scores=np.ones(2, np.float32),
    )
    results.update(extra)
    return results


def with_bitmaps(results):
    masks = results['gt_masks']
    bitmaps = BitmapMasks(masks.to_ndarray(), masks.height, masks.width)
    return dict(results, gt_masks=bitmaps)


def assert_same_instances(ours, theirs):
    assert set(ours.keys()) == set(theirs.keys())
    for key in ours.keys():
        mine, other = ours[key], theirs[key]
        if key == 'masks':
            np.testing.assert_array_equal(mine.to_ndarray(), other.masks)
        else:
            mine, other = (getattr(v, 'tensor', v) for v in (mine, other))
            assert mine.dtype == other.dtype
            assert torch.equal(mine, other)


@pytest.mark.parametrize(
    'missing',
    [(), ('gt_ignore_flags',), ('gt_masks',), ('gt_seg_map', 'proposals')],
)
def test_content_is_mmdetections(missing):
    results = {k: v for k, v in sample().items() if k not in missing}
    before = dict(results)
    ours = PackDetInputs()(results)
    expected = results
    if 'gt_masks' in results:
        expected = with_bitmaps(results)
    theirs = MMDetPackDetInputs()(dict(expected))
    assert results.keys() == before.keys()
    assert all(results[key] is before[key] for key in before)
    assert list(ours) == list(theirs)
    assert torch.equal(ours['inputs'], theirs['inputs'])
    mine, other = ours['data_samples'], theirs['data_samples']
    assert mine.metainfo == other.metainfo
    assert set(mine.metainfo) == set(META)
    assert set(mine.keys()) == set(other.keys())
    assert_same_instances(mine.gt_instances, other.gt_instances)
    assert_same_instances(mine.ignored_instances, other.ignored_instances)
    if 'gt_seg_map' in results:
        assert torch.equal(mine.gt_sem_seg.sem_seg, other.gt_sem_seg.sem_seg)
        assert mine.gt_sem_seg.metainfo == other.gt_sem_seg.metainfo


def test_the_image_is_not_copied():
    results = sample()
    inputs = PackDetInputs()(results)['inputs']
    assert inputs.shape == (3, *SIZE)
    assert inputs.data_ptr() == results['img'].ctypes.data


@pytest.mark.parametrize(
    'change',
    [
        lambda image: image[:, ::-1],
        lambda image: image[::2, 3:],
        lambda image: image[..., 0],
        lambda image: image[..., :1],
        lambda image: image.astype(np.float32),
    ],
)
def test_images_of_any_layout(change):
    image = change(sample()['img'])
    ours = PackDetInputs()(dict(img=image))['inputs']
    theirs = MMDetPackDetInputs()(dict(img=image))['inputs']
    assert ours.dtype == theirs.dtype
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    'change', [lambda image: image[:, 3:9], lambda image: image[::2]]
)
def test_little_is_sent_but_the_pixels(change):
    # A crop of MMDetection's is a view of the whole image.
    inputs = PackDetInputs()(dict(img=change(sample()['img'])))['inputs']
    assert inputs.untyped_storage().nbytes() <= 1.15 * inputs.nbytes


def test_a_small_gap_between_rows_is_sent_too():
    image = sample()['img'][:, 3:]
    inputs = PackDetInputs()(dict(img=image))['inputs']
    assert inputs.data_ptr() == image.ctypes.data


def test_a_read_only_image_is_safe_from_writes_into_the_tensor():
    image = sample()['img']
    image.flags.writeable = False
    before = image.copy()
    PackDetInputs()(dict(img=image))['inputs'].zero_()
    np.testing.assert_array_equal(image, before)


def test_only_bitmaps_leave_in_memory_of_their_own():
    base = np.ones((30, 40), np.uint8)
    masks = CroppedBitmapMasks(
        [
            Patch(1, 1, base[:3, :4]),
            Polygons([np.array([1.0, 2, 9, 2, 9, 8])]),
        ],
        *SIZE,
    )
    packed = PackDetInputs()(dict(gt_masks=masks))
    items = packed['data_samples'].gt_instances.masks.items
    assert all(isinstance(item, Patch) for item in items)
    for item in items:
        base = item.bitmap.base
        assert base is None or len(base) == item.bitmap.size


class Packed(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return PackDetInputs()(sample(index))


@pytest.mark.parametrize('workers', [0, 1])
def test_through_loader_and_preprocessor_as_mmdetections(workers):
    loader = DataLoader(
        Packed(), 2, num_workers=workers, collate_fn=pseudo_collate
    )
    preprocess = DetDataPreprocessor(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_mask=True,
        pad_size_divisor=64,
    )
    for number, batch in enumerate(loader):
        theirs = pseudo_collate(
            [
                MMDetPackDetInputs()(with_bitmaps(sample(2 * number + row)))
                for row in range(2)
            ]
        )
        got = preprocess(batch, training=True)
        expected = preprocess(theirs, training=True)
        assert torch.equal(got['inputs'], expected['inputs'])
        assert got['inputs'].is_contiguous()
        for ours, other in zip(
            got['data_samples'], expected['data_samples'], strict=True
        ):
            assert_same_instances(ours.gt_instances, other.gt_instances)


def test_a_pickle_of_the_sample_is_the_same_sample():
    packed = PackDetInputs()(sample())
    again = pickle.loads(pickle.dumps(packed))
    assert torch.equal(again['inputs'], packed['inputs'])
    np.testing.assert_array_equal(
        again['data_samples'].gt_instances.masks.to_ndarray(),
        packed['data_samples'].gt_instances.masks.to_ndarray(),
    )


def test_meta_keys_from_a_config():
    pack = TRANSFORMS.build(
        dict(type='mmcp.PackDetInputs', meta_keys=('img_id',))
    )
    assert pack(sample())['data_samples'].metainfo == {'img_id': 7}
