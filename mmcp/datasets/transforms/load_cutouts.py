"""Loading of objects on a transparent ground."""

import warnings
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine import fileio
from numpy.typing import NDArray

from mmcp.functional.cutouts import Cutout, cutout_from_rgba
from mmcp.registry import TRANSFORMS

__all__ = ['BadCutout', 'LoadCutouts', 'read_cutout']

Results = dict[str, Any]


class BadCutout(ValueError):
    """A file that holds no cut-out; the message says why in a few words."""


@TRANSFORMS.register_module()
class LoadCutouts(BaseTransform):  # type: ignore[misc]
    """Loads the cut-outs that :class:`mmcp.CutoutDataset` chose.

    A file that cannot be used any more is left out with one warning; without
    any left the sample is given up and the data set takes another.

    Required Keys:
        - cutouts: list of dicts with ``img_path`` and ``bbox_label``

    Modified Keys:
        - cutouts: the same dicts with ``cutout``, a
          :class:`mmcp.functional.cutouts.Cutout`

    Args:
        backend_args: Of mmengine's file backends. Defaults to None, meaning
            one that suits the paths.
    """

    def __init__(self, backend_args: dict[str, Any] | None = None) -> None:
        self.backend_args = backend_args
        self._warned: set[str] = set()

    def transform(self, results: Results) -> Results | None:
        """Loads the cut-outs.

        Args:
            results: Results of a sample; not changed.

        Returns:
            New results, or None if no file could be used.
        """
        loaded = []
        for entry in results['cutouts']:
            try:
                cutout = read_cutout(entry['img_path'], self.backend_args)
            except BadCutout as error:
                self._warn(entry['img_path'], error)
                continue
            loaded.append(dict(entry, cutout=cutout))
        return dict(results, cutouts=loaded) if loaded else None

    def _warn(self, path: str, error: BadCutout) -> None:
        if path not in self._warned:
            self._warned.add(path)
            warnings.warn(f'{path} is left out: {error}', stacklevel=2)

    def __repr__(self) -> str:
        """Shows the argument."""
        return f'{type(self).__name__}(backend_args={self.backend_args!r})'


def read_cutout(
    path: str, backend_args: dict[str, Any] | None = None
) -> Cutout:
    """Reads a cut-out from a file with an alpha channel, such as a PNG.

    Args:
        path: Path of the file.
        backend_args: Of mmengine's file backends. Defaults to None.

    Returns:
        The cut-out.

    Raises:
        BadCutout: If the file cannot be read or decoded, has no alpha
            channel, or none of its pixels has an alpha of at least 128.
    """
    image = _decode(path, backend_args)
    if image.ndim != 3 or image.shape[2] != 4:
        raise BadCutout('no alpha channel')
    cutout = cutout_from_rgba(image)
    if cutout is None:
        raise BadCutout('fully transparent')
    return cutout


def _decode(path: str, backend_args: dict[str, Any] | None) -> NDArray[Any]:
    try:
        content = fileio.get(path, backend_args=backend_args)
    except OSError as error:
        raise BadCutout('unreadable') from error
    data = np.frombuffer(content, np.uint8)
    # OpenCV raises an error of its own for an empty file.
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None:
        raise BadCutout('unreadable')
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if image.dtype != np.uint8:
        raise BadCutout(f'values of {image.dtype}')
    pixels: NDArray[Any] = image
    return pixels
