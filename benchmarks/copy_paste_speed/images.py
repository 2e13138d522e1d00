"""Where the images of the benchmark come from."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmcp.demo import METAINFO, make_sample


@dataclass(frozen=True)
class Images:
    """A folder of images with COCO annotations.

    Args:
        name: What reports call it.
        root: The folder.
        ann_file: Annotations, relative to ``root``.
        prefix: Folder of the images, relative to ``root``.
        classes: Names of the classes; None for the 80 of COCO.
    """

    name: str
    root: Path
    ann_file: str
    prefix: str
    classes: tuple[str, ...] | None = None

    def annotations(self) -> dict[str, Any]:
        """The annotation file."""
        content: dict[str, Any] = json.loads(
            (self.root / self.ann_file).read_text()
        )
        return content

    def paths(self) -> list[Path]:
        """All images in the order of the annotation file."""
        names = [image['file_name'] for image in self.annotations()['images']]
        return [self.root / self.prefix / name for name in names]

    def dataset(self, pipeline: list[dict[str, Any]]) -> dict[str, Any]:
        """Config of MMDetection's data set of these images.

        Args:
            pipeline: Its transforms.

        Returns:
            The config.
        """
        config = dict(
            type='CocoDataset',
            data_root=str(self.root),
            ann_file=self.ann_file,
            data_prefix=dict(img=self.prefix),
            pipeline=pipeline,
        )
        if self.classes is not None:
            config['metainfo'] = dict(classes=self.classes)
        return config


def find_images(root: Path, sample_root: Path) -> Images:
    """Takes the real images if they are there, else the built-in sample.

    Args:
        root: Folder of ``coco_small``: ``annotations`` and ``train2017``.
        sample_root: Where to make the sample.

    Returns:
        The images.
    """
    ann_file = 'annotations/instances_train2017.json'
    if (root / ann_file).is_file():
        return Images(root.name, root.resolve(), ann_file, 'train2017/')
    return sample_images(sample_root)


def sample_images(root: Path) -> Images:
    """Makes the built-in sample.

    Args:
        root: Where to make it.

    Returns:
        Its training images.
    """
    return Images(
        'built-in sample',
        make_sample(root).resolve(),
        'annotations/instances_train.json',
        'train/',
        tuple(METAINFO['classes']),
    )
