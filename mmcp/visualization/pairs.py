"""Pairs of views with their foreground, as a contrastive model sees them."""

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mmcp.visualization.draw import Colour, Image
from mmcp.visualization.grid import image_grid

MIN_SIDE = 160  # pixels of the picture; smaller views are enlarged
_LINE: Colour = (60, 220, 255)
_EDGE: Colour = (0, 0, 0)


def to_images(normalised: Tensor, mean: Tensor, std: Tensor) -> list[Image]:
    """Undo the normalisation of images.

    Args:
        normalised: N images, shape (N, 3, H, W), RGB.
        mean: What was subtracted, in gray levels, shape (3, 1, 1).
        std: What was divided by then, shape (3, 1, 1).

    Returns:
        N images of shape (H, W, 3), uint8, BGR.
    """
    levels = normalised.float() * std + mean
    rounded = levels.round().clamp(0, 255).byte().cpu().numpy()
    return [
        np.ascontiguousarray(image.transpose(1, 2, 0)[..., ::-1])
        for image in rounded
    ]


def enlarge(image: Image) -> Image:
    """Enlarge a small image by a whole factor, without smoothing.

    Args:
        image: Shape (H, W, 3), uint8.

    Returns:
        Its longer side is at least `MIN_SIDE` pixels.
    """
    factor = -(-MIN_SIDE // max(image.shape[:2]))
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def outline_foreground(image: Image, mask: NDArray[np.bool_]) -> Image:
    """Draw a line around the foreground, on an enlarged copy.

    Args:
        image: Shape (H, W, 3), uint8, BGR.
        mask: Foreground, shape (H, W), bool.

    Returns:
        The picture, enlarged as by :func:`enlarge`.
    """
    picture = enlarge(image)
    draw_outline(picture, mask, _EDGE, thickness=3)
    draw_outline(picture, mask, _LINE)
    return picture


def draw_outline(
    picture: Image,
    mask: NDArray[np.bool_],
    colour: Colour,
    thickness: int = 1,
) -> None:
    """Draw a line around the foreground, in place.

    Args:
        picture: An image enlarged as by :func:`enlarge`; changed.
        mask: Foreground on the image before that, shape (H, W), bool.
        colour: BGR.
        thickness: In pixels of the picture. Defaults to 1.
    """
    large = enlarge(mask[..., None].astype(np.uint8))[..., 0]
    lines, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, lines, -1, colour, thickness)


def draw_pairs(
    query: list[Image],
    key: list[Image],
    query_masks: NDArray[np.bool_] | None = None,
    key_masks: NDArray[np.bool_] | None = None,
    columns: int = 2,
) -> Image:
    """Draw N pairs of views, two or more pairs to a row.

    Args:
        query: N images of shape (H, W, 3), uint8, BGR.
        key: N images of the same shape.
        query_masks: Foreground, shape (N, H, W), bool. None draws no line.
        key_masks: Foreground of the keys, shape (N, H, W), bool.
        columns: Pairs in a row. Defaults to 2.

    Returns:
        Shape (height, width, 3), uint8, BGR.

    Raises:
        ValueError: If there is no pair, or if shapes differ.
    """
    pictures = [
        picture
        for pair in zip(
            _outlined(query, query_masks),
            _outlined(key, key_masks),
            strict=True,
        )
        for picture in pair
    ]
    columns = min(columns, len(query)) or 1
    blank = [np.full_like(p, 255) for p in pictures[:1]]
    pictures += blank * (-len(pictures) % (2 * columns))
    rows = [
        pictures[start : start + 2 * columns]
        for start in range(0, len(pictures), 2 * columns)
    ]
    return image_grid(rows, ['query', 'key'] * columns)


def _outlined(
    images: list[Image], masks: NDArray[np.bool_] | None
) -> list[Image]:
    if masks is None:
        return [enlarge(image) for image in images]
    return [
        outline_foreground(image, mask)
        for image, mask in zip(images, masks, strict=True)
    ]
