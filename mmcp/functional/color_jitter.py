"""Colour jitter with the meaning that PIL and torchvision give it.

Brightness, contrast and saturation mix the image with black, its mean gray
and its own gray version; factors above 1 move away from these. Each is one
affine map of the three channels followed by rounding and clipping, so that
they must be done in their order. Images are RGB of shape (H, W, 3), uint8.
"""

from collections.abc import Callable
from itertools import permutations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    'ORDERS',
    'adjust_brightness',
    'adjust_contrast',
    'adjust_saturation',
    'jitter_colors',
    'shift_hue',
    'to_gray',
]

Image = NDArray[np.uint8]

ORDERS = tuple(permutations(range(4)))
"""Orders of brightness (0), contrast (1), saturation (2) and hue (3)."""

# ITU-R 601, as PIL and OpenCV.
_GRAY = np.array([0.299, 0.587, 0.114])
_LEVELS = np.arange(256.0)
_DEGREES = 360.0


def adjust_brightness(image: Image, factor: float) -> Image:
    """Multiplies an image by a factor.

    Args:
        image: RGB image of shape (H, W, 3), uint8.
        factor: 0 is black, 1 the image itself.

    Returns:
        A new image, same shape and dtype.
    """
    return _scale(image, factor, 0.0)


def adjust_contrast(image: Image, factor: float) -> Image:
    """Mixes an image with the mean of its gray version.

    Args:
        image: RGB image of shape (H, W, 3), uint8.
        factor: 0 is one shade of gray, 1 the image itself.

    Returns:
        A new image, same shape and dtype.
    """
    (mean, *_) = cv2.mean(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    return _scale(image, factor, (1 - factor) * mean)


def adjust_saturation(image: Image, factor: float) -> Image:
    """Mixes an image with its gray version.

    Args:
        image: RGB image of shape (H, W, 3), uint8.
        factor: 0 is gray, 1 the image itself.

    Returns:
        A new image, same shape and dtype.
    """
    matrix = np.eye(3) * factor + (1 - factor) * _GRAY
    mixed: Image = cv2.transform(image, matrix)
    return mixed


def shift_hue(image: Image, turns: float) -> Image:
    """Turns the hue, leaving saturation and value of HSV as they are.

    Exact to a gray level; PIL's and OpenCV's 8-bit HSV are off by up to four.

    Args:
        image: RGB image of shape (H, W, 3), uint8.
        turns: Shift in turns of the colour circle, of either sign.

    Returns:
        A new image, same shape and dtype.
    """
    hsv = cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2HSV)
    # OpenCV takes off whole turns, but adds none.
    hsv[..., 0] += _DEGREES * (turns % 1.0)
    shifted: Image = cv2.convertScaleAbs(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))
    return shifted


def to_gray(image: Image) -> Image:
    """Removes all colour.

    Args:
        image: RGB image of shape (H, W, 3), uint8.

    Returns:
        A new image with three equal channels, same shape and dtype.
    """
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    colourless: Image = cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)
    return colourless


# What changes nothing, and what does the change; numbered as in ORDERS.
_STEPS: tuple[tuple[float, Callable[[Image, float], Image]], ...] = (
    (1.0, adjust_brightness),
    (1.0, adjust_contrast),
    (1.0, adjust_saturation),
    (0.0, shift_hue),
)


def jitter_colors(
    image: Image,
    factors: tuple[float, float, float, float],
    order: int = 0,
) -> Image:
    """Changes brightness, contrast, saturation and hue in a given order.

    Args:
        image: RGB image of shape (H, W, 3), uint8.
        factors: Factors of brightness, contrast and saturation, and the
            shift of the hue in turns; 1, 1, 1 and 0 change nothing.
        order: Which of ``ORDERS``. Defaults to 0.

    Returns:
        A new image, same shape and dtype, or ``image`` itself if there is
        nothing to change.
    """
    for number in ORDERS[order]:
        neutral, adjust = _STEPS[number]
        if factors[number] != neutral:
            image = adjust(image, factors[number])
    return image


def _scale(image: Image, factor: float, offset: float) -> Image:
    """Maps every number, rounds and clips."""
    table = np.rint(_LEVELS * factor + offset).clip(0, 255).astype(np.uint8)
    mapped: Image = cv2.LUT(image, table)
    return mapped
