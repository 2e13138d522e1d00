"""Instances drawn on images: masks, outlines, boxes and names.

Images are BGR as OpenCV's, palettes RGB as MMDetection's.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

MIN_TAGGED = 20  # pixels of the picture; a smaller object's name would hide it
IGNORED = (128, 128, 128)
# Okabe and Ito's colours, which colour-blind people can tell apart.
PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_instances(
    image: Image,
    *,
    masks: NDArray[Any] | None = None,
    boxes: NDArray[Any] | None = None,
    labels: NDArray[Any] | None = None,
    scores: NDArray[Any] | None = None,
    class_names: Sequence[str] = (),
    palette: Sequence[Sequence[int]] = PALETTE,
    scale: int = 1,
    opacity: float = 0.4,
) -> Image:
    """Draw M instances on a copy of an image.

    Args:
        image: Shape (H, W, 3), uint8, BGR.
        masks: Shape (M, H, W), non-zero inside; outlined and filled with the
            colour of their label.
        boxes: Shape (M, 4), `xyxy` in pixels of `image`.
        labels: Shape (M,), integers from 0. A negative one means ignored and
            is drawn in gray without a name. Defaults to None, 0, 1, 2 ...
        scores: Shape (M,), in [0, 1], written behind the name.
        class_names: Name of each label, written unless the instance is tiny.
            None are written by default.
        palette: RGB colour of each label, repeated when there are more.
        scale: Enlargement of the picture, for thin lines and legible names.
            Defaults to 1.
        opacity: Of the masks, in [0, 1]. Defaults to 0.4.

    Returns:
        Shape (scale * H, scale * W, 3), uint8, BGR.

    Raises:
        ValueError: If shapes do not fit each other.
    """
    _check(image, masks, boxes, labels, scores)
    count = next((len(a) for a in (masks, boxes, labels) if a is not None), 0)
    if labels is None:
        labels = np.arange(count)
    height, width = image.shape[:2]
    canvas: Image = cv2.resize(
        image,
        (scale * width, scale * height),
        interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_NEAREST,
    )
    colours = [_colour_of(int(label), palette) for label in labels]
    if masks is not None:
        for mask, colour in zip(masks, colours, strict=True):
            _draw_mask(canvas, mask, colour, scale, opacity)
    if boxes is not None:
        for box, colour in zip(boxes, colours, strict=True):
            x0, y0, x1, y1 = np.rint(np.asarray(box) * scale).astype(int)
            cv2.rectangle(canvas, (x0, y0), (x1 - 1, y1 - 1), colour, 1)
    tags = _tags(labels, scores, class_names)
    for index, tag in enumerate(tags):
        box = _box_of(index, masks, boxes) * scale
        if tag and (box[2:] - box[:2]).max() >= MIN_TAGGED:
            _draw_tag(canvas, tag, box[:2], colours[index])
    return canvas


def _check(
    image: Image,
    masks: NDArray[Any] | None,
    boxes: NDArray[Any] | None,
    labels: NDArray[Any] | None,
    scores: NDArray[Any] | None,
) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            'image must be uint8 of shape (H, W, 3), got '
            f'{image.dtype} of {image.shape}'
        )
    given = {
        'masks': masks,
        'boxes': boxes,
        'labels': labels,
        'scores': scores,
    }
    lengths = {k: len(v) for k, v in given.items() if v is not None}
    if len(set(lengths.values())) > 1:
        raise ValueError(f'numbers of instances differ: {lengths}')
    if masks is not None and masks.shape[1:] != image.shape[:2]:
        raise ValueError(
            f'masks of shape {masks.shape} do not fit an image of '
            f'{image.shape[:2]}'
        )
    if boxes is not None and len(boxes) and boxes.shape[1:] != (4,):
        raise ValueError(f'boxes must be (M, 4), got {boxes.shape}')


def _colour_of(label: int, palette: Sequence[Sequence[int]]) -> Colour:
    """BGR colour of a label."""
    red, green, blue = palette[label % len(palette)] if label >= 0 else IGNORED
    return int(blue), int(green), int(red)


def _draw_mask(
    canvas: Image,
    mask: NDArray[Any],
    colour: Colour,
    scale: int,
    opacity: float,
) -> None:
    large = np.ascontiguousarray(
        (mask != 0).repeat(scale, axis=0).repeat(scale, axis=1), dtype=np.uint8
    )
    inside = large > 0
    blended = canvas[inside] * (1 - opacity) + np.array(colour) * opacity
    canvas[inside] = np.rint(blended).astype(np.uint8)
    outlines, _ = cv2.findContours(
        large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
    )
    cv2.drawContours(canvas, outlines, -1, colour, 1)


def _tags(
    labels: NDArray[Any],
    scores: NDArray[Any] | None,
    class_names: Sequence[str],
) -> list[str]:
    tags = []
    for index, label in enumerate(labels):
        known = 0 <= label < len(class_names)
        words = [class_names[label]] if known else []
        if scores is not None:
            words.append(f'{scores[index]:.2f}')
        tags.append(' '.join(words))
    return tags


def _box_of(
    index: int, masks: NDArray[Any] | None, boxes: NDArray[Any] | None
) -> NDArray[Any]:
    """Box of an instance, xyxy; of no size where there is none."""
    if boxes is not None:
        return np.asarray(boxes[index])
    if masks is None or not masks[index].any():
        return np.zeros(4)
    x, y, width, height = cv2.boundingRect((masks[index] != 0).view(np.uint8))
    return np.array([x, y, x + width, y + height])


def _draw_tag(
    canvas: Image, text: str, corner: NDArray[Any], colour: Colour
) -> None:
    """Write on a patch of the colour, kept inside the picture."""
    size = 0.4
    (width, height), below = cv2.getTextSize(text, _FONT, size, 1)
    x = int(np.clip(corner[0], 0, max(canvas.shape[1] - width - 2, 0)))
    y = int(np.clip(corner[1] - 2, height + 2, canvas.shape[0] - below))
    cv2.rectangle(
        canvas, (x, y - height - 2), (x + width + 1, y + below - 1), colour, -1
    )
    blue, green, red = colour
    dark = 0.114 * blue + 0.587 * green + 0.299 * red < 128
    ink = (255, 255, 255) if dark else (0, 0, 0)
    cv2.putText(
        canvas, text, (x + 1, y), _FONT, size, ink, 1, lineType=cv2.LINE_AA
    )
