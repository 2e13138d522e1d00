"""Foreground masks that are kept in files, one for each image."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mmcp.engine.nearest import did_you_mean
from mmcp.functional.foreground_masks import (
    MASKS,
    ForegroundMask,
    has_both_classes,
)
from mmcp.functional.views import ViewParams, crop_view

__all__ = ['FileMasks', 'build_mask']

Mask = NDArray[np.bool_]

_SUFFIXES = ('.png', '.npy')
_TRIES = 10


class FileMasks:
    """Masks from a folder that mirrors the images', such as attention maps.

    ``images/a/1.jpg`` has its mask in ``folder/a/1.png`` (gray, 8 bit) or
    ``folder/a/1.npy`` (shape (H, W); bool, uint8, or floats from 0 to 1), of
    any size. It is cropped and mirrored with the image's view and then
    thresholded. A crop without foreground or background on the feature grid
    is drawn again; after ten, a mask is drawn as ``fallback`` says.

    ``tools/converters/extract_attention_masks.py`` makes such a folder from a
    DINO checkpoint, as for Table 4 of `CP2
    <https://arxiv.org/abs/2203.11709>`_. The paper does not say how the maps
    were thresholded; ``'mean'`` keeps what gets more attention than the
    average of the image.

    Args:
        folder: The folder of masks.
        images: The folder of the images, where the mirrored paths begin.
        threshold: What is foreground: values from here on, between 0 and 1,
            or ``'mean'``. Defaults to 0.5.
        fallback: Config of a mask to draw. Defaults to None, meaning
            ``dict(type='rectangle')``.
        stride: The model's output stride in pixels. Defaults to 16.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If a value is out of its range.
    """

    def __init__(
        self,
        folder: str,
        images: str,
        threshold: float | str = 0.5,
        fallback: Mapping[str, Any] | None = None,
        stride: int = 16,
    ) -> None:
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"there is no folder of masks '{folder}'")
        in_range = not isinstance(threshold, str) and 0 < threshold < 1
        if threshold != 'mean' and not in_range:
            raise ValueError(
                "threshold must lie between 0 and 1 or be 'mean', but is "
                f'{threshold!r}'
            )
        self.folder = folder
        self.images = images
        self.threshold = threshold
        self.stride = stride
        if fallback is None:
            fallback = dict(type='rectangle', stride=stride)
        drawn = build_mask(fallback)
        if not isinstance(drawn, ForegroundMask):
            raise ValueError('fallback must be drawn, not read from files')
        self.fallback = drawn

    def draw(
        self,
        rng: np.random.Generator,
        path: str,
        image_size: tuple[int, int],
        size: tuple[int, int],
        draw_params: Callable[[], ViewParams],
    ) -> tuple[ViewParams, Mask]:
        """Draws a view together with its mask.

        Args:
            rng: Source of randomness of the fallback.
            path: Path of the image.
            image_size: Size of the image, (H, W).
            size: Height and width of the view.
            draw_params: Draws a view.

        Returns:
            The view and its foreground, shape ``size``, bool.

        Raises:
            FileNotFoundError: If the image has no mask.
            ValueError: If the mask's file is damaged, or the image lies
                outside of the folder of images.
        """
        values = self._read(path)
        for _ in range(_TRIES):
            params = draw_params()
            mask = self._cut(values, params, image_size, size)
            if has_both_classes(mask, self.stride):
                return params, mask
        return params, self.fallback.draw(rng, size)

    def _cut(
        self,
        values: NDArray[np.uint8],
        params: ViewParams,
        image_size: tuple[int, int],
        size: tuple[int, int],
    ) -> Mask:
        if isinstance(self.threshold, str):
            least = float(values.mean())
        else:
            least = 255 * self.threshold
        mask: Mask = crop_view(values, params, size, image_size) >= least
        return np.ascontiguousarray(mask[:, ::-1]) if params.flip else mask

    def _read(self, path: str) -> NDArray[np.uint8]:
        place = os.path.relpath(path, self.images)
        if place.startswith(os.pardir):
            raise ValueError(
                f"'{path}' does not lie in '{self.images}', so that its mask "
                "cannot be found; set images of mask=dict(type='file')"
            )
        stem = os.path.join(self.folder, os.path.splitext(place)[0])
        for suffix in _SUFFIXES:
            if os.path.isfile(stem + suffix):
                return _read_map(stem + suffix)
        raise FileNotFoundError(
            f"'{path}' has no mask '{stem}.png' or '.npy'; "
            'tools/converters/extract_attention_masks.py makes them'
        )


def _read_map(path: str) -> NDArray[np.uint8]:
    if path.endswith('.npy'):
        values = np.load(path, allow_pickle=False)
        if values.dtype.kind in 'bf':
            values = np.rint(np.clip(values, 0, 1) * 255.0).astype(np.uint8)
    else:
        values = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    good = isinstance(values, np.ndarray) and values.dtype == np.uint8
    if not good or values.ndim != 2 or not values.size:
        raise ValueError(
            f"'{path}' is not a mask: a gray image, or an array of shape "
            '(H, W) of bool, uint8 or floats from 0 to 1, is needed'
        )
    mapped: NDArray[np.uint8] = values
    return mapped


def build_mask(
    config: str | Mapping[str, Any],
) -> ForegroundMask | FileMasks:
    """Makes a mask of a config.

    Args:
        config: The kind, or a dict with ``type`` and its arguments: one of
            ``'rectangle'``, ``'polygon'``, ``'blocks'``, ``'patches'``, see
            :mod:`mmcp.functional.foreground_masks`, and ``'file'``.

    Returns:
        What draws masks.

    Raises:
        TypeError: If an argument does not belong to the kind.
        ValueError: If there is no such kind, or a value is out of range.
    """
    options = {'type': config} if isinstance(config, str) else dict(config)
    kind = options.pop('type', None)
    kinds: dict[str, Callable[..., ForegroundMask | FileMasks]] = {
        **MASKS,
        'file': FileMasks,
    }
    if kind not in kinds:
        raise ValueError(
            f'mask must be of one of the types {", ".join(kinds)}, but is '
            f'{kind!r}.{did_you_mean(str(kind), kinds)}'
        )
    return kinds[kind](**options)
