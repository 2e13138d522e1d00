"""Resizing with OpenCV to the sharpness of PIL's bilinear filter."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ['resize_antialiased']

# Scales that one pass of the filter below can do.
_MAX_SCALE = 2.0
# The least weight of a neighbour that changes a gray level.
_LEAST = 1 / 256
# What a mean of two pixels has smoothed already, as the weight of a
# neighbour after it.
_HALVED = 1 / 32


def resize_antialiased(
    image: NDArray[Any],
    size: tuple[int, int],
    reduced: bool = False,
) -> NDArray[Any]:
    """Resizes an image as PIL's ``BILINEAR`` does, about five times faster.

    OpenCV's bilinear filter always mixes two pixels, so that a smaller image
    has jagged edges and too much fine noise; PIL's is as wide as the pixels
    of the result. Here a filter of three pixels comes first, with weights
    that give the same sharpness (energy of the Laplacian) on photographs,
    within 5%. Enlarging is the same in both.

    Args:
        image: Image of shape (H, W) or (H, W, C), uint8; may be a part of a
            larger one, of which nothing else is read.
        size: Height and width of the result.
        reduced: Whether the image was made smaller already, by means of
            pixels, and is smoother for it. Defaults to False.

    Returns:
        A new image of the given size, same dtype.
    """
    image, halved = _halve(image, size)
    scales = _scales(image, size)
    weights = [
        max(_weight(scale) - (_HALVED if reduced or half else 0), 0)
        for scale, half in zip(scales, halved, strict=True)
    ]
    if max(weights) >= _LEAST:
        sigma_y, sigma_x = (_sigma(weight) for weight in weights)
        # Of kernels of three pixels, OpenCV has a fast one for Gaussians.
        image = cv2.GaussianBlur(
            image,
            (3, 3),
            sigmaX=sigma_x,
            sigmaY=sigma_y,
            borderType=cv2.BORDER_REPLICATE | cv2.BORDER_ISOLATED,
        )
    resized: NDArray[Any] = cv2.resize(image, size[::-1])
    return resized


def _scales(image: NDArray[Any], size: tuple[int, int]) -> tuple[float, float]:
    """Pixels of the image for one of the result, (y, x)."""
    return image.shape[0] / size[0], image.shape[1] / size[1]


def _halve(
    image: NDArray[Any], size: tuple[int, int]
) -> tuple[NDArray[Any], tuple[bool, bool]]:
    """Takes means of pixels until less than twice the size is left."""
    halved = [False, False]
    while max(_scales(image, size)) > _MAX_SCALE:
        factors = [
            2 if scale > _MAX_SCALE else 1 for scale in _scales(image, size)
        ]
        halved = [h or f > 1 for h, f in zip(halved, factors, strict=True)]
        height, width = (
            -(-n // f) for n, f in zip(image.shape, factors, strict=False)
        )
        image = cv2.resize(
            image, (width, height), interpolation=cv2.INTER_AREA
        )
    return image, (halved[0], halved[1])


def _weight(scale: float) -> float:
    """Weight of each neighbour that makes up for the missing smoothness.

    A triangle as wide as the scale has a variance of ``scale ** 2 / 6``, the
    bilinear filter one of 1/6 on average, and three pixels one of twice this
    weight. At scales little above 1 half as much again is needed, since the
    bilinear filter is not equally smooth everywhere.
    """
    if scale <= 1:
        return 0.0
    return (scale**2 - 1) * (4 - scale) / 24


def _sigma(weight: float) -> float:
    """Standard deviation of the Gaussian whose three pixels these are."""
    # A Gaussian that narrow leaves the image as it is.
    weight = max(weight, 1e-9)
    return float(np.sqrt(-0.5 / np.log(weight / (1 - 2 * weight))))
