"""One picture of the sample: objects, clutter and who owns which pixel."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mmcp.demo.categories import CATEGORIES
from mmcp.demo.shapes import Loops, draw_outline
from mmcp.demo.textures import TEXTURES, draw_texture, shrink, value_noise

Rng = np.random.Generator
Array = NDArray[np.float64]
Owners = NDArray[np.int32]

DIAMETERS = (20.0, 120.0)  # pixels, of the circle around an object
MIN_INSIDE = 0.6  # of an object's area that the image border must leave
MIN_VISIBLE = 0.4  # of that part, that later objects must leave
MIN_AREA = 30  # visible pixels
USUAL_TEXTURE = 0.85  # how often a category has its own pattern
NOBODY, CROWD = -1, -2  # owners of pixels that belong to no object
_FINE = 4  # outlines are drawn at this multiple of the resolution
_TEXTURE_OF = {category.name: category.texture for category in CATEGORIES}


@dataclass(frozen=True)
class Scene:
    """A picture and its ground truth.

    Attributes:
        image: Shape (H, W, 3), uint8, BGR.
        owners: Shape (H, W), int32: index of the object that is seen at each
            pixel, `NOBODY` or `CROWD`.
    """

    image: NDArray[np.uint8]
    owners: Owners


@dataclass(frozen=True)
class _Stamp:
    """An object drawn alone: opacity and colours of the box around it."""

    alpha: Array  # (h, w) in [0, 1]
    colour: Array  # (h, w, 3)


def draw_scene(
    shape: tuple[int, int],
    names: Sequence[str],
    rng: Rng,
    crowd: str | None = None,
) -> Scene:
    """Draw objects on a cluttered background, later ones in front.

    Args:
        shape: Height and width in pixels.
        names: Category of each object; its index is the object's owner id.
        rng: Source of everything random.
        crowd: Category of a swarm of tiny objects behind all others; none
            without it.

    Returns:
        The scene, in which every object is at least partly visible.
    """
    image, backdrop = _draw_background(shape, rng)
    owners = np.full(shape, NOBODY, dtype=np.int32)
    if crowd is not None:
        _draw_swarm(image, owners, crowd, backdrop, rng)
    areas: list[int] = []
    for name in names:
        areas.append(_add_object(image, owners, areas, name, backdrop, rng))
    noise = rng.integers(-3, 4, image.shape)
    pixels = np.clip(np.rint(image) + noise, 0, 255).astype(np.uint8)
    return Scene(pixels, owners)


def _add_object(
    image: Array,
    owners: Owners,
    areas: Sequence[int],
    name: str,
    backdrop: Array,
    rng: Rng,
) -> int:
    """Draw an object where it hides none too much; returns its area."""
    diameter = _draw_diameter(rng)
    outline = draw_outline(name, rng)
    while True:
        alpha = _rasterise(outline, diameter)
        x = int(rng.integers(-len(alpha) // 2, owners.shape[1]))
        y = int(rng.integers(-len(alpha) // 2, owners.shape[0]))
        area = _fits(owners, areas, alpha, x, y)
        if area:
            break
        diameter = max(diameter * 0.97, DIAMETERS[0])
    stamp = _paint(alpha, outline, name, diameter, backdrop, rng)
    _put(image, owners, stamp, x, y, len(areas))
    return area


def _draw_diameter(rng: Rng) -> float:
    """The larger of two log-uniform draws: small objects, but not most."""
    low, high = map(log, DIAMETERS)
    return exp(rng.uniform(low, high, 2).max())


def _fits(
    owners: Owners,
    areas: Sequence[int],
    alpha: Array,
    x: int,
    y: int,
) -> int:
    """Area inside the image if the object may stand there, otherwise 0."""
    window, cut = _overlap(owners, alpha, x, y)
    mask = alpha[cut] >= 0.5
    inside = int(mask.sum())
    if inside < max(MIN_AREA, MIN_INSIDE * (alpha >= 0.5).sum()):
        return 0
    hidden = owners[window][mask]
    if (hidden == CROWD).any():
        return 0
    for owner in np.unique(hidden[hidden != NOBODY]).tolist():
        left = int((owners == owner).sum())
        left -= int((hidden == owner).sum())
        if left < max(MIN_AREA, MIN_VISIBLE * areas[owner]):
            return 0
    return inside


def _overlap(
    canvas: NDArray[Any], patch: NDArray[Any], x: int, y: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a patch at (x, y) meets the canvas: in the canvas, in itself."""
    left, top = max(x, 0), max(y, 0)
    right = max(min(x + patch.shape[1], canvas.shape[1]), left)
    bottom = max(min(y + patch.shape[0], canvas.shape[0]), top)
    return (
        (slice(top, bottom), slice(left, right)),
        (slice(top - y, bottom - y), slice(left - x, right - x)),
    )


def _put(
    image: Array,
    owners: Owners,
    stamp: _Stamp,
    x: int,
    y: int,
    owner: int,
) -> None:
    """Blend an object into the image and take over its pixels."""
    window, cut = _overlap(owners, stamp.alpha, x, y)
    alpha = stamp.alpha[cut]
    image[window] += (stamp.colour[cut] - image[window]) * alpha[..., None]
    owners[window][alpha >= 0.5] = owner


def _rasterise(outline: Loops, diameter: float) -> Array:
    """Opacity (side, side) in [0, 1] of an outline, centred."""
    return shrink(_rasterise_fine(outline, diameter), _FINE)


def _rasterise_fine(outline: Loops, diameter: float) -> Array:
    side = (int(diameter) + 3) * _FINE
    canvas = np.zeros((side, side), dtype=np.uint8)
    scale = diameter / 2 * _FINE
    # Pixel centres are whole numbers to OpenCV; 4 bits are left of the point.
    points = [
        np.rint((loop * scale + (side - 1) / 2) * 16).astype(np.int32)
        for loop in outline
    ]
    cv2.fillPoly(canvas, points, 1, shift=4)
    return canvas.astype(np.float64)


