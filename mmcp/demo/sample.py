"""Writes the sample to a folder: pictures, COCO JSON, semantic maps."""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmcp.demo.categories import CATEGORIES, CLASSES, PALETTE
from mmcp.demo.polygons import mask_to_polygons
from mmcp.demo.scene import CROWD, NOBODY, Scene, draw_scene

Mask = NDArray[np.bool_]

VERSION = 5  # raise it whenever the same seed gives other files
SPLITS = {'train': 60, 'val': 48, 'unlabeled': 60}
IGNORE = 255  # semantic label of the crowd region and of tiny fragments
MIN_FRAGMENT = 5  # pixels; smaller parts of an object are not annotated
_STAMP = 'sample.json'
_OBJECTS_PER_IMAGE = (4, 9)
_CROWD_IMAGE = {'train': 1}
_EMPTY_IMAGE = {'train': 7, 'val': 5}


def make_sample(root: str | os.PathLike[str], seed: int = 0) -> Path:
    """Make the built-in sample, unless it is already there.

    60 training, 48 validation and 60 unlabelled pictures of ten shapes, with
    a long tail, overlaps and many small objects. The layout::

        annotations/instances_{train,val}.json     COCO: polygons, one crowd
        annotations/image_info_unlabeled.json      file names and sizes only
        {train,val,unlabeled}/*.png                the pictures
        semantic/{train,val}/*.png                 palette PNG as VOC's:
                                                   0 background, category id,
                                                   255 crowd and fragments
        sample.json                                version, seed, file list

    The files are made beside `root` and moved there once complete, so an
    interrupted run leaves nothing half-made. The same seed gives the same
    annotations and the same pixels on every machine.

    Args:
        root: Folder to fill; made when missing, must be empty otherwise or
            hold a sample, which is replaced when its seed or version differ.
        seed: Any non-negative integer.

    Returns:
        `root` as a path.

    Raises:
        FileExistsError: If `root` holds anything that is not a sample.
    """
    root = Path(root)
    if _is_complete(root, seed):
        return root
    if root.exists() and not _may_be_filled(root):
        raise FileExistsError(
            f'{root} is not empty and holds no sample of mmcp; '
            'choose another folder or empty this one'
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    prefix = f'.{root.name}-'
    with tempfile.TemporaryDirectory(prefix=prefix, dir=root.parent) as draft:
        _write_sample(Path(draft), seed)
        _move_into(Path(draft), root)
    return root


def _is_complete(root: Path, seed: int) -> bool:
    stamp = _read_stamp(root)
    if (stamp.get('version'), stamp.get('seed')) != (VERSION, seed):
        return False
    return all((root / name).is_file() for name in stamp['files'])


def _read_stamp(root: Path) -> dict[str, Any]:
    try:
        stamp = json.loads((root / _STAMP).read_text())
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _may_be_filled(root: Path) -> bool:
    return root.is_dir() and (
        (root / _STAMP).exists() or not any(root.iterdir())
    )


def _move_into(draft: Path, root: Path) -> None:
    """Replace what a sample consists of, the stamp last.

    The old folders are put aside first and deleted with the draft: whoever
    reads the sample meanwhile misses it for an instant only.
    """
    root.mkdir(exist_ok=True)
    (root / _STAMP).unlink(missing_ok=True)
    names = sorted(path.name for path in draft.iterdir())
    aside = draft / 'replaced'
    aside.mkdir()
    for name in sorted(names, key=_STAMP.__eq__):
        if (root / name).exists():
            os.replace(root / name, aside / name)
        os.replace(draft / name, root / name)


def _write_sample(root: Path, seed: int) -> None:
    for split in SPLITS:
        _write_split(root, split, seed)
    files = sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob('*')
        if path.is_file()
    )
    stamp = {'version': VERSION, 'seed': seed, 'files': files}
    (root / _STAMP).write_text(json.dumps(stamp, indent=1) + '\n')


def _write_split(root: Path, split: str, seed: int) -> None:
    labelled = split != 'unlabeled'
    (root / split).mkdir()
    if labelled:
        (root / 'semantic' / split).mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index, labels in enumerate(_deal_labels(split, seed)):
        scene = _draw_image(split, index, labels, seed)
        name = f'{index + 1:06d}.png'
        _write_png(root / split / name, scene.image)
        height, width = scene.owners.shape
        images.append(
            {
                'id': index + 1,
                'file_name': name,
                'height': height,
                'width': width,
            }
        )
        if labelled:
            for annotation in _annotate(scene, labels):
                annotation['id'] = len(annotations) + 1
                annotation['image_id'] = index + 1
                annotations.append(annotation)
            _write_semantic(root / 'semantic' / split / name, scene, labels)
    _write_json(root, split, images, annotations if labelled else None)


