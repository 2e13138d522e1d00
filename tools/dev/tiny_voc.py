"""A detection data set of a few random shapes in PASCAL VOC's layout."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
from mmdet.datasets import VOCDataset

NUM_IMAGES = 3
OBJECTS_PER_IMAGE = 3
# (H, W): neither square nor alike, so that swapped axes show.
_SIZES = ((96, 128), (128, 88), (112, 144))


def make_tiny_voc(dataset: Mapping[str, Any], root: Path) -> Path:
    """Writes the files that a data set's config names.

    The last object of the first image is marked as difficult.

    Args:
        dataset: Config of a ``VOCDataset``.
        root: Folder in which the config's ``data_root`` is made.

    Returns:
        What takes the place of ``data_root``.
    """
    home = root / dataset['data_root']
    folder = home / dataset['data_prefix']['sub_data_root']
    names = [f'tiny_{index}' for index in range(NUM_IMAGES)]
    classes = VOCDataset.METAINFO['classes']
    for index, name in enumerate(names):
        image, tree = _draw(index, classes)
        _write(folder / 'JPEGImages' / f'{name}.jpg', image)
        _write(folder / 'Annotations' / f'{name}.xml', tree)
    path = home / dataset['ann_file']
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(f'{name}\n' for name in names))
    return home


def _draw(index: int, classes: Sequence[str]) -> tuple[bytes, bytes]:
    """An image of discs and its annotation, as the files hold them."""
    rng = np.random.default_rng(index)
    height, width = _SIZES[index % len(_SIZES)]
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    top = ElementTree.Element('annotation')
    _add(ElementTree.SubElement(top, 'size'), width=width, height=height)
    for number in range(OBJECTS_PER_IMAGE):
        x, y = (int(rng.integers(24, side - 24)) for side in (width, height))
        radius = int(rng.integers(8, 24))
        colour = [int(c) for c in rng.integers(0, 256, 3)]
        cv2.circle(image, [x, y], radius, colour, -1)
        difficult = index == 0 and number == OBJECTS_PER_IMAGE - 1
        item = ElementTree.SubElement(top, 'object')
        _add(item, name=str(rng.choice(classes)), difficult=int(difficult))
        # Counted from 1, the last pixel included.
        _add(
            ElementTree.SubElement(item, 'bndbox'),
            xmin=x - radius + 1,
            ymin=y - radius + 1,
            xmax=x + radius + 1,
            ymax=y + radius + 1,
        )
    return cv2.imencode('.jpg', image)[1].tobytes(), ElementTree.tostring(top)


def _add(parent: ElementTree.Element, **values: object) -> None:
    for name, value in values.items():
        ElementTree.SubElement(parent, name).text = str(value)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
