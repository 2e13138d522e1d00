"""Segmentation data sets of a few random shapes, in their own folder layouts.

Shapes of arrays: images (H, W, 3), label maps (H, W), both uint8.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmseg.registry import DATASETS
from PIL import Image

NUM_IMAGES = 3
# (H, W): neither square nor alike, so that swapped axes show.
_SIZES = ((96, 128), (128, 88), (112, 144))
_SHAPES_PER_IMAGE = 4
_SUBFOLDERS = {'CityscapesDataset': 'aachen/'}


def make_tiny_segmentation(dataset: Mapping[str, Any], root: Path) -> Path:
    """Writes the files that a data set's config names.

    Args:
        dataset: Config of a data set that MMSegmentation reads from folders
            of images and label maps, with or without a list of names.
        root: Folder in which the config's ``data_root`` is made.

    Returns:
        What takes the place of ``data_root``.
    """
    kind = DATASETS.get(dataset['type'])
    home = root / dataset['data_root']
    built = kind(**_without_reading(dataset), lazy_init=True)
    start = _SUBFOLDERS.get(dataset['type'], '')
    names = [f'{start}tiny_{index}' for index in range(NUM_IMAGES)]
    prefix = dataset['data_prefix']
    classes = len(built.metainfo['classes'])
    # In the files of such a data set, label 0 is what will be ignored.
    first = int(built.reduce_zero_label)
    for index, name in enumerate(names):
        image, labels = _draw(
            index, range(first, first + classes), built.ignore_index
        )
        _write(
            home / prefix['img_path'] / f'{name}{built.img_suffix}',
            Image.fromarray(image),
        )
        label_map = Image.fromarray(labels)
        if dataset['type'] == 'PascalVOCDataset':
            # Its labels are colours of a palette, not shades of gray.
            label_map.putpalette(bytes(range(256)) * 3)
        _write(
            home / prefix['seg_map_path'] / f'{name}{built.seg_map_suffix}',
            label_map,
        )
    if dataset.get('ann_file'):
        path = home / dataset['ann_file']
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(''.join(f'{name}\n' for name in names))
    return home


def _without_reading(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments with which a data set looks for no file."""
    kept = {
        k: dataset[k] for k in ('metainfo', 'ignore_index') if k in dataset
    }
    if dataset['type'] == 'PascalVOCDataset':
        # It insists on a list and a folder that exist.
        here = Path(__file__)
        kept.update(
            ann_file=str(here), data_prefix=dict(img_path=str(here.parent))
        )
    return kept


def _draw(
    index: int, labels: Iterable[int], ignored: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Draws discs of some classes on a ground of another."""
    rng = np.random.default_rng(index)
    choices = list(labels)
    height, width = _SIZES[index % len(_SIZES)]
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    label_map = np.full((height, width), rng.choice(choices), np.uint8)
    for _ in range(_SHAPES_PER_IMAGE):
        centre = [int(rng.integers(side)) for side in (width, height)]
        radius = int(rng.integers(12, 32))
        colour = [int(c) for c in rng.integers(0, 256, 3)]
        cv2.circle(image, centre, radius, colour, -1)
        cv2.circle(label_map, centre, radius, int(rng.choice(choices)), -1)
        cv2.circle(label_map, centre, radius, ignored, 1)
    return image, label_map


def _write(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
