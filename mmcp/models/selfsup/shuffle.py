"""Which device encodes which key, and what devices tell each other.

All ranks compute the same order from the seed and the step: nothing is
broadcast, no state has to be saved, and no number leaves the device.
"""

import torch
from mmengine.dist import all_gather, get_rank, get_world_size
from torch import Tensor


def shuffle_order(count: int, step: Tensor, seed: int) -> Tensor:
    """A random order that depends on nothing but its arguments.

    Args:
        count: Number of samples of all ranks together.
        step: Number of steps before this one, shape (), int64.
        seed: Seed of the run.

    Returns:
        A permutation of 0 to ``count - 1``, shape (count,), int64, on the
        device of ``step``.
    """
    key = _mix(step + _mix(torch.full_like(step, seed)))
    places = torch.arange(count, device=step.device)
    # The hash maps 32 bits one to one: no two places get the same rank.
    return torch.argsort(_mix(places ^ key))


def _mix(value: Tensor) -> Tensor:
    """A one-to-one hash of 32 bits, in int64 without overflow."""
    value = (value + 0x9E3779B9) & 0xFFFFFFFF
    for _ in range(2):
        value = ((value ^ (value >> 16)) * 0x045D9F3B) & 0xFFFFFFFF
    return value ^ (value >> 16)


def gather_batch(part: Tensor) -> Tensor:
    """The batches of all ranks, in the order of the ranks.

    Args:
        part: This rank's batch, shape (N, ...), without gradient.

    Returns:
        Shape (world size * N, ...); ``part`` itself where there is one rank.
    """
    if get_world_size() == 1:
        return part
    whole: Tensor = _gather(part)
    return whole


def own_part(whole: Tensor) -> Tensor:
    """This rank's part of what :func:`gather_batch` returns.

    Args:
        whole: Shape (world size * N, ...).

    Returns:
        Shape (N, ...).
    """
    count = len(whole) // get_world_size()
    return whole[get_rank() * count :][:count]


def check_equal_batches(count: int, device: torch.device) -> None:
    """Makes sure that all ranks have batches of one size.

    Gathering different sizes would hang or mix up samples.

    Args:
        count: Size of this rank's batch.
        device: Device of the batch.

    Raises:
        ValueError: On all ranks, if they differ.
    """
    if get_world_size() > 1:
        _check_sizes(count, device)


# Collectives and what waits for a device are no part of a compiled graph.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def _gather(part: Tensor) -> Tensor:
    # A batch in channels-last order is a contiguous one with moved axes.
    last = part.ndim == 4 and part.is_contiguous(
        memory_format=torch.channels_last
    )
    if last:
        part = part.permute(0, 2, 3, 1)
    whole = torch.cat(all_gather(part.contiguous()))
    return whole.permute(0, 3, 1, 2) if last else whole


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _check_sizes(count: int, device: torch.device) -> None:
    sizes = all_gather(torch.tensor([count], device=device))
    counts = torch.cat(sizes).tolist()
    if len(set(counts)) > 1:
        raise ValueError(
            f'ranks 0 to {len(counts) - 1} have batches of {counts} samples: '
            'they must be equal. Use a sampler that drops what does not fill '
            'a batch on every rank (mmcp.EpochSampler, mmcp.InfiniteSampler)'
        )
