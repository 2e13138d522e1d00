import copy
import errno
import io
import os
import pickle
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData, PixelData
from torch.multiprocessing import get_sharing_strategy, set_sharing_strategy
from torch.utils.data import DataLoader, Dataset

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


def refuse(name):
    raise OSError(errno.EPERM, 'not permitted')


@pytest.fixture(params=['written', 'file_system', 'no memfd', 'refused'])
def way(request, monkeypatch):
    before = get_sharing_strategy()
    if request.param == 'file_system':
        set_sharing_strategy('file_system')
    if request.param == 'no memfd':
        monkeypatch.delattr(os, 'memfd_create')
    if request.param == 'refused':
        monkeypatch.setattr(os, 'memfd_create', refuse)
    yield request.param
    set_sharing_strategy(before)


@pytest.mark.parametrize(
    'make',
    # New ones each time: torch moves what it sends to shared memory.
    [
        lambda: image(),
        lambda: image().contiguous(),
        # A part of a larger one, as the jitter leaves them.
        lambda: image()[:, 3:, 5:],
        lambda: image()[:0],
        lambda: image(0, 0),
        lambda: image().clone().share_memory_(),
    ],
)
def test_an_image_arrives_in_the_same_layout(way, make):
    plain = make()
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


def test_an_image_in_a_file_is_a_plain_tensor():
    file = io.BytesIO()
    torch.save(PackedImage.of(image()), file)
    file.seek(0)
    for got in (
        torch.load(file, weights_only=True),
        pickle.loads(pickle.dumps(PackedImage.of(image()))),
    ):
        assert type(got) is torch.Tensor
        assert torch.equal(got, image())


class Samples(Dataset):
    """As the last transform leaves them."""

    def __len__(self):
        return 300

    def __getitem__(self, index):
        made = sample(extra=torch.full((2, 40_000), index))
        made.set_metainfo(dict(open_files=open_files(), img_id=index))
        packed = PackedImage.of(torch.full((3, 8, 9), index % 256))
        return dict(inputs=packed, data_samples=made)


def open_files():
    return len(os.listdir('/proc/self/fd'))


@pytest.mark.skipif(
    not os.path.isdir('/proc/self/fd'), reason='open files are not listed'
)
def test_workers_send_many_samples_and_leave_no_file_open():
    loader = DataLoader(
        Samples(),
        num_workers=1,
        batch_size=2,
        collate_fn=pseudo_collate,
        persistent_workers=True,
    )
    counts = []
    for _ in range(2):
        for number, batch in enumerate(loader):
            for place in range(2):
                made = batch['data_samples'][place]
                index = 2 * number + place
                assert made.img_id == index
                assert (made.gt_instances.extra == index).all()
                assert (batch['inputs'][place] == index % 256).all()
                counts.append(made.open_files)
        del batch, made
        counts.append(open_files())
    # A descriptor for each of 1200 tensors would show.
    assert max(counts) < min(counts) + 60
