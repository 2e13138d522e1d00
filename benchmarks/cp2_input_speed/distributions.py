"""What views look like, as numbers that can be compared."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

MEASURES = (
    'mean of red',
    'mean of green',
    'mean of blue',
    'deviation of red',
    'deviation of green',
    'deviation of blue',
    'log of blur energy',
    'hue, cosine',
    'hue, sine',
)
"""What :func:`measure_views` measures, in gray levels but for the energy."""


def measure_views(
    views: Sequence[NDArray[np.uint8]],
) -> NDArray[np.float64]:
    """Describes views.

    Blur energy is the variance of the Laplacian of the gray image. The hue is
    the mean of the colour vectors (angle: hue, length: chroma).

    Args:
        views: RGB images of shape (H, W, 3), uint8.

    Returns:
        One row a view, one column of ``MEASURES``, shape (views, 9).
    """
    return np.array([_measure(view) for view in views])


def _measure(view: NDArray[np.uint8]) -> list[float]:
    gray = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY).astype(np.float32)
    hsv = cv2.cvtColor(view.astype(np.float32), cv2.COLOR_RGB2HSV)
    angle, chroma = np.deg2rad(hsv[..., 0]), hsv[..., 1] * hsv[..., 2]
    return [
        *view.mean((0, 1)),
        *view.std((0, 1)),
        float(np.log1p(cv2.Laplacian(gray, -1).var())),
        float((chroma * np.cos(angle)).mean()),
        float((chroma * np.sin(angle)).mean()),
    ]
