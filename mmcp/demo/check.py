"""Measures a sample: is it long-tailed, crowded, small, not told by colour?"""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmcp.demo.categories import CLASSES
from mmcp.demo.reading import read_annotations, read_image

SMALL_AREA = 32**2
MIN_SMALL_SHARE = 0.2
MAX_COLOUR_ACCURACY = 0.4
SPLITS = ('train', 'val')


@dataclass(frozen=True)
class SplitSummary:
    """What one labelled split holds.

    Attributes:
        images: Number of images.
        empty_images: Images without an object or a crowd region.
        objects: Number of objects of each category, crowd regions left out.
        crowds: Number of crowd regions.
        small_share: Share of the objects smaller than 32 x 32 pixels.
        parted: Objects that another object cuts into several parts.
        overlapping: Objects whose box another object's box overlaps.
    """

    images: int
    empty_images: int
    objects: dict[str, int]
    crowds: int
    small_share: float
    parted: int
    overlapping: int


@dataclass(frozen=True)
class SampleSummary:
    """What a sample holds, and how far colour alone gets.

    Attributes:
        splits: Summary of each labelled split.
        unlabelled: Number of unlabelled images.
        box_accuracy: Share of validation objects that the nearest mean
            colour of training boxes names correctly.
        mask_accuracy: The same with the mean colours of masks.
        majority: Share of the most frequent category in validation.
    """

    splits: dict[str, SplitSummary]
    unlabelled: int
    box_accuracy: float
    mask_accuracy: float
    majority: float

    def failures(self) -> list[str]:
        """What the sample promises and does not keep, one line each."""
        train, val = self.splits['train'], self.splits['val']
        accuracy = max(self.box_accuracy, self.mask_accuracy)
        frequent, rare = (f(train.objects.values()) for f in (max, min))
        promises = (
            (
                val.small_share >= MIN_SMALL_SHARE,
                f'small objects are {val.small_share:.1%} of validation, '
                f'promised {MIN_SMALL_SHARE:.0%} or more',
            ),
            (
                accuracy < MAX_COLOUR_ACCURACY,
                f'colour alone names {accuracy:.1%} correctly, '
                f'promised less than {MAX_COLOUR_ACCURACY:.0%}',
            ),
            (
                frequent > 100 and 0 < rare <= 10,
                'no long tail: categories have between '
                f'{rare} and {frequent} training objects',
            ),
            (
                min(val.objects.values()) > 0,
                'a category is missing from validation',
            ),
            (
                train.crowds + val.crowds == 1,
                f'{train.crowds + val.crowds} crowd regions, promised one',
            ),
            (
                train.empty_images > 0 and val.empty_images > 0,
                'a split has no empty image',
            ),
            (
                train.parted > 0 and train.overlapping > 0,
                'no training objects overlap',
            ),
            (self.unlabelled > 0, 'no unlabelled images'),
        )
        return [failure for kept, failure in promises if not kept]

    def to_text(self) -> str:
        """A table for people, with the failures at its end."""
        train, val = self.splits['train'], self.splits['val']
        lines = [f'{"category":<14}{"train":>7}{"val":>7}']
        for name in CLASSES:
            counts = f'{train.objects[name]:>7}{val.objects[name]:>7}'
            lines.append(f'{name:<14}{counts}')
        rows = (
            (
                'objects',
                sum(train.objects.values()),
                sum(val.objects.values()),
            ),
            ('images', train.images, val.images),
            ('empty images', train.empty_images, val.empty_images),
            ('crowd regions', train.crowds, val.crowds),
            ('in parts', train.parted, val.parted),
            ('overlapping', train.overlapping, val.overlapping),
        )
        lines += [f'{name:<14}{a:>7}{b:>7}' for name, a, b in rows]
        small = f'{train.small_share:>7.1%}{val.small_share:>7.1%}'
        lines += [
            f'{"under 32x32":<14}{small}',
            f'unlabelled images: {self.unlabelled}',
            'nearest mean colour on ground-truth crops: '
            f'{self.box_accuracy:.1%} by box, {self.mask_accuracy:.1%} by '
            f'mask (always the most frequent: {self.majority:.1%})',
        ]
        lines += [f'FAILED: {failure}' for failure in self.failures()]
        return '\n'.join(lines)


