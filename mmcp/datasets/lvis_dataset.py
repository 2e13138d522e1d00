"""LVIS, without the package of that name."""

from collections import defaultdict
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlparse

import numpy as np
from mmdet.datasets import CocoDataset
from mmengine.fileio import get_local_path

from mmcp.large_json import read_object
from mmcp.registry import DATASETS

Row = dict[str, Any]

_OF_ANNOTATION = ('image_id', 'category_id', 'bbox', 'area', 'segmentation')
# Not in all files.
_FLAGS = ('iscrowd', 'ignore')
_KNOWN = ('neg_category_ids', 'not_exhaustive_category_ids')
# Names of COCO's images of 2014, as some files of v0.5 have them.
_NAME_OF_2014 = 'COCO_'
_LENGTH_OF_NAME = len('000000000000.jpg')


@DATASETS.register_module()
class LVISDataset(CocoDataset):  # type: ignore[misc]
    """LVIS v1 and v0.5, or any file of that format.

    It stands where MMDetection's ``LVISV1Dataset`` and ``LVISV05Dataset`` do,
    which need a package that does not run on numpy 1.24 and later. Samples
    are the same; the classes are those of the annotation file, in its order,
    1,203 in v1 and 1,230 in v0.5. The 1.27 million objects of v1's training
    set are read one by one, polygons into arrays.

    An image lies where its ``coco_url`` says, below ``data_prefix['img']``:
    ``train2017/000000391895.jpg``, since v1's validation set has images of
    COCO's training set too. A prefix may end in that folder, as v0.5's do in
    MMDetection. Without ``coco_url``, ``file_name`` counts.

    Samples also tell which categories are known to be absent from an image
    (``neg_category_ids``) and which may have more objects than are annotated
    (``not_exhaustive_category_ids``), by the ids of the file. They are about
    the image alone, not about what is pasted into it.
    :class:`mmcp.LVISMetric` reads them in the file itself.

    ``metainfo`` holds ``classes``, and ``frequencies`` if the file has them:
    ``'r'``, ``'c'`` or ``'f'`` (rare, common, frequent) for each class.

    Args:
        *args: As of MMDetection's ``CocoDataset``.
        **kwargs: As of MMDetection's ``CocoDataset``. With
            ``metainfo=dict(classes=...)`` only these classes are used, in the
            order of the file.

    Raises:
        FileNotFoundError: If there is no annotation file.
        ValueError: If the file lacks something, contradicts itself or has
            none of a name in ``classes``.
    """

    METAINFO: dict[str, Any] = {}

    def load_data_list(self) -> list[Row]:
        """Reads the annotation file.

        Returns:
            For each image, in the order of the file, ``img_path``,
            ``img_id``, ``height``, ``width``, ``instances`` (``bbox`` in
            ``xyxy``, ``bbox_label``, ``ignore_flag`` and ``mask``) and what
            is known of other categories.
        """
        with get_local_path(
            self.ann_file, backend_args=self.backend_args
        ) as path:
            data = read_object(path, {'annotations': self._compact})
        for key in ('images', 'categories'):
            self._require(data, key, 'the file')
        if not self.test_mode:
            self._require(data, 'annotations', 'the file')
        self._choose_classes(data['categories'])
        # mmengine's default has another key.
        self.data_prefix.setdefault('img', self.data_root)
        objects = self._by_image(data)
        # Looked up for every object, for which a list is too slow.
        self.cat_ids: Any = self.cat2label
        images = [
            self.parse_data_info(
                dict(
                    raw_img_info=self._locate(image),
                    raw_ann_info=objects.pop(image['id'], []),
                )
            )
            for image in data['images']
        ]
        self.cat_ids = [*self.cat2label]
        return images

    def parse_data_info(self, raw_data_info: Row) -> Row:
        """Turns one image of the file into a sample's information.

        Args:
            raw_data_info: ``raw_img_info`` and ``raw_ann_info``.

        Returns:
            As of MMDetection, with what is known of other categories.
        """
        info: Row = super().parse_data_info(raw_data_info)
        image = raw_data_info['raw_img_info']
        return info | {key: image[key] for key in _KNOWN if key in image}

    def _choose_classes(self, categories: list[Row]) -> None:
        """Takes the classes over from the file, or those that are wanted."""
        for one in categories:
            for key in ('id', 'name'):
                self._require(one, key, 'a category')
        wanted = self._metainfo.get('classes')
        if wanted is not None:
            names = {one['name'] for one in categories}
            unknown = sorted({*wanted} - names)
            if unknown:
                raise ValueError(
                    f"{self.ann_file} has no category '{unknown[0]}'; leave "
                    'out classes to use all that it has'
                )
            categories = [one for one in categories if one['name'] in wanted]
        ids: list[int] = [one['id'] for one in categories]
        self.cat2label = {key: label for label, key in enumerate(ids)}
        self._metainfo['classes'] = tuple(one['name'] for one in categories)
        if all('frequency' in one for one in categories):
            self._metainfo['frequencies'] = tuple(
                one['frequency'] for one in categories
            )

    def _by_image(self, data: Row) -> dict[int, list[Row]]:
        """Objects of each image; those of each category are counted, too."""
        images = {one['id'] for one in data['images']}
        categories = {one['id'] for one in data['categories']}
        objects: dict[int, list[Row]] = defaultdict(list)
        # What MMDetection filters images by.
        self.cat_img_map: dict[int, list[int]] = defaultdict(list)
        for image, one in data.pop('annotations', ()):
            category = one['category_id']
            if image not in images or category not in categories:
                raise ValueError(
                    f'{self.ann_file} has an object of category {category} '
                    f'in image {image}, but not both of them'
                )
            objects[image].append(one)
            self.cat_img_map[category].append(image)
        return objects

    def _locate(self, image: Row) -> Row:
        """Adds what MMDetection looks for to an image of the file."""
        for key in ('id', 'height', 'width'):
            self._require(image, key, 'an image')
        return {
            **image,
            'img_id': image['id'],
            'file_name': self._path_of(image),
        }

    def _path_of(self, image: Row) -> str:
        """Path of an image below ``data_prefix['img']``."""
        if 'coco_url' in image:
            path = PurePosixPath(urlparse(image['coco_url']).path.lstrip('/'))
            folder = PurePosixPath(self.data_prefix.get('img') or '').name
            if len(path.parts) > 1 and path.parts[0] == folder:
                return str(path.relative_to(folder))
            return str(path)
        self._require(image, 'file_name', 'an image')
        name: str = image['file_name']
        if name.startswith(_NAME_OF_2014):
            return name[-_LENGTH_OF_NAME:]
        return name

    def _require(self, row: Row, key: str, what: str) -> None:
        if key not in row:
            raise ValueError(
                f"{self.ann_file}: {what} has no '{key}', which files of "
                'LVIS have'
            )

    def _compact(self, annotation: Row) -> tuple[int, Row]:
        """The image of an object, and what is needed of the rest."""
        for key in _OF_ANNOTATION:
            self._require(annotation, key, 'an object')
        row = {key: annotation[key] for key in _OF_ANNOTATION}
        row |= {key: annotation[key] for key in _FLAGS if annotation.get(key)}
        if isinstance(row['segmentation'], list):
            row['segmentation'] = [
                np.array(part, np.float64) for part in row['segmentation']
            ]
        return row.pop('image_id'), row
