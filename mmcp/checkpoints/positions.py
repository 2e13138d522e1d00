"""Position embeddings of vision transformers.

Shapes: ``S`` positions of a grid, ``D`` embedding; the class token comes
first, so an embedding has shape (1, 1 + S, D).
"""

from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor


def square_side(embedding: Tensor) -> int | None:
    """The side of the square grid that an embedding is for.

    Args:
        embedding: Shape (1, 1 + S, D).

    Returns:
        Number of positions along a side; None if S is no square.
    """
    count = embedding.shape[1] - 1
    side = isqrt(max(count, 0))
    return side if side and side * side == count else None


def resize_positions(embedding: Tensor, grid: tuple[int, int]) -> Tensor:
    """Interpolates an embedding for another grid, bicubic.

    It is what MMSegmentation's transformer does when an image is larger than
    those it was built for.

    Args:
        embedding: Shape (1, 1 + S, D), of a square grid.
        grid: Rows and columns of the new grid.

    Returns:
        Shape (1, 1 + rows * columns, D), same dtype.

    Raises:
        ValueError: If the embedding is of no square grid.
    """
    side = square_side(embedding)
    if side is None:
        raise ValueError(
            f'{embedding.shape[1]} positions are no class token and a square '
            'grid'
        )
    token, patches = embedding[:, :1], embedding[:, 1:]
    maps = patches.reshape(1, side, side, -1).permute(0, 3, 1, 2).float()
    resized = F.interpolate(maps, grid, mode='bicubic', align_corners=False)
    patches = resized.flatten(2).transpose(1, 2).to(embedding.dtype)
    return torch.cat([token, patches], dim=1)


def is_fixed_sine(embedding: Tensor) -> bool:
    """Whether positions are MoCo v3's sines and cosines, which never train.

    They tell a transformer of MoCo v3 whose names do not.

    Args:
        embedding: Shape (1, 1 + S, D).

    Returns:
        True if they are.
    """
    side, dims = square_side(embedding), embedding.shape[2]
    if side is None or dims % 4 or embedding[:, 0].any():
        return False
    steps = torch.arange(dims // 4) / (dims // 4)
    waves = torch.arange(side)[:, None] * 10000.0**-steps
    along = torch.cat([waves.sin(), waves.cos()], dim=1)
    first = along[:, None].expand(-1, side, -1)
    second = along[None].expand(side, -1, -1)
    expected = torch.cat([first, second], dim=2).flatten(0, 1)
    return torch.allclose(embedding[0, 1:].float(), expected, atol=1e-3)