def check_sample(root: str | os.PathLike[str]) -> SampleSummary:
    """Read a sample back from its files and measure it.

    Args:
        root: Folder that `mmcp.demo.make_sample` filled.

    Returns:
        The measurements; `failures()` names the promises not kept.

    Raises:
        FileNotFoundError: If a file of the sample is missing.
    """
    root = Path(root)
    files = {s: read_annotations(root, s) for s in SPLITS}
    train = _mean_colours(root, 'train', files['train'])
    val = _mean_colours(root, 'val', files['val'])
    return SampleSummary(
        splits={s: _summarise(files[s]) for s in SPLITS},
        unlabelled=len(list((root / 'unlabeled').glob('*.png'))),
        box_accuracy=_accuracy(
            train.boxes, train.labels, val.boxes, val.labels
        ),
        mask_accuracy=_accuracy(
            train.masks, train.labels, val.masks, val.labels
        ),
        majority=float(np.bincount(val.labels).max() / len(val.labels)),
    )


class _Colours(NamedTuple):
    """Mean colours of the M objects of a split, each (M, 3), and labels."""

    labels: NDArray[np.int64]
    boxes: NDArray[np.float64]
    masks: NDArray[np.float64]


def _summarise(coco: Any) -> SplitSummary:
    everything = coco.dataset['annotations']
    objects = [ann for ann in everything if not ann['iscrowd']]
    counts = Counter(ann['category_id'] for ann in objects)
    categories = coco.dataset['categories']
    return SplitSummary(
        images=len(coco.imgs),
        empty_images=sum(not coco.imgToAnns[i] for i in coco.imgs),
        objects={c['name']: counts[c['id']] for c in categories},
        crowds=len(everything) - len(objects),
        small_share=_mean([ann['area'] < SMALL_AREA for ann in objects]),
        parted=sum(len(ann['segmentation']) > 1 for ann in objects),
        overlapping=sum(_count_overlapping(coco, i) for i in coco.imgs),
    )


def _mean(flags: list[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0


def _count_overlapping(coco: Any, image_id: int) -> int:
    """Objects of an image whose boxes share a pixel with another's."""
    objects = [a for a in coco.imgToAnns[image_id] if not a['iscrowd']]
    if not objects:
        return 0
    x, y, width, height = np.array([a['bbox'] for a in objects]).T
    meet = (x[:, None] < x + width) & (y[:, None] < y + height)
    meet &= meet.T
    return int((meet.sum(axis=1) > 1).sum())


def _mean_colours(root: Path, split: str, coco: Any) -> _Colours:
    labels, boxes, masks = [], [], []
    for image_id, info in coco.imgs.items():
        image = read_image(root / split / info['file_name'])
        for ann in coco.imgToAnns[image_id]:
            if ann['iscrowd']:
                continue
            x, y, width, height = ann['bbox']
            crop = image[y : y + height, x : x + width]
            labels.append(ann['category_id'])
            boxes.append(crop.mean(axis=(0, 1)))
            masks.append(image[coco.annToMask(ann) > 0].mean(axis=0))
    return _Colours(np.array(labels), np.array(boxes), np.array(masks))


def _accuracy(
    train_colours: NDArray[np.float64],
    train_labels: NDArray[np.int64],
    val_colours: NDArray[np.float64],
    val_labels: NDArray[np.int64],
) -> float:
    """Accuracy of the category whose mean training colour is nearest."""
    known = np.unique(train_labels)
    means = np.stack(
        [train_colours[train_labels == label].mean(axis=0) for label in known]
    )
    gaps = ((val_colours[:, None] - means) ** 2).sum(axis=-1)
    return float((known[gaps.argmin(axis=1)] == val_labels).mean())
