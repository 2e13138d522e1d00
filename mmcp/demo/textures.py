"""Two-tone patterns that fill objects and backgrounds.

Arithmetic is kept to what IEEE 754 rounds the same everywhere (no sine of an
array, no BLAS), so that a seed gives the same pixels on every machine.
"""

from collections.abc import Callable
from math import cos, pi, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Array = NDArray[np.float64]
Pattern = NDArray[Any]  # which pixels have the second tone, or its weight
# Pattern coordinates in pixels, centred and rotated, each of shape (H, W).
Plane = tuple[Array, Array]


def draw_texture(
    name: str, shape: tuple[int, int], period: float, rng: Rng
) -> Array:
    """Draw a pattern at a random angle and offset.

    Args:
        name: A name of `TEXTURES`.
        shape: Height and width in pixels.
        period: Length of one repeat in pixels.
        rng: Where the angle and the details come from.

    Returns:
        Weight of the second tone in [0, 1], shape (H, W), float64. Drawn at
        twice the resolution and averaged, so that borders are soft.
    """
    height, width = shape
    angle = rng.uniform(0, 2 * pi)
    c, s = cos(angle), sin(angle)
    y = ((np.arange(2 * height) + 0.5) / 2 - height / 2)[:, None]
    x = ((np.arange(2 * width) + 0.5) / 2 - width / 2)[None]
    fine = TEXTURES[name]((x * c + y * s, y * c - x * s), period, rng)
    return shrink(fine.astype(np.float64), 2)


def shrink(array: Array, factor: int) -> Array:
    """Average blocks of factor x factor; sizes must be multiples of it."""
    total = np.zeros_like(array[::factor, ::factor])
    for y in range(factor):
        for x in range(factor):
            total += array[y::factor, x::factor]
    mean: Array = total / factor**2
    return mean


def value_noise(shape: tuple[int, int], cell: float, rng: Rng) -> Array:
    """Smooth noise: random values on a grid, interpolated linearly.

    Args:
        shape: Height and width in pixels.
        cell: Distance of the grid's points in pixels.
        rng: Where the values come from.

    Returns:
        Values in [0, 1), shape (H, W), float64.
    """
    height, width = shape
    rows = np.arange(height) / cell
    columns = np.arange(width) / cell
    grid = rng.random((int(rows[-1]) + 2, int(columns[-1]) + 2))
    top, left = rows.astype(int), columns.astype(int)
    wy, wx = (rows - top)[:, None], (columns - left)[None]
    upper, lower = grid[top], grid[top + 1]
    upper = upper[:, left] * (1 - wx) + upper[:, left + 1] * wx
    lower = lower[:, left] * (1 - wx) + lower[:, left + 1] * wx
    noise: Array = upper * (1 - wy) + lower * wy
    return noise


def _odd(values: Array) -> Pattern:
    odd: Pattern = np.floor(values) % 2 == 1
    return odd


def _stripes(plane: Plane, period: float, rng: Rng) -> Pattern:
    return _odd(plane[0] * 2 / period + rng.random())


def _checks(plane: Plane, period: float, rng: Rng) -> Pattern:
    u, v = plane
    return _odd(np.floor(u * 1.6 / period) + np.floor(v * 1.6 / period))


def _zigzag(plane: Plane, period: float, rng: Rng) -> Pattern:
    u, v = plane
    return _odd((u + np.abs(v % (2 * period) - period)) * 2 / period)


def _dots(plane: Plane, period: float, rng: Rng) -> Pattern:
    u, v = (axis % period - period / 2 for axis in plane)
    dots: Pattern = u * u + v * v < (0.3 * period) ** 2
    return dots


def _circles(plane: Plane, period: float, rng: Rng) -> Pattern:
    u, v = plane
    return _odd(np.sqrt(u * u + v * v) * 2 / period)


def _sectors(plane: Plane, period: float, rng: Rng) -> Pattern:
    """Wedges around the centre: every line through it swaps the tones."""
    u, v = plane
    swapped = np.zeros(u.shape, dtype=bool)
    lines = 4
    for i in range(lines):
        angle = pi * i / lines
        swapped ^= u * cos(angle) + v * sin(angle) > 0
    return swapped


def _grid(plane: Plane, period: float, rng: Rng) -> Pattern:
    u, v = (axis % period < 0.28 * period for axis in plane)
    grid: Pattern = u | v
    return grid


def _bricks(plane: Plane, period: float, rng: Rng) -> Pattern:
    u, v = plane
    row = np.floor(v * 1.5 / period)
    joint = (u / period + row / 2) % 1 < 0.2
    bricks: Pattern = joint | (v * 1.5 / period % 1 < 0.25)
    return bricks


def _marble(plane: Plane, period: float, rng: Rng) -> Pattern:
    height, width = plane[0].shape  # twice the resolution: so is the cell
    return value_noise((height, width), 2 * period, rng) > 0.5


def _gradient(plane: Plane, period: float, rng: Rng) -> Pattern:
    u = plane[0]
    low, high = u.min(), u.max()
    ramp: Pattern = (u - low) / (high - low)
    return ramp


TEXTURES: dict[str, Callable[[Plane, float, Rng], Pattern]] = {
    'circles': _circles,
    'bricks': _bricks,
    'sectors': _sectors,
    'gradient': _gradient,
    'stripes': _stripes,
    'checks': _checks,
    'dots': _dots,
    'zigzag': _zigzag,
    'marble': _marble,
    'grid': _grid,
}
