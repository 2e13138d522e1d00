"""mixup on images (https://arxiv.org/abs/1710.09412).

Nothing here draws a random number but :func:`draw_weight`, and nothing
changes its inputs. Shapes: H W image.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ['draw_weight', 'mix_images']

# What cv2.addWeighted accepts; numpy does the rest.
_CV2_DTYPES = ('uint8', 'int8', 'uint16', 'int16', 'int32', 'float32',
               'float64')  # fmt: skip


def draw_weight(rng: np.random.Generator, alpha: float) -> float:
    """Draws how much an image weighs, from ``Beta(alpha, alpha)``.

    Args:
        rng: Source of randomness.
        alpha: Both parameters of the distribution, alpha in the paper.

    Returns:
        The weight, lambda in the paper, in [0, 1].
    """
    return float(rng.beta(alpha, alpha))


def mix_images(
    destination: NDArray[Any], source: NDArray[Any], weight: float
) -> NDArray[Any]:
    """Averages two images: ``weight * destination + (1 - weight) * source``.

    Where the source is smaller, the destination stays as it is; what
    reaches beyond the destination is cut off.

    Args:
        destination: Image of shape (H, W) or (H, W, C), any dtype.
        source: Image with the same number of axes and channels and the same
            dtype; it may have another size, corners at the top left coincide.
        weight: Share of the destination, in [0, 1].

    Returns:
        A new C-contiguous image of the destination's shape and dtype;
        integers are rounded.

    Raises:
        ValueError: If the images differ in their channels, or the weight is
            no share.
        TypeError: If the images differ in their dtype.
    """
    if not 0 <= weight <= 1:
        raise ValueError(f'weight must lie in [0, 1], but is {weight}')
    if destination.shape[2:] != source.shape[2:]:
        raise ValueError(
            'source and destination need the same channels, but their shapes '
            f'are {source.shape} and {destination.shape}'
        )
    if destination.dtype != source.dtype:
        raise TypeError(
            f'cannot mix a {source.dtype} image into a {destination.dtype} '
            'image; load both with the same settings (to_float32)'
        )
    out = np.array(destination, order='C')
    height, width = (
        min(sides)
        for sides in zip(destination.shape[:2], source.shape[:2], strict=True)
    )
    if height and width:
        part = out[:height, :width]
        mixed = _mix(part, source[:height, :width], weight)
        # OpenCV drops an axis of one channel.
        part[...] = mixed.reshape(part.shape)
    return out


def _mix(
    first: NDArray[Any], second: NDArray[Any], weight: float
) -> NDArray[Any]:
    if first.dtype.name in _CV2_DTYPES:
        mixed: NDArray[Any] = cv2.addWeighted(
            first, weight, second, 1 - weight, 0
        )
        return mixed
    mixed = first * weight + second * (1 - weight)
    if first.dtype.kind != 'f':
        mixed = np.rint(mixed)
    return mixed.astype(first.dtype)
