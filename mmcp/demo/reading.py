"""Reads a sample back from its files."""

import contextlib
import io
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO


def read_annotations(root: str | os.PathLike[str], split: str) -> Any:
    """Read the COCO annotations of a labelled split.

    Args:
        root: Folder of the sample.
        split: `'train'` or `'val'`.

    Returns:
        A `pycocotools.coco.COCO`.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    path = Path(root) / 'annotations' / f'instances_{split}.json'
    if not path.is_file():
        raise FileNotFoundError(
            f'{path} does not exist; make the sample first: '
            f'python -m mmcp.demo {root}'
        )
    with contextlib.redirect_stdout(io.StringIO()):  # COCO() is talkative
        return COCO(path)


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a picture.

    Args:
        path: A picture of the sample.

    Returns:
        Shape (H, W, 3), uint8, BGR.

    Raises:
        FileNotFoundError: If it is missing or not a picture.
    """
    image = cv2.imread(str(path))
    if image is None:
        raise FileNotFoundError(f'{path} is missing or is not a picture')
    pixels: NDArray[np.uint8] = image.astype(np.uint8, copy=False)
    return pixels