def _draw_image(
    split: str, index: int, labels: Sequence[int], seed: int
) -> Scene:
    """Every picture has a generator of its own, keyed by its place."""
    rng = np.random.default_rng([seed, list(SPLITS).index(split), index])
    height, width = (8 * int(n) for n in rng.integers(24, 33, 2))
    crowd = CLASSES[0] if _CROWD_IMAGE.get(split) == index else None
    names = [CLASSES[label] for label in labels]
    return draw_scene((height, width), names, rng, crowd)


def _deal_labels(split: str, seed: int) -> list[list[int]]:
    """Class indices of the objects in each image of a split.

    The number of objects of a category in a split is fixed; which image they
    are in and how many an image has is drawn.
    """
    rng = np.random.default_rng([seed, 1000 + list(SPLITS).index(split)])
    counts = [c.val if split == 'val' else c.train for c in CATEGORIES]
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    empty = _EMPTY_IMAGE.get(split)
    filled = SPLITS[split] - (empty is not None)
    sizes = _draw_sizes(len(labels), filled, rng)
    if empty is not None:
        sizes.insert(empty, 0)
    ends = np.cumsum(sizes)
    return [
        labels[end - size : end].tolist()
        for end, size in zip(ends.tolist(), sizes, strict=True)
    ]


def _draw_sizes(
    total: int, images: int, rng: np.random.Generator
) -> list[int]:
    """How many objects each image has, within the limits."""
    low, high = _OBJECTS_PER_IMAGE
    sizes = [total // images + (i < total % images) for i in range(images)]
    for i in range(images):  # move some objects from one image to another
        j = int(rng.integers(images))
        moved = int(rng.integers(min(sizes[i] - low, high - sizes[j]) + 1))
        sizes[i] -= moved
        sizes[j] += moved
    return sizes


def _annotate(scene: Scene, labels: Sequence[int]) -> list[dict[str, Any]]:
    """COCO annotations of the visible parts, without ids."""
    annotations = []
    for owner, label in enumerate(labels):
        mask = _without_fragments(scene.owners == owner)
        annotation = _describe(mask, label)
        annotation['segmentation'] = mask_to_polygons(mask)
        annotations.append(annotation)
    if (scene.owners == CROWD).any():
        annotation = _describe(scene.owners == CROWD, 0)
        annotation['segmentation'] = _uncompressed_rle(scene.owners == CROWD)
        annotation['iscrowd'] = 1
        annotations.append(annotation)
    return annotations


def _describe(mask: Mask, label: int) -> dict[str, Any]:
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return {
        'id': 0,
        'image_id': 0,
        'category_id': label + 1,
        'segmentation': [],
        'area': int(mask.sum()),
        'bbox': [x, y, width, height],
        'iscrowd': 0,
    }


def _without_fragments(mask: Mask) -> Mask:
    """Clear the parts that are too small for an annotator to outline."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=4
    )
    kept: Mask = mask & (stats[parts, cv2.CC_STAT_AREA] >= MIN_FRAGMENT)
    return kept


def _uncompressed_rle(mask: Mask) -> dict[str, Any]:
    """Run lengths down the columns, zeros first, as COCO's crowds have."""
    pixels = np.concatenate([[False], mask.ravel(order='F')])
    changes = np.flatnonzero(np.diff(pixels))
    counts = np.diff(changes, prepend=0, append=mask.size)
    return {'counts': counts.tolist(), 'size': list(mask.shape)}


def _write_semantic(path: Path, scene: Scene, labels: Sequence[int]) -> None:
    semantic = np.zeros(scene.owners.shape, dtype=np.uint8)
    semantic[scene.owners != NOBODY] = IGNORE
    for owner, label in enumerate(labels):
        semantic[_without_fragments(scene.owners == owner)] = label + 1
    image = Image.fromarray(semantic, mode='P')
    colours = np.zeros((256, 3), dtype=np.uint8)
    colours[1 : len(PALETTE) + 1] = PALETTE
    colours[IGNORE] = (224, 224, 192)  # VOC's
    image.putpalette(colours.ravel().tolist())
    image.save(path)


def _write_png(path: Path, image: NDArray[np.uint8]) -> None:
    _, data = cv2.imencode('.png', image)
    path.write_bytes(data.tobytes())


def _write_json(
    root: Path,
    split: str,
    images: list[dict[str, Any]],
    annotations: list[dict[str, Any]] | None,
) -> None:
    """Write a COCO file; one of an unlabelled split has no annotations."""
    content: dict[str, Any] = {
        'info': {
            'description': f"mmcp's built-in sample, {split}",
            'version': str(VERSION),
        },
        'licenses': [{'id': 1, 'name': 'Apache License 2.0', 'url': ''}],
        'images': [{**image, 'license': 1} for image in images],
        'categories': [
            {'id': i, 'name': name, 'supercategory': 'shape'}
            for i, name in enumerate(CLASSES, start=1)
        ],
    }
    kind = 'image_info'
    if annotations is not None:
        kind = 'instances'
        content['annotations'] = annotations
    folder = root / 'annotations'
    folder.mkdir(exist_ok=True)
    text = json.dumps(content, separators=(',', ':'))
    (folder / f'{kind}_{split}.json').write_text(text + '\n')
