"""Pictures arranged in rows, with a line of text above and below each."""

from collections.abc import Sequence

import cv2
import numpy as np

from mmcp.visualization.draw import Image

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SIZE = 0.45
_LINE = 18  # pixels that a line of text takes
_GAP = 6
_INK = (40, 40, 40)
_PAPER = 255


def image_grid(
    rows: Sequence[Sequence[Image]],
    titles: Sequence[str],
    captions: Sequence[Sequence[str]] | None = None,
) -> Image:
    """Arrange pictures of one size in rows and columns.

    Args:
        rows: At least one row of pictures, each of shape (H, W, 3), uint8,
            BGR.
        titles: One for each column, written above it.
        captions: One for each picture, in rows, written below it. Defaults
            to None.

    Returns:
        Shape (height, width, 3), uint8, BGR.

    Raises:
        ValueError: If there is no picture, if pictures differ in size, or if
            titles or captions do not fit the pictures.
    """
    _check(rows, titles, captions)
    height, width = rows[0][0].shape[:2]
    step_x = width + _GAP
    step_y = height + _GAP + (_LINE if captions else 0)
    canvas = np.full(
        (_LINE + _GAP + step_y * len(rows), _GAP + step_x * len(titles), 3),
        _PAPER,
        np.uint8,
    )
    for column, title in enumerate(titles):
        _write(canvas, title, _GAP + step_x * column, _LINE - 4)
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            x = _GAP + step_x * column
            y = _LINE + _GAP + step_y * row
            canvas[y : y + height, x : x + width] = image
            if captions:
                text = captions[row][column]
                _write(canvas, text, x, y + height + _LINE - 4)
    return canvas


def _check(
    rows: Sequence[Sequence[Image]],
    titles: Sequence[str],
    captions: Sequence[Sequence[str]] | None,
) -> None:
    sizes = {image.shape for images in rows for image in images}
    if len(sizes) != 1:
        raise ValueError(
            'a grid needs pictures of one size, got '
            f'{sorted(sizes) or "no picture"}'
        )
    lengths = {len(images) for images in rows}
    if lengths != {len(titles)}:
        raise ValueError(
            f'{len(titles)} titles do not fit rows of {sorted(lengths)} '
            'pictures'
        )
    if captions and [len(c) for c in captions] != [len(r) for r in rows]:
        raise ValueError('there must be a caption for each picture')


def _write(canvas: Image, text: str, x: int, y: int) -> None:
    cv2.putText(
        canvas, text, (x, y), _FONT, _SIZE, _INK, 1, lineType=cv2.LINE_AA
    )
