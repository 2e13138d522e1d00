"""Labelled and pseudo-labelled images, with ground truth pasted onto them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from mmcp.datasets.copy_paste_dataset import CopyPasteDataset
from mmcp.datasets.sample_index import at
from mmcp.registry import DATASETS


@DATASETS.register_module()
class SelfTrainingDataset:
    """What the student of a self-training is trained on.

    Labelled images stand before pseudo-labelled ones. Objects of *labelled*
    images are pasted onto both, onto one or onto none of the two kinds, as in
    Table 3 of the `paper <https://arxiv.org/abs/2012.07177>`_; pasting
    objects of pseudo-labelled images gains nothing (Section 4.4).
    :class:`mmcp.MultiSourceSampler` makes half of each batch of each.

    The labelled data set is built once and serves as the source of both.
    ``tools/pseudo_label.py`` makes pseudo-labels.

    Args:
        labeled: Images with ground truth: a data set or its config. As in
            :class:`mmcp.CopyPasteDataset`, its pipeline loads and jitters.
        pseudo: Images with pseudo-labels; several data sets in a
            ``ConcatDataset``. Their classes must be those of ``labeled``.
        labeled_prob: Probability that a labelled image receives objects.
            Defaults to 0.0.
        pseudo_prob: Probability that a pseudo-labelled image receives
            objects. Defaults to 0.0.
        **options: Further arguments of :class:`mmcp.CopyPasteDataset` for
            both, such as ``copy_paste``, ``pipeline`` or ``class_weights``.

    Raises:
        ValueError: If an argument is out of range, if the classes differ, or
            if an annotation file lacks some of them.
    """

    def __init__(
        self,
        labeled: Any,
        pseudo: Any,
        labeled_prob: float = 0.0,
        pseudo_prob: float = 0.0,
        **options: Any,
    ) -> None:
        owned = {'dataset', 'source', 'prob'} & options.keys()
        if owned:
            raise ValueError(
                f'SelfTrainingDataset sets {", ".join(sorted(owned))} itself; '
                'give labeled, pseudo, labeled_prob and pseudo_prob'
            )
        first = CopyPasteDataset(labeled, prob=labeled_prob, **options)
        second = CopyPasteDataset(
            pseudo, source=first.dataset, prob=pseudo_prob, **options
        )
        self.datasets = [first, second]
        for part in (first.dataset, second.dataset):
            _require_classes(part)
        self._ends = np.cumsum([len(part) for part in self.datasets])

    @property
    def metainfo(self) -> dict[str, Any]:
        """Meta information of the labelled images."""
        return self.datasets[0].metainfo

    def full_init(self) -> None:
        """Loads the annotations, if they were lazy."""
        for part in self.datasets:
            part.full_init()

    def __len__(self) -> int:
        """Number of images of both kinds."""
        return int(self._ends[-1])

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Annotations of an image.

        Args:
            idx: Index of the image.

        Returns:
            What its data set's own method gives.
        """
        part, place = self._locate(idx)
        return part.get_data_info(place)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Classes of an image, for class-balanced wrappers.

        Args:
            idx: Index of the image.

        Returns:
            Class indices, one for each object.
        """
        part, place = self._locate(idx)
        return part.get_cat_ids(place)

    def __getitem__(self, index: int) -> Any:
        """Makes a sample.

        Args:
            index: Index of the image, at best a
                :class:`mmcp.datasets.sample_index.SampleIndex`.

        Returns:
            What the pipeline gives.
        """
        part, place = self._locate(index)
        return part[at(index, place)]

    def _locate(self, index: int) -> tuple[CopyPasteDataset, int]:
        if not 0 <= index < len(self):
            raise IndexError(f'image {int(index)} of {len(self)}')
        number = int(np.searchsorted(self._ends, index, side='right'))
        before = int(self._ends[number - 1]) if number else 0
        return self.datasets[number], int(index) - before


def _require_classes(dataset: Any) -> None:
    """Refuses a COCO file with other classes, of which mmdet reads nothing."""
    for part in _inside(dataset):
        found = getattr(part, 'cat_ids', None)
        classes = (getattr(part, 'metainfo', None) or {}).get('classes')
        if found is not None and classes and len(found) != len(classes):
            name = getattr(part, 'ann_file', type(part).__name__)
            raise ValueError(
                f'{name} has {len(found)} of the {len(classes)} classes; '
                'objects of the others would be missing. Its categories and '
                "metainfo['classes'] must have the same names"
            )


def _inside(dataset: Any) -> Iterator[Any]:
    """A data set, or those that it wraps or joins."""
    parts = getattr(dataset, 'datasets', None)
    if parts is None:
        inner = getattr(dataset, 'dataset', None)
        parts = [] if inner is None else [inner]
    if not parts:
        yield dataset
    for part in parts:
        yield from _inside(part)
