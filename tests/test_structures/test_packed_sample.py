import copy
import os
import pickle
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.structures import InstanceData, PixelData
from torch.multiprocessing import get_sharing_strategy, set_sharing_strategy

from mmcp.functional.patches import Patch
from mmcp.structures import CroppedBitmapMasks
from mmcp.structures.packed_sample import PackedImage, PackedSample


def send(value):
    """What a ``DataLoader`` makes of a value on its way."""
    content = bytes(ForkingPickler.dumps(value))
    return content, pickle.loads(content)


def sample(**extra):
    masks = CroppedBitmapMasks(
        [Patch(2, 1, np.ones((3, 4), np.uint8))] * 2, 9, 8
    )
    made = PackedSample(metainfo=dict(img_id=7, scale_factor=(1.0, 2.0)))
    made.gt_instances = InstanceData(
        bboxes=HorizontalBoxes(torch.tensor([[2.0, 1, 6, 4]] * 2)),
        labels=torch.tensor([3, 1]),
        masks=masks,
        **extra,
    )
    return made


def image(height=40, width=50):
    pixels = torch.arange(height * width * 3, dtype=torch.int64) % 251
    return pixels.to(torch.uint8).reshape(height, width, 3).permute(2, 0, 1)


def test_a_sample_arrives_as_mmdetections_own_class():
    content, got = send(sample())
    assert type(got) is DetDataSample
    assert got.metainfo == dict(img_id=7, scale_factor=(1.0, 2.0))
    instances = got.gt_instances
    assert instances.bboxes.tensor.tolist() == [[2, 1, 6, 4]] * 2
    assert instances.labels.tolist() == [3, 1]
    assert instances.masks.to_ndarray().sum() == 24
    instances.labels += 1
    # Nothing went through shared memory.
    assert b'rebuild_storage' not in content


@pytest.mark.parametrize(
    'tensor',
    [
        torch.zeros(2, 40_000),
        torch.tensor([1.5, 2.5], requires_grad=True),
        torch.tensor([1.5, 2.5], dtype=torch.bfloat16),
        torch.tensor([1.5, 2.5j]),
    ],
)
def test_other_tensors_go_the_way_of_torch(tensor):
    content, got = send(sample(extra=tensor))
    assert b'rebuild_storage' in content
    other = got.gt_instances.extra
    assert other.dtype == tensor.dtype
    assert other.requires_grad == tensor.requires_grad
    assert torch.equal(other, tensor)


def test_a_map_of_labels_arrives():
    made = sample()
    labels = torch.arange(90_000).reshape(1, 300, 300)
    made.gt_sem_seg = PixelData(sem_seg=labels)
    assert torch.equal(send(made)[1].gt_sem_seg.sem_seg, labels)


def test_only_what_is_seen_of_a_large_tensor_is_sent():
    content, got = send(sample(part=torch.zeros(50_000)[7:9]))
    assert len(content) < 10_000
    assert got.gt_instances.part.tolist() == [0, 0]


@pytest.fixture(params=['written', 'file_system', 'no memfd'])
def way(request, monkeypatch):
    before = get_sharing_strategy()
    if request.param == 'file_system':
        set_sharing_strategy('file_system')
    if request.param == 'no memfd':
        monkeypatch.delattr(os, 'memfd_create')
    yield request.param
    set_sharing_strategy(before)


@pytest.mark.parametrize(
    'plain',
    [
        image(),
        image().contiguous(),
        # A part of a larger one, as the jitter leaves them.
        image()[:, 3:, 5:],
        image()[:0],
        image().clone().share_memory_(),
    ],
)
def test_an_image_arrives_in_the_same_layout(way, plain):
    packed = PackedImage.of(plain)
    assert packed.data_ptr() == plain.data_ptr()
    content, got = send(packed)
    assert type(got) is torch.Tensor
    assert torch.equal(got, plain)
    assert got.stride() == plain.stride()
    assert got.dtype == torch.uint8
    assert b'PackedImage' not in content
    if plain.numel():
        assert got.is_shared()


def test_an_image_takes_no_room_among_shared_files(monkeypatch):
    made = []
    create = os.memfd_create

    def record(name):
        made.append(name)
        return create(name)

    monkeypatch.setattr(os, 'memfd_create', record)
    send(PackedImage.of(image()))
    assert len(made) == 1


def test_operations_on_an_image_give_tensors():
    packed = PackedImage.of(image())
    for made in (
        packed.float(),
        packed + 1,
        packed[[2, 1, 0]],
        torch.stack([packed, packed]),
        torch.nn.functional.pad(packed, (0, 3)),
    ):
        assert type(made) is torch.Tensor
    copied = copy.deepcopy(packed)
    assert torch.equal(copied, packed)
    assert copied.data_ptr() != packed.data_ptr()
    assert torch.equal(pickle.loads(pickle.dumps(packed)), image())
