"""Reading an image file without decoding it yet."""

from typing import Any

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio
from numpy.typing import NDArray

from mmcp.datasets.transforms.load_annotations import LoadAnnotations
from mmcp.datasets.transforms.postponed_images import are_images_postponed
from mmcp.datasets.transforms.scale_jitter import ScaleJitter
from mmcp.functional.decoding import (
    EncodedImage,
    LateImage,
    UndecodableImage,
)

__all__ = ['LateLoading', 'load_late']


class LateLoading(LoadImageFromFile):  # type: ignore[misc]
    """``LoadImageFromFile`` that leaves a JPEG undecoded where it may.

    That is where a caller waits for a ``JitteredImage``
    (:func:`~mmcp.datasets.transforms.postponed_images.postponed_images`).
    Elsewhere, and for other files, it does what it stands for.

    Args:
        stock: The transform that it stands for.
    """

    def __init__(self, stock: LoadImageFromFile) -> None:
        self.__dict__.update(vars(stock))

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Reads the file.

        Args:
            results: Results with ``img_path``.

        Returns:
            The results with ``img``, ``img_shape`` and ``ori_shape``.
        """
        image = self._read(results) if are_images_postponed() else None
        if image is None:
            # Nobody waits, or the file is broken: this says so.
            loaded: dict[str, Any] | None = super().transform(results)
            return loaded
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _read(
        self, results: dict[str, Any]
    ) -> LateImage | NDArray[np.uint8] | None:
        path = str(results['img_path'])
        content = self._content(path)
        try:
            return LateImage(content, path)
        except UndecodableImage:
            pass
        try:
            return EncodedImage(content).decode()
        except UndecodableImage:
            return None

    def _content(self, path: str) -> bytes:
        if self.backend_args is None and '://' not in path:
            # What the stock transform does with such a path, in fewer steps.
            with open(path, 'rb') as file:
                return file.read()
        content: bytes = fileio.get(path, backend_args=self.backend_args)
        return content


def load_late(transforms: list[Any]) -> None:
    """Lets a pipeline decode late, if nobody looks at the image before.

    Args:
        transforms: Its transforms. If they are ``LoadImageFromFile``,
            ``mmcp.LoadAnnotations`` and ``mmcp.ScaleJitter``, the first of
            them is replaced.
    """
    kinds = [type(transform) for transform in transforms]
    if kinds == [LoadImageFromFile, LoadAnnotations, ScaleJitter]:
        if _is_plain(transforms[0]):
            transforms[0] = LateLoading(transforms[0])


def _is_plain(stock: LoadImageFromFile) -> bool:
    """Whether it gives what OpenCV decodes, or an error."""
    return (
        stock.color_type == 'color'
        and stock.imdecode_backend == 'cv2'
        and stock.file_client_args is None
        and not (stock.to_float32 or stock.ignore_empty)
    )
