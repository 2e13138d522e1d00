"""Cut-outs: objects on a transparent ground, and canvases made of them.

Shapes: H W the canvas, h w one cut-out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mmcp.functional.patches import EMPTY, Patch, tighten

__all__ = [
    'OPAQUE',
    'Cutout',
    'Placement',
    'compose_cutouts',
    'cutout_from_rgba',
    'draw_placement',
]

# Least alpha of a pixel that belongs to the object.
OPAQUE = 128
# Width of the rim with the colours of an object's edge, so that blending
# finds nothing else: more than three of CopyPaste's default deviations.
_RIM = 8


class Cutout(NamedTuple):
    """An object on a transparent ground.

    Args:
        image: Colours of shape (h, w, 3), uint8, BGR. Pixels that are not the
            object have the colour of the object's nearest pixel.
        alpha: Opacity of shape (h, w), uint8. Its pixels of at least 128 are
            the object, which touches all four edges.
        corner: Column and row of the top-left pixel in the image it was cut
            from. Defaults to (0, 0).
    """

    image: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    corner: tuple[int, int] = (0, 0)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The object's box in the image it was cut from, ``xyxy``."""
        (x, y), (height, width) = self.corner, self.alpha.shape
        return x, y, x + width, y + height


@dataclass(frozen=True)
class Placement:
    """Where a cut-out lies on a canvas.

    Args:
        x: Column of its left edge; may lie outside of the canvas.
        y: Row of its top edge.
        width: Its width after resizing, in pixels.
        height: Its height after resizing.
        flip: Whether it is mirrored left to right.
    """

    x: int
    y: int
    width: int
    height: int
    flip: bool = False


def cutout_from_rgba(rgba: NDArray[np.uint8]) -> Cutout | None:
    """Crops an image with transparency to its object.

    What lies under transparent pixels, often black or white, is replaced by
    the colour of the object's nearest pixel: it would show as a seam after
    resizing and blending.

    Args:
        rgba: Image of shape (H, W, 4), uint8, BGRA as OpenCV decodes it.

    Returns:
        The cut-out; None if no pixel is opaque enough to be an object.

    Raises:
        ValueError: If the image has no four channels of uint8.
    """
    if rgba.ndim != 3 or rgba.shape[2] != 4 or rgba.dtype != np.uint8:
        raise ValueError(
            'a cut-out needs an image of shape (H, W, 4) of uint8, but this '
            f'one is of shape {rgba.shape} and {rgba.dtype}'
        )
    opaque = (rgba[..., 3] >= OPAQUE).view(np.uint8)
    x0, y0, x1, y1 = tighten(Patch(0, 0, opaque)).extent
    if x1 == x0:
        return None
    inside = np.s_[y0:y1, x0:x1]
    image = _spread_colours(rgba[inside][..., :3], opaque[inside])
    return Cutout(image, rgba[inside][..., 3].copy(), (x0, y0))


