"""Cross entropy that weighs classes by their effective number."""

import json
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from mmdet.models.losses import CrossEntropyLoss
from mmengine.fileio import get_local_path
from torch import Tensor

from mmcp.functional.long_tail import class_balanced_weights
from mmcp.large_json import read_object
from mmcp.registry import MODELS


@MODELS.register_module()
class ClassBalancedCrossEntropy(CrossEntropyLoss):  # type: ignore[misc]
    """The loss of the second training stage on LVIS.

    Softmax cross entropy in which class ``c`` with ``n`` instances in the
    training set weighs ``(1 - beta) / (1 - beta ** n)``, divided by the mean
    of all classes and clipped: `Class-Balanced Loss
    <https://arxiv.org/abs/1901.05555>`_ as section 4.7 of `Simple Copy-Paste
    <https://arxiv.org/abs/2012.07177>`_ uses it. Background, the last
    channel, has a weight of its own.

    A ``loss_cls`` for the box heads of two-stage detectors, with the
    averaging of MMDetection's ``CrossEntropyLoss``: the sum of weighted
    losses is divided by ``avg_factor``, not by the sum of the class weights.

    Instances, crowds left out, are counted in ``ann_file`` when training
    starts (by ``init_weights``, or with the first loss), once for all heads;
    a model that only predicts needs no file, and checkpoints hold no weights
    of classes.

    Args:
        ann_file: Annotations of the training set in COCO's or LVIS's format,
            JSON, if no ``counts`` are given. Defaults to None.
        counts: Instances of each class by label, instead of a file. Defaults
            to None.
        background_weight: Weight of background; classes weigh 1 on average
            before they are clipped. Defaults to 1.0.
        beta: In [0, 1). Defaults to 0.999.
        clip: Least and greatest weight of a class. Defaults to (0.01, 5.0).
        classes: Names, where the data set uses only some categories of the
            file. Defaults to None, meaning all.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``. Defaults to 'mean'.
        loss_weight: Factor of the loss. Defaults to 1.0.
        ignore_index: Label that is left out. Defaults to None.
        avg_non_ignore: Whether the mean is over the other labels only, where
            no ``avg_factor`` is given. Defaults to False.
        backend_args: Of mmengine's file backend. Defaults to None.

    Raises:
        ValueError: If not exactly one of ``ann_file`` and ``counts`` is
            given, if a number is out of range, if ``classes`` are not in the
            file, or, with the first loss, if the scores have another number
            of classes.
        FileNotFoundError: With the start of training, if there is no
            ``ann_file``.
    """

    def __init__(
        self,
        ann_file: str | None = None,
        counts: Sequence[int] | None = None,
        background_weight: float = 1.0,
        beta: float = 0.999,
        clip: tuple[float, float] = (0.01, 5.0),
        classes: Sequence[str] | None = None,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        ignore_index: int | None = None,
        avg_non_ignore: bool = False,
        backend_args: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            reduction=reduction,
            loss_weight=loss_weight,
            ignore_index=ignore_index,
            avg_non_ignore=avg_non_ignore,
        )
        if (ann_file is None) == (counts is None):
            raise ValueError('give either ann_file or counts')
        if not background_weight >= 0:
            raise ValueError(
                f'background_weight must be >= 0, but is {background_weight}'
            )
        self.class_weight: list[float] | None = None
        self.ann_file = ann_file
        self.counts = counts
        self.background_weight = background_weight
        self.beta = beta
        self.clip = tuple(clip)
        self.classes = None if classes is None else tuple(classes)
        self.backend_args = backend_args
        # Wrong numbers are told here, not when training starts.
        self._weights([1] if counts is None else counts)

    def init_weights(self) -> None:
        """Counts the instances; mmengine calls it when training starts."""
        if self.class_weight is None:
            self.class_weight = self._weights(self._count())

    def _weights(self, counts: Sequence[int]) -> list[float]:
        assert len(self.clip) == 2
        weights = class_balanced_weights(counts, self.beta, self.clip)
        return [*weights.tolist(), self.background_weight]

    def _count(self) -> Sequence[int]:
        if self.counts is not None:
            return self.counts
        assert self.ann_file is not None
        backend = json.dumps(self.backend_args)
        names, counts = _count_instances(self.ann_file, backend)
        chosen = set(names if self.classes is None else self.classes)
        unknown = sorted(chosen - {*names})
        if unknown:
            raise ValueError(
                f"{self.ann_file} has no category '{unknown[0]}'; classes "
                'are those of the data set'
            )
        pairs = zip(names, counts, strict=True)
        return [count for name, count in pairs if name in chosen]

    def forward(
        self,
        cls_score: Tensor,
        label: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: str | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Computes the loss.

        Args:
            cls_score: Logits, shape (N, C + 1).
            label: Shape (N,), int64; C is background.
            weight: Weight of each sample, shape (N,). Defaults to None.
            avg_factor: Divides the sum. Defaults to None, meaning N.
            reduction_override: Instead of ``reduction``. Defaults to None.
            **kwargs: What MMDetection's loss takes besides.

        Returns:
            A scalar, or shape (N,) without reduction.

        Raises:
            ValueError: If there is not one score for each class and
                background.
        """
        self.init_weights()
        known = len(self.class_weight or ())
        if cls_score.shape[1] != known:
            raise ValueError(
                f'the loss knows {known - 1} classes, but '
                f'there are scores of {cls_score.shape[1] - 1} and of '
                'background; num_classes of the head, the classes of the '
                'data set and ann_file must agree'
            )
        loss: Tensor = super().forward(
            cls_score, label, weight, avg_factor, reduction_override, **kwargs
        )
        return loss

    def extra_repr(self) -> str:
        """What ``print(model)`` shows."""
        source = 'counts' if self.ann_file is None else self.ann_file
        return (
            f'weights of {source}, beta={self.beta}, clip={self.clip}, '
            f'background_weight={self.background_weight}'
        )


# A Cascade has three such losses, and the file of LVIS a gigabyte.
@lru_cache(maxsize=1)
def _count_instances(
    ann_file: str, backend_args: str
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names of the categories, in the order of the file, and instances."""
    backend = json.loads(backend_args)
    with get_local_path(ann_file, backend_args=backend) as local:
        data = read_object(local, {'annotations': _category_unless_crowd})
    counts = Counter(data['annotations'])
    categories = data['categories']
    return (
        tuple(one['name'] for one in categories),
        tuple(counts[one['id']] for one in categories),
    )


def _category_unless_crowd(annotation: dict[str, Any]) -> int | None:
    category: int = annotation['category_id']
    return None if annotation.get('iscrowd') else category
