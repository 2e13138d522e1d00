"""Accuracy of nearest neighbours, to see what a backbone has learnt."""

import os
from typing import Any

from mmcp.engine.config import UsageError
from mmcp.engine.hooks.periodic_hook import PeriodicHook
from mmcp.engine.inference import evaluating, normalization, unwrap
from mmcp.engine.knn import KNNEvaluator
from mmcp.registry import HOOKS

SCALAR = 'knn/top1'


@HOOKS.register_module()
class KNNHook(PeriodicHook):
    """Classifies labelled images by their neighbours, every few epochs.

    Features are those of the query encoder's backbone, averaged over its last
    map; the weighted vote is that of
    `Instance Discrimination <https://arxiv.org/abs/1805.01978>`_. The top-1
    accuracy in percent is logged as `knn/top1`, first before the training.
    Labels are used for nothing else, and the training is not changed.

    All ranks share the work and hold the bank of labelled features:
    `max_train` x C float32 numbers, 400 MB for ResNet-50 by default.

    Args:
        data_root: Folder with `train/{class}/` and `val/{class}/`.
        train: The labelled images, below `data_root`: a folder or an archive.
            Defaults to 'train'.
        val: The images to classify. Defaults to 'val'.
        k: Number of neighbours. Defaults to 20.
        temperature: Of the weights of the votes. Defaults to 0.07.
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

    def __init__(
        self,
        data_root: str,
        train: str = 'train',
        val: str = 'val',
        k: int = 20,
        temperature: float = 0.07,
        max_train: int = 50000,
        max_val: int = 10000,
        size: int = 224,
        batch_size: int = 64,
        num_workers: int = 2,
        interval: int = 10,
        by_epoch: bool = True,
    ) -> None:
        super().__init__(interval, by_epoch)
        for name, value in (
            ('k', k),
            ('temperature', temperature),
            ('max_train', max_train),
            ('max_val', max_val),
            ('size', size),
            ('batch_size', batch_size),
        ):
            if value <= 0:
                raise ValueError(f'{name} must be > 0, but is {value}')
        self.folders = [os.path.join(data_root, part) for part in (train, val)]
        self.limits = [max_train, max_val]
        self.size = size
        self.options: dict[str, Any] = dict(
            k=k,
            temperature=temperature,
            batch_size=batch_size,
            num_workers=num_workers,
        )

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
        runner.logger.info(f'{SCALAR} after {iteration}: {accuracy:.2f} %')
        runner.visualizer.add_scalar(SCALAR, accuracy, iteration)

    def _make_evaluator(self) -> KNNEvaluator:
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
            raise UsageError(f'KNNHook, {folders}: {error}') from error
        if self.options['k'] > len(bank):
            raise UsageError(
                f'KNNHook looks for k={self.options["k"]} neighbours, but '
                f'{self.folders[0]} has {len(bank)} images; lower k'
            )
        return KNNEvaluator(
            bank, queries, num_classes=len(bank.classes), **self.options
        )