def _paint(
    alpha: Array,
    outline: Loops,
    name: str,
    diameter: float,
    backdrop: Array,
    rng: Rng,
) -> _Stamp:
    """Fill an outline with two tones and darken or brighten its rim."""
    tones = _draw_tones(backdrop, rng)
    texture = _TEXTURE_OF[name]
    if rng.random() >= USUAL_TEXTURE:
        texture = _draw_name(rng)
    period = max(diameter * rng.uniform(0.2, 0.32), 4.0)
    height, width = alpha.shape
    weight = draw_texture(texture, (height, width), period, rng)[..., None]
    colour = tones[0] + (tones[1] - tones[0]) * weight
    core = _core(outline, diameter)[..., None]
    shade = 0.0 if rng.random() < 0.7 else 255.0
    rim = colour + (shade - colour) * rng.uniform(0.4, 0.7)
    return _Stamp(alpha, rim + (colour - rim) * core)


def _draw_name(rng: Rng) -> str:
    return list(TEXTURES)[int(rng.integers(len(TEXTURES)))]


def _core(outline: Loops, diameter: float) -> Array:
    """Opacity of what is inside the rim."""
    fine = _rasterise_fine(outline, diameter)
    width = max(1, round(diameter * _FINE / 28))
    kernel = np.ones((2 * width + 1, 2 * width + 1), dtype=np.uint8)
    core: Array = cv2.erode(fine.astype(np.uint8), kernel)
    return shrink(core.astype(np.float64), _FINE)


def _draw_tones(backdrop: Array, rng: Rng) -> Array:
    """Two colours that stand out from the background and each other."""
    while True:
        tones = rng.uniform(15, 240, (2, 3))
        contrast = np.abs(tones[0] - tones[1]).sum()
        from_backdrop = np.abs(tones - backdrop).sum(axis=1)
        if 120 < contrast < 330 and from_backdrop.min() > 110:
            return tones


def _draw_background(shape: tuple[int, int], rng: Rng) -> tuple[Array, Array]:
    """A textured ground with clutter, (H, W, 3), and its mean colour."""
    base = rng.uniform(50, 200, 3)
    other = base + rng.uniform(-45, 45, 3)
    grain = value_noise(shape, rng.uniform(5, 14), rng)
    clouds = value_noise(shape, rng.uniform(40, 80), rng)
    period = rng.uniform(8, 40)
    pattern = draw_texture(_draw_name(rng), shape, period, rng)
    share = rng.uniform(0, 0.5)
    weight = (0.5 * grain + 0.5 * clouds) * (1 - share) + pattern * share
    image = base + (other - base) * weight[..., None]
    image *= 0.8 + 0.4 * value_noise(shape, 150, rng)[..., None]
    for _ in range(int(rng.integers(3, 8))):
        draw = _draw_blob if rng.random() < 0.5 else _draw_scribble
        draw(image, rng)
    return image, (base + other) / 2


def _draw_blob(image: Array, rng: Rng) -> None:
    """A faint patch with a ragged outline that is no category's."""
    height, width = image.shape[:2]
    count = int(rng.integers(9, 14))
    angles = (np.arange(count) + rng.uniform(0, 0.8, count)) / count
    radii = rng.uniform(0.5, 1, count) * rng.uniform(8, 45)
    # A diamond's perimeter stands for the circle: no sine of an array.
    turn = 4 * angles
    x = radii * (np.abs((turn + 1) % 4 - 2) - 1)
    y = radii * (np.abs(turn % 4 - 2) - 1)
    centre = rng.random(2) * (width, height)
    points = np.rint(np.stack([x, y], axis=1) + centre).astype(np.int32)
    mask = np.zeros((height, width), dtype=np.uint8)
    cv2.fillPoly(mask, [points], 1)
    colour = rng.uniform(20, 235, 3)
    inside = mask > 0
    image[inside] += (colour - image[inside]) * rng.uniform(0.2, 0.55)


def _draw_scribble(image: Array, rng: Rng) -> None:
    """A thin bent line, as bright as objects are."""
    height, width = image.shape[:2]
    steps = rng.uniform(-40, 40, (int(rng.integers(2, 6)), 2))
    start = rng.random(2) * (width, height)
    points = np.rint(start + np.cumsum(steps, axis=0)).astype(np.int32)
    mask = np.zeros((height, width), dtype=np.uint8)
    thickness = int(rng.integers(1, 4))
    cv2.polylines(mask, [points], False, 1, thickness)
    image[mask > 0] = rng.uniform(20, 235, 3)


def _draw_swarm(
    image: Array,
    owners: Owners,
    name: str,
    backdrop: Array,
    rng: Rng,
) -> None:
    """Many tiny objects, too close to tell apart: one crowd region."""
    height, width = owners.shape
    x0, y0 = (int(v) for v in rng.uniform(0.1, 0.4, 2) * (width, height))
    for _ in range(45):
        x = x0 + int(rng.integers(0, width // 3))
        y = y0 + int(rng.integers(0, height // 4))
        diameter = rng.uniform(10, 15)
        outline = draw_outline(name, rng)
        alpha = _rasterise(outline, diameter)
        stamp = _paint(alpha, outline, name, diameter, backdrop, rng)
        _put(image, owners, stamp, x, y, CROWD)
    swarm = (owners == CROWD).astype(np.uint8)
    kernel = np.ones((7, 7), dtype=np.uint8)
    owners[cv2.morphologyEx(swarm, cv2.MORPH_CLOSE, kernel) > 0] = CROWD
