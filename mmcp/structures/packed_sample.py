"""What a packed sample is made of: cheap to send to another process.

torch sends every tensor through a file of shared memory of its own, and the
receiver asks for each over a socket: for the few numbers of a box that is a
hundred times the work of a copy. An image is copied there page by page, and
takes room in ``/dev/shm``, of which containers have little.
"""

import copy
import io
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
from mmdet.structures import DetDataSample
from torch.multiprocessing import get_sharing_strategy
from torch.multiprocessing.reductions import reduce_tensor

__all__ = ['PackedImage', 'PackedSample']

# Larger tensors, maps of labels say, are shared as torch does it.
_MOST_BYTES = 1 << 16


class PackedSample(DetDataSample):  # type: ignore[misc]
    """A ``DetDataSample`` whose small tensors are sent by value.

    What arrives in another process is a ``DetDataSample`` with equal content;
    tensors that shared memory do so no longer if they are small.
    """


class _ByValue(ForkingPickler):
    """Writes small tensors as their numbers."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is torch.Tensor and _is_small(value):
            return torch.from_numpy, (value.numpy(),)
        return NotImplemented


def _is_small(tensor: torch.Tensor) -> bool:
    return (
        tensor.device.type == 'cpu'
        and tensor.layout == torch.strided
        and tensor.dtype in _NUMPY_DTYPES
        and tensor.nbytes <= _MOST_BYTES
        and not tensor.requires_grad
    )


_NUMPY_DTYPES = frozenset(
    {torch.bool, torch.uint8, torch.int32, torch.int64, torch.float32}
)


def _send_sample(sample: PackedSample) -> tuple[Any, ...]:
    buffer = io.BytesIO()
    _ByValue(buffer, pickle.HIGHEST_PROTOCOL).dump(vars(sample))
    return _receive_sample, (buffer.getvalue(),)


def _receive_sample(content: bytes) -> DetDataSample:
    sample = DetDataSample()
    sample.__dict__.update(pickle.loads(content))
    return sample


class PackedImage(torch.Tensor):
    """An image that goes to shared memory in one piece when it is sent.

    Like a ``torch.Tensor``, which every operation on it returns and which
    arrives in another process or comes out of a file. The memory is
    anonymous: it takes no room in ``/dev/shm``. Where that is not to be had,
    it is sent as any tensor.
    """

    @classmethod
    def of(cls, image: torch.Tensor) -> 'PackedImage':
        """The same image, in the same memory, as one to be sent.

        Args:
            image: An image of any shape.

        Returns:
            The packed image.
        """
        return image.as_subclass(cls)

    def __deepcopy__(self, memo: dict[int, Any]) -> 'PackedImage':
        """A packed image in memory of its own."""
        return self.of(copy.deepcopy(self.as_subclass(torch.Tensor), memo))

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Stored as a tensor, to be read without mmcp."""
        plain = self.as_subclass(torch.Tensor)
        return plain.__reduce_ex__(protocol)  # type: ignore[no-untyped-call]

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Leaves every operation to ``torch.Tensor``."""
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))


def _send_image(image: PackedImage) -> Any:
    plain = image.as_subclass(torch.Tensor)
    descriptor = _anonymous_memory() if _can_be_written(plain) else None
    if descriptor is not None:
        storage = _written(plain.untyped_storage(), descriptor)
        size, stride = plain.size(), plain.stride()
        plain = torch.empty(0, dtype=plain.dtype).set_(
            storage, plain.storage_offset(), size, stride
        )
    return reduce_tensor(plain)  # type: ignore[no-untyped-call]


def _can_be_written(image: torch.Tensor) -> bool:
    strategy = get_sharing_strategy()  # type: ignore[no-untyped-call]
    return (
        strategy == 'file_descriptor'
        and image.device.type == 'cpu'
        and not image.is_shared()  # type: ignore[no-untyped-call]
    )


def _anonymous_memory() -> int | None:
    """A new descriptor; None if the system has no such memory."""
    try:
        return os.memfd_create('mmcp-image')
    except (AttributeError, OSError):
        # Not Linux, or a sandbox without the call.
        return None


def _written(
    storage: torch.UntypedStorage, descriptor: int
) -> torch.UntypedStorage:
    """A copy in anonymous shared memory, whose descriptor is closed.

    Writing to a file fills its pages one after the other; a copy to memory
    that is mapped already would stop at each of them.
    """
    whole = torch.empty(0, dtype=torch.uint8).set_(storage)
    content = memoryview(whole.numpy())  # type: ignore[arg-type]
    try:
        while content:
            content = content[os.write(descriptor, content) :]
        shared: torch.UntypedStorage = torch.UntypedStorage._new_shared_fd_cpu(  # type: ignore[attr-defined]
            descriptor, storage.nbytes()
        )
        return shared
    finally:
        os.close(descriptor)


ForkingPickler.register(PackedSample, _send_sample)
ForkingPickler.register(PackedImage, _send_image)
