"""Annotations of LVIS: what is known of each image, and what is not."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.fileio import get_local_path
from numpy.typing import NDArray
from pycocotools import mask as mask_api

from mmcp.large_json import read_object

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rle = dict[str, Any]

FREQUENCIES = ('r', 'c', 'f')
_OF_IMAGE = (
    *('id', 'height', 'width'),
    *('neg_category_ids', 'not_exhaustive_category_ids'),
)
_OF_ANNOTATION = ('image_id', 'category_id', 'bbox', 'area', 'segmentation')


@dataclass(frozen=True, eq=False)
class LVISImage:
    """What is known of one image with M objects.

    Attributes:
        size: Height and width in pixels.
        classes: Indices of the objects' categories, shape (M,).
        boxes: ``xywh``, shape (M, 4).
        areas: In pixels, as annotated, shape (M,).
        ignored: Whether objects have an ``ignore`` flag, shape (M,).
        known: Indices of the categories whose detections count: those that
            have objects here and those known to be absent; sorted.
        not_exhaustive: Indices of the categories of which some objects may
            lack; sorted.
        segmentations: Polygons or run lengths of the M objects, for
            :meth:`masks`.
    """

    size: tuple[int, int]
    classes: Ints
    boxes: Floats
    areas: Floats
    ignored: NDArray[np.bool_]
    known: Ints
    not_exhaustive: Ints
    segmentations: tuple[Any, ...]

    def masks(self) -> list[Rle]:
        """Masks of the objects as compressed run lengths, made anew."""
        return [_rle(one, *self.size) for one in self.segmentations]


class LVISAnnotations:
    """An annotation file of LVIS v0.5 or v1, or of the same format.

    As the official evaluation does, it leaves out objects without area.

    Args:
        data: The file's content.
        source: What error messages call it. Defaults to 'the annotations'.
        categories_only: Leaves out images and objects, which files of test
            sets may lack. Defaults to False.

    Attributes:
        category_ids: Ids of the C categories, in the order of the file.
        names: Their names.
        frequencies: For each of them ``'r'``, ``'c'`` or ``'f'``.
        images: From id to what is known of the image.

    Raises:
        ValueError: If it lacks what the federated evaluation needs.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        source: str = 'the annotations',
        categories_only: bool = False,
    ) -> None:
        categories = _rows(data, 'categories', ('id', 'name'), source)
        self.category_ids: list[int] = [one['id'] for one in categories]
        self.names: list[str] = [one['name'] for one in categories]
        self.frequencies: list[str] = []
        self.images: dict[int, LVISImage] = {}
        if not categories_only:
            self._read(data, source)

    def _read(self, data: Mapping[str, Any], source: str) -> None:
        categories = _rows(data, 'categories', ('frequency',), source)
        self.frequencies = [one['frequency'] for one in categories]
        strange = sorted({*self.frequencies} - {*FREQUENCIES})
        if strange:
            raise ValueError(
                f'{source} has categories of frequency {strange}; LVIS knows '
                f'{[*FREQUENCIES]}'
            )
        images = _rows(data, 'images', _OF_IMAGE, source)
        objects = defaultdict(list)
        for one in _rows(data, 'annotations', _OF_ANNOTATION, source):
            if one['area'] > 0:
                objects[one['image_id']].append(one)
        index = {key: place for place, key in enumerate(self.category_ids)}
        try:
            for image in images:
                found = objects.pop(image['id'], [])
                self.images[image['id']] = _image(image, found, index)
        except KeyError as error:
            raise ValueError(
                f'{source} has no category {error}, which image '
                f'{image["id"]} names'
            ) from error
        if objects:
            raise ValueError(
                f'{source} has objects of image {min(objects)}, which is not '
                'among its images'
            )

    @classmethod
    def from_file(
        cls,
        path: str,
        backend_args: dict[str, Any] | None = None,
        categories_only: bool = False,
    ) -> 'LVISAnnotations':
        """Reads a JSON file.

        Args:
            path: Path or URL, as mmengine reads them.
            backend_args: Of mmengine's file backend. Defaults to None.
            categories_only: As above. Defaults to False.

        Returns:
            The annotations.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not LVIS's.
        """
        with get_local_path(path, backend_args=backend_args) as local:
            data = read_object(local, {'annotations': _with_arrays})
        return cls(data, str(path), categories_only)

    def indices_of(self, names: Sequence[str]) -> Ints:
        """Category indices of a data set's labels.

        MMDetection's data sets number their classes in the order of the
        file, whatever the order of ``classes``.

        Args:
            names: Names of the data set's classes.

        Returns:
            For each label the index of its category here, shape (C,).

        Raises:
            ValueError: If the classes are not those of the file, nor some of
                them.
        """
        wanted = {*names}
        unknown = wanted - {*self.names}
        if not unknown:
            chosen = [name in wanted for name in self.names]
            return np.flatnonzero(chosen)
        if len(names) == len(self.names):
            return np.arange(len(names))
        raise ValueError(
            f'the data set has {len(names)} classes, among them '
            f"'{min(unknown)}', which is none of the {len(self.names)} of "
            'ann_file; is it the file of this data set?'
        )


def _rows(
    data: Mapping[str, Any], part: str, keys: Sequence[str], source: str
) -> list[dict[str, Any]]:
    """A list of the file whose first element has all keys."""
    if part not in data:
        raise ValueError(f"{source} has no '{part}', which LVIS files have")
    rows: list[dict[str, Any]] = data[part]
    for key in keys:
        if rows and key not in rows[0]:
            raise ValueError(
                f"{source} has {part} without '{key}', which LVIS files "
                'have; for COCO files there is CocoMetric'
            )
    return rows


def _image(
    image: Mapping[str, Any],
    objects: Sequence[Mapping[str, Any]],
    index: Mapping[int, int],
) -> LVISImage:
    classes = [index[one['category_id']] for one in objects]
    absent = [index[key] for key in image['neg_category_ids']]
    partly = [index[key] for key in image['not_exhaustive_category_ids']]
    boxes = np.array([one['bbox'] for one in objects], np.float64)
    return LVISImage(
        size=(image['height'], image['width']),
        classes=np.array(classes, np.int64),
        boxes=boxes.reshape(-1, 4),
        areas=np.array([one['area'] for one in objects], np.float64),
        ignored=np.array([one.get('ignore', 0) for one in objects], bool),
        known=np.unique(np.array(classes + absent, np.int64)),
        not_exhaustive=np.unique(np.array(partly, np.int64)),
        segmentations=tuple(_pack(one['segmentation']) for one in objects),
    )


def _with_arrays(annotation: dict[str, Any]) -> dict[str, Any]:
    if 'segmentation' in annotation:
        annotation['segmentation'] = _pack(annotation['segmentation'])
    return annotation


def _pack(segmentation: Any) -> Any:
    """Polygons as arrays, a quarter of the memory of lists of numbers."""
    if isinstance(segmentation, list):
        return [np.asarray(part, np.float64) for part in segmentation]
    return segmentation


def _rle(segmentation: Any, height: int, width: int) -> Rle:
    """Compressed run lengths of polygons or of a mask."""
    if isinstance(segmentation, list):
        parts = [part.tolist() for part in segmentation]
        segmentation = mask_api.merge(
            mask_api.frPyObjects(parts, height, width)
        )
    elif isinstance(segmentation['counts'], list):
        segmentation = mask_api.frPyObjects(segmentation, height, width)
    merged: Rle = segmentation
    return merged