def _spread_colours(
    image: NDArray[np.uint8], opaque: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Gives pixels that are not opaque the colour of the nearest that is."""
    if opaque.all():
        return image.copy()
    # Every opaque pixel has a label of its own; the others get the nearest's.
    _, labels = cv2.distanceTransformWithLabels(
        1 - opaque, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.empty((labels.max() + 1, 3), np.uint8)
    members = opaque.astype(bool)
    colours[labels[members]] = image[members]
    spread: NDArray[np.uint8] = colours[labels]
    return spread


def draw_placement(
    rng: np.random.Generator,
    cutout_size: tuple[int, int],
    canvas_size: tuple[int, int],
    scale_range: tuple[float, float],
    relative_to: str = 'canvas',
    overhang: float = 0.0,
    flip_prob: float = 0.5,
) -> Placement:
    """Draws size, place and flip of a cut-out, all uniformly.

    Args:
        rng: Source of randomness.
        cutout_size: Size of the cut-out, (h, w).
        canvas_size: Size of the canvas, (H, W).
        scale_range: Least and greatest scale.
        relative_to: ``'canvas'``: scale 1 makes the cut-out's longer side as
            long as the canvas's shorter side. ``'cutout'``: scale 1 leaves it
            as it is. Defaults to 'canvas'.
        overhang: Part of the cut-out's width and height that may lie outside
            of the canvas. Defaults to 0.0.
        flip_prob: Probability of the flip. Defaults to 0.5.

    Returns:
        The placement. A cut-out larger than the canvas covers all of it.
    """
    factor = float(rng.uniform(*scale_range))
    if relative_to == 'canvas':
        factor *= min(canvas_size) / max(cutout_size)
    size = [max(round(length * factor), 1) for length in cutout_size]
    corner = []
    for length, total in zip(size, canvas_size, strict=True):
        outside = int(length * overhang)
        ends = sorted((-outside, total - length + outside))
        corner.append(int(rng.integers(ends[0], ends[1] + 1)))
    flip = bool(rng.random() < flip_prob)
    return Placement(corner[1], corner[0], size[1], size[0], flip)


def compose_cutouts(
    cutouts: Sequence[Cutout],
    placements: Sequence[Placement],
    size: tuple[int, int],
    fill: float | Sequence[float] = 0,
) -> tuple[NDArray[np.uint8], list[Patch]]:
    """Lays cut-outs on an empty canvas, later ones on top.

    Args:
        cutouts: M cut-outs.
        placements: M placements.
        size: Size of the canvas, (H, W).
        fill: Colour of the empty canvas, one number or BGR. Defaults to 0.

    Returns:
        The canvas, shape (H, W, 3), uint8, and M tight masks that hold only
        what is visible; one without a pixel is empty. Around a mask, where no
        other is, the canvas shows the colours of its edge, for blending.
    """
    image = np.empty((*size, 3), np.uint8)
    image[:] = fill
    covered = np.zeros(size, np.uint8)
    whole = [
        _lay(cutout, placement, image, covered)
        for cutout, placement in zip(cutouts, placements, strict=True)
    ]
    covered[:] = 0
    visible = [_uncovered(patch, covered) for patch in reversed(whole)]
    return image, visible[::-1]


def _lay(
    cutout: Cutout,
    placement: Placement,
    image: NDArray[np.uint8],
    covered: NDArray[np.uint8],
) -> Patch:
    """Draws one cut-out and its rim; the rim hides no other object."""
    colours, mask = _resize(cutout, placement)
    colours = np.pad(colours, [(_RIM, _RIM), (_RIM, _RIM), (0, 0)], 'edge')
    padded = np.pad(mask, _RIM)
    x, y = placement.x - _RIM, placement.y - _RIM
    height, width = padded.shape
    top, left = max(-y, 0), max(-x, 0)
    bottom = min(height, image.shape[0] - y)
    right = min(width, image.shape[1] - x)
    if bottom <= top or right <= left:
        return EMPTY
    there = np.s_[y + top : y + bottom, x + left : x + right]
    here = np.s_[top:bottom, left:right]
    rim = cv2.dilate(padded, np.ones((2 * _RIM + 1,) * 2, np.uint8))
    drawn = padded[here] | (rim[here] & (1 - covered[there]))
    cv2.copyTo(colours[here], drawn, image[there])
    covered[there] |= padded[here]
    return tighten(Patch(x + left, y + top, padded[here]))


def _resize(
    cutout: Cutout, placement: Placement
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Colours and mask (0 or 1) in the placement's size."""
    size = placement.width, placement.height
    height, width = cutout.alpha.shape
    shrinks = size[0] * size[1] < width * height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    image = cv2.resize(cutout.image, size, interpolation=method)
    alpha = cv2.resize(cutout.alpha, size, interpolation=method)
    if placement.flip:
        image, alpha = cv2.flip(image, 1), cv2.flip(alpha, 1)
    return image, (alpha >= OPAQUE).view(np.uint8)


def _uncovered(patch: Patch, covered: NDArray[np.uint8]) -> Patch:
    """What of a mask is not covered yet; covers that."""
    x0, y0, x1, y1 = patch.extent
    there = covered[y0:y1, x0:x1]
    seen = patch.bitmap & (1 - there)
    there |= patch.bitmap
    return tighten(Patch(patch.x, patch.y, seen))
