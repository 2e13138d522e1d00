"""What hooks that classify images by a backbone's features share."""

import os
from abc import abstractmethod
from functools import partial
from typing import Any, ClassVar

from torch import Tensor

from mmcp.engine.config import UsageError
from mmcp.engine.feature_evaluator import Classifier, FeatureEvaluator
from mmcp.engine.hooks.periodic_hook import PeriodicHook
from mmcp.engine.inference import evaluating, normalization, unwrap
from mmcp.functional.ranges import check_positive


class FeatureProbeHook(PeriodicHook):
    """Classifies labelled images by their features, every few epochs.

    Features are those of the query encoder's backbone, averaged over its last
    map. Labels are used for nothing else, and the training is not changed.

    All ranks share the work and hold the bank of labelled features:
    `max_train` x C float32 numbers, 400 MB for ResNet-50 by default.

    Args:
        data_root: Folder with `train/{class}/` and `val/{class}/`.
        train: The labelled images, below `data_root`: a folder or an archive.
            Defaults to 'train'.
        val: The images to classify. Defaults to 'val'.
        max_train: At most so many labelled images, evenly spread over the
            classes. Defaults to 50000.
        max_val: At most so many images to classify. Defaults to 10000.
        size: Side of the images in pixels; the short side is scaled to
            256 / 224 of it before. Defaults to 224.
        batch_size: Images that a rank encodes at a time. Defaults to 64.
        num_workers: Processes of a rank that load images. Defaults to 2.
        interval: Epochs (or iterations) between two times. Defaults to 10.
        by_epoch: Whether `interval` counts epochs. Defaults to True.

    Raises:
        ValueError: If a number is not positive.
    """

    scalar: ClassVar[str]
    """Under what the accuracy is logged."""

    def __init__(
        self,
        data_root: str,
        train: str = 'train',
        val: str = 'val',
        max_train: int = 50000,
        max_val: int = 10000,
        size: int = 224,
        batch_size: int = 64,
        num_workers: int = 2,
        interval: int = 10,
        by_epoch: bool = True,
    ) -> None:
        super().__init__(interval, by_epoch)
        check_positive(
            max_train=max_train,
            max_val=max_val,
            size=size,
            batch_size=batch_size,
        )
        self.folders = [os.path.join(data_root, part) for part in (train, val)]
        self.limits = [max_train, max_val]
        self.size = size
        self.batch_size = batch_size
        self.num_workers = num_workers

    @abstractmethod
    def fit(
        self, features: Tensor, labels: Tensor, num_classes: int
    ) -> Classifier:
        """Makes a classifier of labelled features.

        Args:
            features: Shape (B, D), unit norm, float32.
            labels: Their classes, shape (B,), int64 in [0, num_classes).
            num_classes: Number of classes.

        Returns:
            What tells the classes of features.
        """

    def check_bank(self, images: int) -> None:
        """Refuses a bank that `fit` could not use.

        Args:
            images: Number of labelled images.

        Raises:
            UsageError: If they are too few.
        """

    def before_train(self, runner: Any) -> None:
        """Finds the images, and classifies them if the training begins.

        Args:
            runner: The runner.

        Raises:
            FileNotFoundError: If a folder is missing.
            UsageError: If the labelled images are too few or of other
                classes.
        """
        super().before_train(runner)
        self._evaluator = self._make_evaluator()
        if runner.iter == 0:
            self._act_once(runner, 0)

    def act(self, runner: Any, iteration: int) -> None:
        """Classifies all images and logs the accuracy.

        Args:
            runner: The runner.
            iteration: Number of iterations completed.
        """
        model = unwrap(runner.model)
        with evaluating(model):
            accuracy = self._evaluator.accuracy(
                model.encoder_q.backbone, *normalization(model)
            )
        runner.logger.info(
            f'{self.scalar} after {iteration}: {accuracy:.2f} %'
        )
        runner.visualizer.add_scalar(self.scalar, accuracy, iteration)

    def _make_evaluator(self) -> FeatureEvaluator:
        # With it comes MMDetection, too slow for whoever imports the hooks.
        from mmcp.datasets.labeled_crops import LabeledCrops
        from mmcp.datasets.unlabeled_image_dataset import (
            UnlabeledImageDataset,
        )

        try:
            known, asked = (
                UnlabeledImageDataset(folder, labels=True)
                for folder in self.folders
            )
            bank = LabeledCrops(known, self.size, self.limits[0])
            queries = LabeledCrops(
                asked, self.size, self.limits[1], bank.classes
            )
        except ValueError as error:
            folders = ' and '.join(self.folders)
            name = type(self).__name__
            raise UsageError(f'{name}, {folders}: {error}') from error
        self.check_bank(len(bank))
        return FeatureEvaluator(
            bank,
            queries,
            fit=partial(self.fit, num_classes=len(bank.classes)),
            batch_size=self.batch_size,
            num_workers=self.num_workers,
        )
