"""The queue of keys of earlier images, the negatives."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class KeyQueue(nn.Module):
    """Keeps the newest keys, first in, first out.

    Batches of any size fit: the write position wraps around, and of a batch
    larger than the queue the last keys remain. The queue starts with random
    unit vectors, which are negatives until they are overwritten, as in MoCo.
    A key that is not finite, of an overflow in float16, leaves the older one
    in its place: it would spoil the loss until it is overwritten. All of it
    is in the ``state_dict``, and stays float32 under autocast.

    Args:
        channels: Length of a key, D.
        length: Number of keys, K in the paper.

    Attributes:
        keys: Unit-norm keys, shape (D, K), float32.
        pointer: Where the next key goes, shape (), int64.
        filled: Number of keys that are not random any more, shape (), int64.

    Raises:
        ValueError: If the length is not positive.
    """

    keys: Tensor
    pointer: Tensor
    filled: Tensor

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        if length < 1:
            raise ValueError(
                f'the queue needs a length of at least 1, but got {length}'
            )
        keys = F.normalize(torch.randn(channels, length), dim=0)
        self.register_buffer('keys', keys)
        self.register_buffer('pointer', torch.zeros((), dtype=torch.int64))
        self.register_buffer('filled', torch.zeros((), dtype=torch.int64))

    @property
    def length(self) -> int:
        """Number of keys, K."""
        return self.keys.shape[1]

    @property
    def fill(self) -> Tensor:
        """Share of keys that are not random any more, in percent, shape ()."""
        return 100 * self.filled / self.length

    # Within a compiled graph the copy may be optimised away, and the backward
    # pass would then read the queue as it is after the step.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def snapshot(self) -> Tensor:
        """A copy that stays as it is when the queue changes.

        Returns:
            Unit-norm keys, shape (D, K), float32.
        """
        return self.keys.clone()

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Overwrites the oldest keys.

        No number leaves the device, so that it can be compiled and does not
        wait for a GPU.

        Args:
            keys: Unit-norm keys of all ranks, oldest first, shape (N, D).
        """
        dropped = max(len(keys) - self.length, 0)
        kept = keys.detach()[dropped:].to(self.keys.dtype)
        places = torch.arange(len(kept), device=keys.device)
        places = (places + self.pointer + dropped) % self.length
        finite = kept.isfinite().all(dim=1, keepdim=True)
        kept = torch.where(finite, kept, self.keys[:, places].t())
        self.keys.index_copy_(1, places, kept.t())
        self.pointer.copy_((self.pointer + len(keys)) % self.length)
        self.filled.copy_((self.filled + len(keys)).clamp(max=self.length))

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return f'channels={self.keys.shape[0]}, length={self.length}'
