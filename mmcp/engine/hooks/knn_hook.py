"""Accuracy of nearest neighbours, to see what a backbone has learnt."""

from functools import partial
from typing import Any

from torch import Tensor

from mmcp.engine.config import UsageError
from mmcp.engine.feature_evaluator import Classifier
from mmcp.engine.hooks.feature_probe_hook import FeatureProbeHook
from mmcp.functional.knn import knn_classify
from mmcp.functional.ranges import check_positive
from mmcp.registry import HOOKS


@HOOKS.register_module()
class KNNHook(FeatureProbeHook):
    """Classifies labelled images by their neighbours, every few epochs.

    The weighted vote is that of
    `Instance Discrimination <https://arxiv.org/abs/1805.01978>`_. The top-1
    accuracy in percent is logged as `knn/top1`, first before the training.
    What is classified, and by which features, :class:`FeatureProbeHook` says.

    Args:
        data_root: Folder with `train/{class}/` and `val/{class}/`.
        k: Number of neighbours. Defaults to 20.
        temperature: Of the weights of the votes. Defaults to 0.07.
        **options: As of :class:`FeatureProbeHook`: `train`, `val`,
            `max_train`, `max_val`, `size`, `batch_size`, `num_workers`,
            `interval`, `by_epoch`.

    Raises:
        ValueError: If a number is not positive.
    """

    scalar = 'knn/top1'

    def __init__(
        self,
        data_root: str,
        *,
        k: int = 20,
        temperature: float = 0.07,
        **options: Any,
    ) -> None:
        super().__init__(data_root, **options)
        check_positive(k=k, temperature=temperature)
        self.k = k
        self.temperature = temperature

    def fit(
        self, features: Tensor, labels: Tensor, num_classes: int
    ) -> Classifier:
        """Lets the labelled features vote."""
        return partial(
            knn_classify,
            bank=features,
            labels=labels,
            num_classes=num_classes,
            k=self.k,
            temperature=self.temperature,
        )

    def check_bank(self, images: int) -> None:
        """Refuses a bank of fewer images than neighbours."""
        if self.k > images:
            raise UsageError(
                f'KNNHook looks for k={self.k} neighbours, but '
                f'{self.folders[0]} has {images} images; lower k'
            )
