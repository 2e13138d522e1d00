"""Random foreground masks of CP2, on any grid.

What is true is foreground. Section 4.3 and figure 4 of `CP2
<https://arxiv.org/abs/2203.11709>`_ compare rectangles, polygons, blocks and
patches, all with 0.5 to 0.8 of the area; the released code has the
rectangles, drawn as torchvision's RandomErasing draws them. Shapes: H W mask.
"""

from abc import ABC, abstractmethod
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from mmcp.functional.ranges import check_range

__all__ = [
    'MASKS',
    'BlocksMask',
    'ForegroundMask',
    'PatchesMask',
    'PolygonMask',
    'RectangleMask',
    'has_both_classes',
]

Mask = NDArray[np.bool_]
Range = tuple[float, float]

_TRIES = 100
# Of the whole area: how close a shape must come to the drawn size.
_TOLERANCE = 0.005
_BISECTIONS = 20
_MAX_BLOCKS = 200


class ForegroundMask(ABC):
    """Draws masks that have both classes on the feature grid too.

    Args:
        area: Least and greatest share of the foreground. Defaults to
            (0.5, 0.8).
        stride: Size of the feature grid's cells in pixels, the model's output
            stride. A mask is drawn again unless some cells are foreground
            and some background, judged at their centres as the model does.
            Defaults to 16.

    Raises:
        ValueError: If a value is out of its range.
    """

    def __init__(self, area: Range = (0.5, 0.8), stride: int = 16) -> None:
        check_range('area', area, limit=1)
        if stride < 1:
            raise ValueError(f'stride must be >= 1, but is {stride}')
        self.area = (float(area[0]), float(area[1]))
        self.stride = stride

    def draw(self, rng: np.random.Generator, shape: tuple[int, int]) -> Mask:
        """Draws a mask.

        Args:
            rng: Source of randomness.
            shape: Its height and width.

        Returns:
            Foreground, shape (H, W), bool.

        Raises:
            ValueError: If no mask with these settings has both classes on
                a grid of this size.
        """
        for _ in range(_TRIES):
            mask = self._draw_once(rng, shape)
            if mask is not None and has_both_classes(mask, self.stride):
                return mask
        raise ValueError(
            f'no mask of {shape[0]}x{shape[1]} pixels was found with '
            f'foreground and background on a grid of stride {self.stride} '
            f'in {_TRIES} draws of {self!r}; change area, stride or the '
            'size of the views'
        )

    @abstractmethod
    def _draw_once(
        self, rng: np.random.Generator, shape: tuple[int, int]
    ) -> Mask | None:
        """Draws a mask; None if this draw gives none."""

    def __repr__(self) -> str:
        """Shows the arguments."""
        values = ', '.join(f'{k}={v!r}' for k, v in vars(self).items())
        return f'{type(self).__name__}({values})'


class RectangleMask(ForegroundMask):
    """A rectangle, as torchvision's RandomErasing draws it.

    Args:
        area: Least and greatest share of the foreground. Defaults to
            (0.5, 0.8).
        aspect: Least and greatest height relative to the width. Defaults to
            (0.8, 1.25).
        stride: As in :class:`ForegroundMask`; no side is shorter. Defaults
            to 16.

    Raises:
        ValueError: If a value is out of its range.
    """

    def __init__(
        self,
        area: Range = (0.5, 0.8),
        aspect: Range = (0.8, 1.25),
        stride: int = 16,
    ) -> None:
        super().__init__(area, stride)
        check_range('aspect', aspect)
        self.aspect = (float(aspect[0]), float(aspect[1]))

    def _draw_once(
        self, rng: np.random.Generator, shape: tuple[int, int]
    ) -> Mask | None:
        area = shape[0] * shape[1] * rng.uniform(*self.area)
        sides = _draw_sides(rng, area, self.aspect)
        fits = all(s < n for s, n in zip(sides, shape, strict=True))
        if not fits or min(sides) < self.stride:
            return None
        mask = np.zeros(shape, bool)
        _fill_block(rng, mask, sides)
        return mask


