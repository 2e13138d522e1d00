"""Stops a pretraining whose features have become all alike."""

import math
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook

from mmcp.engine.config import UsageError
from mmcp.functional.ranges import check_positive
from mmcp.registry import HOOKS

_NOT_FINITE = (
    'lower the learning rate (is it scaled to the batch size?), add a '
    'warm-up, and train in bf16 or full precision if it was fp16'
)
_COLLAPSED = (
    'lower the learning rate (is it scaled to the batch size?); keep '
    'BatchNorm shuffled or split (shuffle-BN, bn_splits; not SyncBN, not one '
    'image per GPU); give the queue more keys; make sure that the two views '
    'differ, see vis/composed_pairs_*.png'
)


class TrainingCollapsed(UsageError):
    """Training was stopped because it cannot come to anything any more."""


@HOOKS.register_module()
class CollapseHook(Hook):  # type: ignore[misc]
    """Stops the training when features collapse or the loss is not finite.

    Features that are the same for all images have a standard deviation of
    zero; healthy ones have nearly `1 / sqrt(D)`, 0.088 for 128 numbers. The
    model reports it as `std_pooled`.

    No checkpoint is written: nothing can be resumed from a collapsed model.
    The message names the last one, which `--resume` takes up, and what to
    change. Several ranks agree every `interval` iterations, so that all stop
    at the same one.

    Args:
        min_std: Least standard deviation of healthy features. Defaults to
            1e-3.
        patience: Iterations in a row with less that end the training.
            Defaults to 200.
        max_nonfinite: Iterations in a row with a loss that is not finite
            that end the training. With fp16 the loss scaler skips single
            ones. Defaults to 5.
        interval: Iterations between two agreements. Defaults to 10.

    Raises:
        ValueError: If an argument is not positive.
    """

    # After what logs the iteration, before what saves the weights.
    priority = 'LOW'

    def __init__(
        self,
        min_std: float = 1e-3,
        patience: int = 200,
        max_nonfinite: int = 5,
        interval: int = 10,
    ) -> None:
        check_positive(
            min_std=min_std,
            patience=patience,
            max_nonfinite=max_nonfinite,
            interval=interval,
        )
        self.min_std = min_std
        self.patience = patience
        self.max_nonfinite = max_nonfinite
        self.interval = interval

    def before_train(self, runner: Any) -> None:
        """Starts counting."""
        self._nonfinite = 0
        self._collapsed = 0

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Counts, and stops the training where enough is enough.

        Args:
            runner: The runner.
            batch_idx: Not used.
            data_batch: Not used.
            outputs: What the model reports of the iteration.

        Raises:
            TrainingCollapsed: If the training is to stop.
        """
        values = {name: value.item() for name, value in outputs.items()}
        broken = any(
            'loss' in name and not math.isfinite(value)
            for name, value in values.items()
        )
        self._nonfinite = self._nonfinite + 1 if broken else 0
        std = values.get('std_pooled', math.inf)
        self._collapsed = self._collapsed + 1 if std < self.min_std else 0
        if get_world_size() > 1 and (runner.iter + 1) % self.interval:
            return
        nonfinite, collapsed = self._longest()
        if nonfinite >= self.max_nonfinite:
            self._stop(
                runner,
                f'the loss has not been finite for {nonfinite} iterations',
                _NOT_FINITE,
            )
        if collapsed >= self.patience:
            self._stop(
                runner,
                f'all images have got the same features: std_pooled is '
                f'{std:.1e} and has been below {self.min_std:g} for '
                f'{collapsed} iterations',
                _COLLAPSED,
            )

    def _longest(self) -> tuple[int, int]:
        """Counts of the rank that has waited longest."""
        counts = torch.tensor([self._nonfinite, self._collapsed])
        all_reduce(counts, 'max')
        nonfinite, collapsed = counts.tolist()
        return nonfinite, collapsed

    @staticmethod
    def _stop(runner: Any, reason: str, advice: str) -> None:
        note = Path(runner.work_dir) / 'last_checkpoint'
        saved = 'No checkpoint was saved before'
        if note.is_file():
            saved = f'The last checkpoint is {note.read_text().strip()}'
        raise TrainingCollapsed(
            f'Stopped at iteration {runner.iter + 1}, since {reason}. What '
            f'helps: {advice}. {saved}; curves.png shows how it came about.'
        )
