"""The way of a sample from a worker to the training process."""

import io
import pickle
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch


def round_trip(sample: dict[str, Any]) -> dict[str, Any]:
    """Sends a packed sample as a ``DataLoader`` does, and receives it.

    Tensors go through shared memory, everything else is pickled.

    Args:
        sample: A packed sample.

    Returns:
        What arrives.
    """
    received: dict[str, Any] = pickle.loads(ForkingPickler.dumps(sample))
    return received


def mask_areas(sample: dict[str, Any]) -> dict[str, Any]:
    """Looks at every mask of a sample, ignored objects' too.

    Args:
        sample: A packed sample.

    Returns:
        The same sample.
    """
    objects = sample['data_samples']
    for kind in ('gt_instances', 'ignored_instances'):
        if 'masks' in getattr(objects, kind, ()):
            _ = getattr(objects, kind).masks.areas
    return sample


def arrive(sample: dict[str, Any]) -> dict[str, Any]:
    """A round trip and the areas of the masks that arrive.

    Args:
        sample: A packed sample.

    Returns:
        What arrives.
    """
    return mask_areas(round_trip(sample))


class _Weigher(pickle.Pickler):
    """Pickles everything but tensors, of which it adds up the memory."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.storages: dict[int, int] = {}

    def persistent_id(self, value: Any) -> Any:
        """Takes tensors out of the pickle."""
        if not isinstance(value, torch.Tensor):
            return None
        storage = value.untyped_storage()
        self.storages[storage.data_ptr()] = storage.nbytes()
        return 'tensor'


def packed_bytes(sample: Any) -> int:
    """Bytes that a sample takes on its way to the training process.

    Args:
        sample: A packed sample.

    Returns:
        Length of the pickle, and the whole memory behind every tensor, which
        is what moves to shared memory.
    """
    buffer = io.BytesIO()
    weigher = _Weigher(buffer)
    weigher.dump(sample)
    return len(buffer.getbuffer()) + sum(weigher.storages.values())