class PolygonMask(ForegroundMask):
    """A polygon around a point in the middle half of the image.

    Its corners lie at random angles and distances; it is blown up, and cut
    off at the borders, until it has the drawn area.

    Args:
        area: Least and greatest share of the foreground. Defaults to
            (0.5, 0.8).
        corners: Least and greatest number of corners, both included.
            Defaults to (5, 10).
        spread: The least distance of a corner from the point, relative to
            the greatest. Defaults to 0.5.
        stride: As in :class:`ForegroundMask`. Defaults to 16.

    Raises:
        ValueError: If a value is out of its range.
    """

    def __init__(
        self,
        area: Range = (0.5, 0.8),
        corners: tuple[int, int] = (5, 10),
        spread: float = 0.5,
        stride: int = 16,
    ) -> None:
        super().__init__(area, stride)
        if not 3 <= corners[0] <= corners[1]:
            raise ValueError(
                'corners must be (low, high) with 3 <= low <= high, but is '
                f'{corners}'
            )
        if not 0 < spread <= 1:
            raise ValueError(f'spread must lie in (0, 1], but is {spread}')
        self.corners = (int(corners[0]), int(corners[1]))
        self.spread = spread

    def _draw_once(
        self, rng: np.random.Generator, shape: tuple[int, int]
    ) -> Mask | None:
        size = np.array(shape[::-1])
        centre = rng.uniform(0.25, 0.75, 2) * size
        rays = self._draw_rays(rng) * size
        target = rng.uniform(*self.area)
        low, high = 0.0, 2.0
        while _polygon(centre + high * rays, shape).mean() < target:
            if high > 64:
                return None
            low, high = high, 2 * high
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            mask = _polygon(centre + middle * rays, shape)
            share = mask.mean()
            if abs(share - target) <= _TOLERANCE:
                inside = self.area[0] <= share <= self.area[1]
                return mask.view(bool) if inside else None
            low, high = (middle, high) if share < target else (low, middle)
        return None

    def _draw_rays(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Corners as seen from the point, shape (corners, 2), x and y."""
        count = int(rng.integers(self.corners[0], self.corners[1] + 1))
        # One corner in each sector, so that the point lies inside.
        angles = (np.arange(count) + rng.random(count)) * 2 * np.pi / count
        lengths = rng.uniform(self.spread, 1, count)
        return np.stack([np.cos(angles), np.sin(angles)], 1) * lengths[:, None]


class BlocksMask(ForegroundMask):
    """Several rectangles, which may overlap.

    Args:
        area: Least and greatest share of the foreground. Defaults to
            (0.5, 0.8).
        block_area: Least and greatest share of one rectangle. Defaults to
            (0.05, 0.2).
        aspect: Least and greatest height of one relative to its width.
            Defaults to (0.5, 2.0).
        stride: As in :class:`ForegroundMask`. Defaults to 16.

    Raises:
        ValueError: If a value is out of its range.
    """

    def __init__(
        self,
        area: Range = (0.5, 0.8),
        block_area: Range = (0.05, 0.2),
        aspect: Range = (0.5, 2.0),
        stride: int = 16,
    ) -> None:
        super().__init__(area, stride)
        check_range('block_area', block_area, limit=1)
        check_range('aspect', aspect)
        self.block_area = (float(block_area[0]), float(block_area[1]))
        self.aspect = (float(aspect[0]), float(aspect[1]))

    def _draw_once(
        self, rng: np.random.Generator, shape: tuple[int, int]
    ) -> Mask | None:
        target = rng.uniform(*self.area)
        mask = np.zeros(shape, bool)
        share = 0.0
        for _ in range(_MAX_BLOCKS):
            wider = mask.copy()
            part = mask.size * rng.uniform(*self.block_area)
            sides = _draw_sides(rng, part, self.aspect)
            _fill_block(rng, wider, sides)
            new_share = float(wider.mean())
            if new_share >= target:
                # Whichever is closer, so that areas are not too large.
                if new_share - target > target - share:
                    wider, new_share = mask, share
                inside = self.area[0] <= new_share <= self.area[1]
                return wider if inside else None
            mask, share = wider, new_share
        return None


class PatchesMask(ForegroundMask):
    """Random cells of a regular grid.

    Args:
        area: Least and greatest share of the foreground. Defaults to
            (0.5, 0.8).
        patch: Size of a cell in pixels; cells at the right and lower border
            may be cut off. Defaults to 16.
        stride: As in :class:`ForegroundMask`. Defaults to 16.

    Raises:
        ValueError: If a value is out of its range.
    """

    def __init__(
        self, area: Range = (0.5, 0.8), patch: int = 16, stride: int = 16
    ) -> None:
        super().__init__(area, stride)
        if patch < 1:
            raise ValueError(f'patch must be >= 1, but is {patch}')
        self.patch = patch

    def _draw_once(
        self, rng: np.random.Generator, shape: tuple[int, int]
    ) -> Mask | None:
        rows, columns = (-(-n // self.patch) for n in shape)
        cells = np.zeros(rows * columns, bool)
        count = round(cells.size * rng.uniform(*self.area))
        cells[rng.permutation(cells.size)[:count]] = True
        grid = cells.reshape(rows, columns)
        whole = grid.repeat(self.patch, 0).repeat(self.patch, 1)
        mask = np.ascontiguousarray(whole[: shape[0], : shape[1]])
        # One cell more or less is rounding.
        slack = 1 / cells.size
        low, high = self.area
        inside = low - slack <= mask.mean() <= high + slack
        return mask if inside else None


MASKS: dict[str, type[ForegroundMask]] = {
    'rectangle': RectangleMask,
    'polygon': PolygonMask,
    'blocks': BlocksMask,
    'patches': PatchesMask,
}
"""The kinds of masks by the name that configs use."""


def has_both_classes(mask: Mask, stride: int) -> bool:
    """Whether foreground and background are left on the feature grid.

    Args:
        mask: Foreground, shape (H, W), bool.
        stride: Size of a cell in pixels.

    Returns:
        Whether the mask is true at the centres of some cells and false at
        those of others, by nearest-exact sampling.
    """
    cells = mask[np.ix_(*(_centres(n, stride) for n in mask.shape))]
    return bool(cells.any() and not cells.all())


@lru_cache(maxsize=64)
def _centres(size: int, stride: int) -> NDArray[np.int64]:
    cells = -(-size // stride)
    centres = np.floor((np.arange(cells) + 0.5) * size / cells)
    places: NDArray[np.int64] = centres.astype(np.int64)
    return places


def _draw_sides(
    rng: np.random.Generator, area: float, aspect: Range
) -> tuple[int, int]:
    """Height and width of a rectangle of this area in pixels."""
    ratio = np.exp(rng.uniform(*np.log(aspect)))
    return (
        round(float(np.sqrt(area * ratio))),
        round(float(np.sqrt(area / ratio))),
    )


def _fill_block(
    rng: np.random.Generator, mask: Mask, sides: tuple[int, int]
) -> None:
    """Sets a rectangle at a random place, in place."""
    height, width = (min(s, n) for s, n in zip(sides, mask.shape, strict=True))
    y = int(rng.integers(mask.shape[0] - height + 1))
    x = int(rng.integers(mask.shape[1] - width + 1))
    mask[y : y + height, x : x + width] = True


def _polygon(
    corners: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """Rasterises a polygon of corners (x, y), cut off at the borders."""
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1)
    return mask
