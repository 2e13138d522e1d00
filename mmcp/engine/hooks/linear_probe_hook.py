"""Accuracy of a linear classifier, to see what a backbone has learnt."""

from typing import Any

from torch import Tensor

from mmcp.engine.feature_evaluator import Classifier
from mmcp.engine.hooks.feature_probe_hook import FeatureProbeHook
from mmcp.functional.linear_probe import fit_linear
from mmcp.functional.ranges import check_positive
from mmcp.registry import HOOKS


@HOOKS.register_module()
class LinearProbeHook(FeatureProbeHook):
    """Fits a linear classifier to frozen features, every few epochs.

    The top-1 accuracy in percent is logged as `linear/top1`, first before
    the training. Features are encoded once a time from a central crop and
    the convex problem is solved by L-BFGS (:func:`fit_linear`), so it takes
    hardly longer than :class:`mmcp.KNNHook`; it is a monitor, not MoCo's
    100-epoch protocol. What is classified, and by which features,
    :class:`FeatureProbeHook` says.

    Args:
        data_root: Folder with `train/{class}/` and `val/{class}/`.
        weight_decay: Of the classifier. Defaults to 1e-3.
        max_iter: Iterations of L-BFGS at most. Defaults to 100.
        **options: As of :class:`FeatureProbeHook`: `train`, `val`,
            `max_train`, `max_val`, `size`, `batch_size`, `num_workers`,
            `interval`, `by_epoch`.

    Raises:
        ValueError: If a number is not positive.
    """

    scalar = 'linear/top1'

    def __init__(
        self,
        data_root: str,
        *,
        weight_decay: float = 1e-3,
        max_iter: int = 100,
        **options: Any,
    ) -> None:
        super().__init__(data_root, **options)
        check_positive(weight_decay=weight_decay, max_iter=max_iter)
        self.weight_decay = weight_decay
        self.max_iter = max_iter

    def fit(
        self, features: Tensor, labels: Tensor, num_classes: int
    ) -> Classifier:
        """Fits the classifier to the labelled features."""
        return fit_linear(
            features,
            labels,
            num_classes=num_classes,
            weight_decay=self.weight_decay,
            max_iter=self.max_iter,
        )
