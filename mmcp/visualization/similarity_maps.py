"""Heat maps of the similarity with a foreground, laid over the images."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mmcp.visualization.draw import Image
from mmcp.visualization.grid import image_grid
from mmcp.visualization.pairs import (
    draw_outline,
    enlarge,
    outline_foreground,
)

_HEAT = 0.7  # opacity of the colours over the gray image
_EDGE = (255, 255, 255)
_SCALE_TEXT = ('-1', '0', '1')


@dataclass(frozen=True)
class SimilarityView:
    """One view of an image and how similar its positions are.

    Attributes:
        image: Shape (H, W, 3), uint8, BGR.
        mask: Foreground, shape (H, W), bool.
        cosines: Of the positions of its feature map with a foreground
            vector, shape (h, w), float in [-1, 1].
        grid_mask: Foreground on the grid of the feature map, shape (h, w),
            bool.
    """

    image: Image
    mask: NDArray[np.bool_]
    cosines: NDArray[np.float32]
    grid_mask: NDArray[np.bool_]


def draw_heat(image: Image, cosines: NDArray[np.float32]) -> Image:
    """Colour an image by similarity, from -1 (dark) to 1 (bright).

    Args:
        image: Shape (H, W, 3), uint8, BGR.
        cosines: Shape (h, w), float; interpolated over the image.

    Returns:
        The picture, enlarged as by :func:`~mmcp.visualization.pairs.enlarge`.
    """
    picture = enlarge(image)
    height, width = picture.shape[:2]
    smooth = cv2.resize(
        cosines, (width, height), interpolation=cv2.INTER_LINEAR
    )
    gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[..., None]
    # Half the contrast: the picture's darkness must not pass for a cosine's.
    mixed = _HEAT * _colours(smooth) + (1 - _HEAT) * (64 + gray / 2)
    return np.asarray(np.rint(mixed), np.uint8)


def draw_similarity_maps(
    queries: Sequence[SimilarityView], keys: Sequence[SimilarityView]
) -> Image:
    """Draw N pairs of views, each beside its heat map, a pair to a row.

    Below each heat map stand the mean cosines of foreground and background;
    the bar at the bottom is the scale, the same for all pictures.

    Args:
        queries: N query views.
        keys: N key views of the same size.

    Returns:
        Shape (height, width, 3), uint8, BGR.

    Raises:
        ValueError: If there is no pair, or if sizes differ.
    """
    rows, captions = [], []
    for pair in zip(queries, keys, strict=True):
        row, texts = [], []
        for view in pair:
            row.append(outline_foreground(view.image, view.mask))
            heat = draw_heat(view.image, view.cosines)
            draw_outline(heat, view.mask, _EDGE)
            row.append(heat)
            texts += ['', _means(view)]
        rows.append(row)
        captions.append(texts)
    titles = ['query', 'cosine with key fg', 'key', 'cosine with query fg']
    grid = image_grid(rows, titles, captions)
    return np.concatenate([grid, _scale(grid.shape[1])])


def _means(view: SimilarityView) -> str:
    texts = []
    for name, mask in (('fg', view.grid_mask), ('bg', ~view.grid_mask)):
        mean = f'{view.cosines[mask].mean():.2f}' if mask.any() else 'none'
        texts.append(f'{name} {mean}')
    return '  '.join(texts)


def _colours(cosines: NDArray[np.float32]) -> Image:
    levels = np.rint((cosines.clip(-1, 1) + 1) * 127.5).astype(np.uint8)
    return np.asarray(
        cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS), np.uint8
    )


def _scale(width: int) -> Image:
    """A bar of all colours with its ends and middle named."""
    strip = np.full((34, width, 3), 255, np.uint8)
    left, right = width // 4, width - width // 4
    values = np.linspace(-1, 1, right - left, dtype=np.float32)[None]
    strip[2:14, left:right] = _colours(values)
    for place, text in enumerate(_SCALE_TEXT):
        (extent, _), _ = cv2.getTextSize(
            text, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1
        )
        x = left + (right - left) * place // 2 - extent // 2
        cv2.putText(
            strip,
            text,
            (x, 29),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.4,
            (40, 40, 40),
            1,
            lineType=cv2.LINE_AA,
        )
    return strip
