"""The outlines of the sample's categories, in a circle of radius 1.

Only shapes that differ in outline: a category is told by its form, never by
its colour. Each function draws its own small variations (proportions, number
of teeth) from the generator it is given. Points are (x, y), y downwards.
"""

from collections.abc import Callable, Iterable
from math import atan2, cos, pi, sin

import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Array = NDArray[np.float64]
# An outer outline and the holes in it, each of shape (N, 2), float64.
Loops = list[Array]


def draw_outline(name: str, rng: Rng) -> Loops:
    """Draw one object's outline.

    Args:
        name: A name of `OUTLINES`.
        rng: Where the object's own proportions and rotation come from.

    Returns:
        The outer outline, then its holes, each (N, 2), inside the unit
        circle.
    """
    loops = OUTLINES[name](rng)
    squeeze = np.array([1.0, rng.uniform(0.85, 1.0)])
    angle = rng.uniform(0, 2 * pi)
    turn = np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])
    return [_multiply(loop * squeeze, turn) for loop in loops]


def _multiply(points: Array, matrix: Array) -> Array:
    """(N, 2) by (2, 2), without BLAS, whose rounding differs by machine."""
    product: Array = points[:, :1] * matrix[0] + points[:, 1:] * matrix[1]
    return product


def _polar(radii: Iterable[float], angles: Iterable[float]) -> Array:
    return np.array(
        [(r * cos(a), r * sin(a)) for r, a in zip(radii, angles, strict=True)]
    )


def _circle(radius: float, count: int = 64) -> Array:
    angles = [2 * pi * i / count for i in range(count)]
    return _polar([radius] * count, angles)


def _disc(rng: Rng) -> Loops:
    return [_circle(rng.uniform(0.85, 1.0))]


def _box(rng: Rng) -> Loops:
    x, y = 0.8, rng.uniform(0.5, 0.6)
    return [np.array([(-x, -y), (x, -y), (x, y), (-x, y)])]


def _triangle(rng: Rng) -> Loops:
    tip = rng.uniform(-0.15, 0.15)
    return [_polar([1.0] * 3, [tip - pi / 2, pi / 6, pi * 5 / 6])]


def _star(rng: Rng) -> Loops:
    inner = rng.uniform(0.36, 0.46)
    return [_polar([1.0, inner] * 5, [pi * i / 5 for i in range(10)])]


def _ring(rng: Rng) -> Loops:
    return [_circle(1.0), _circle(rng.uniform(0.5, 0.6))]


def _cross(rng: Rng) -> Loops:
    a = rng.uniform(0.26, 0.34)
    x, y = np.array([(a, -0.93), (a, -a), (0.93, -a)]).T
    turns = [(x, y), (-y, x), (-x, -y), (y, -x)]
    return [np.concatenate([np.stack(turn, axis=1) for turn in turns])]


def _heart(rng: Rng) -> Loops:
    depth = rng.uniform(4.5, 6.0)
    points = []
    for i in range(64):
        t = 2 * pi * i / 64
        x = 16 * sin(t) ** 3
        y = 13 * cos(t) - depth * cos(2 * t) - 2 * cos(3 * t) - cos(4 * t)
        points.append((x / 18.8, -(y + 2.5) / 18.8))
    return [np.array(points)]


def _crescent(rng: Rng) -> Loops:
    """A disc less a second disc that sticks out of it."""
    bite = rng.uniform(0.75, 0.85)
    shift = rng.uniform(0.42, 0.5)
    x = (1 - bite**2 + shift**2) / (2 * shift)
    horn = atan2((1 - x**2) ** 0.5, x)
    inner = atan2((1 - x**2) ** 0.5, x - shift)
    back = _polar([1.0] * 49, np.linspace(horn, 2 * pi - horn, 49))
    front = _polar([bite] * 33, np.linspace(2 * pi - inner, inner, 33))
    return [np.concatenate([back, front[1:-1] + np.array([shift, 0.0])])]


def _arrow(rng: Rng) -> Loops:
    shaft = rng.uniform(0.2, 0.28)
    neck = rng.uniform(-0.05, 0.15)
    half = [(1.0, 0.0), (neck, 0.75), (neck, shaft), (-0.95, shaft)]
    return [np.array(half + [(x, -y) for x, y in reversed(half[1:])])]


def _gear(rng: Rng) -> Loops:
    teeth = int(rng.integers(7, 10))
    inner = rng.uniform(0.66, 0.74)
    angles = [2 * pi * (i + 0.1) / (4 * teeth) for i in range(4 * teeth)]
    rim = _polar([1.0, 1.0, inner, inner] * teeth, angles)
    return [rim, _circle(rng.uniform(0.2, 0.28))]


OUTLINES: dict[str, Callable[[Rng], Loops]] = {
    'disc': _disc,
    'box': _box,
    'star': _star,
    'ring': _ring,
    'triangle': _triangle,
    'cross': _cross,
    'heart': _heart,
    'crescent': _crescent,
    'arrow': _arrow,
    'gear': _gear,
}
