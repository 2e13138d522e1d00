"""A folder of images without objects as a destination."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from mmdet.datasets import BaseDetDataset
from mmengine import fileio

from mmcp.datasets.image_folder import (
    check_files,
    list_images,
    require_folder,
)
from mmcp.registry import DATASETS

__all__ = ['BackgroundDataset']


@DATASETS.register_module()
class BackgroundDataset(BaseDetDataset):  # type: ignore[misc]
    """Images without objects, in a folder and all folders below it.

    A destination for :class:`mmcp.CopyPasteDataset`: whatever it shows is
    background, and all objects come from the source. The pipeline is that of
    any data set, ``LoadImageFromFile`` and ``mmcp.LoadAnnotations`` with
    boxes and masks, which finds none, then a transform that gives all images
    the size of the source.

    Args:
        metainfo: With ``classes``, those of the source in its order: pasted
            objects bring their labels with them.
        data_root: The folder. Defaults to '', meaning that
            ``data_prefix['img']`` alone is its path.
        data_prefix: With ``img``, the folder below ``data_root``. Defaults to
            None, meaning ``data_root`` itself.
        verify: Whether to decode every file at the start, eight at a time
            and JPEG at an eighth of its size, and to leave out unreadable
            ones with one warning that counts them. If not, one of them stops
            the training. Defaults to True.
        **kwargs: Other arguments of ``BaseDetDataset``: ``pipeline``,
            ``indices``, ``backend_args``, ``test_mode``, ``lazy_init`` ...

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If it has no readable image, or if ``metainfo`` has no
            classes.
    """

    def __init__(
        self,
        metainfo: Mapping[str, Any],
        data_root: str = '',
        data_prefix: Mapping[str, str] | None = None,
        *,
        verify: bool = True,
        **kwargs: Any,
    ) -> None:
        if 'classes' not in metainfo:
            raise ValueError(
                "metainfo of BackgroundDataset needs 'classes', those of the "
                'source that objects are pasted from'
            )
        self.verify = verify
        super().__init__(
            data_root=data_root,
            metainfo=metainfo,
            data_prefix=dict(data_prefix or {'img': ''}),
            **kwargs,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """Lists the images.

        Returns:
            For each a dict with ``img_path``, ``img_id`` and ``instances``,
            an empty list.

        Raises:
            FileNotFoundError: If the folder does not exist.
            ValueError: If no image is usable.
        """
        folder = self.data_prefix['img']
        require_folder(folder, self.backend_args)
        paths = list_images(folder, self.backend_args)
        if self.verify:
            paths = list(check_files(folder, paths, self._check))
        if not paths:
            raise ValueError(f"'{folder}' has no readable image")
        return [
            dict(img_path=self._full_path(path), img_id=number, instances=[])
            for number, path in enumerate(paths)
        ]

    def _full_path(self, path: str) -> str:
        joined: str = fileio.join_path(
            self.data_prefix['img'], path, backend_args=self.backend_args
        )
        return joined

    def _check(self, path: str) -> None:
        try:
            content = fileio.get(self._full_path(path), self.backend_args)
        except OSError as error:
            raise ValueError('unreadable') from error
        data = np.frombuffer(content, np.uint8)
        small = cv2.IMREAD_REDUCED_COLOR_8
        if not data.size or cv2.imdecode(data, small) is None:
            raise ValueError('unreadable')
