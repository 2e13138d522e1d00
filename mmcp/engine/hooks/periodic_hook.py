"""What hooks that act every so often have in common."""

import time
from abc import abstractmethod
from typing import Any

from mmengine.hooks import Hook, IterTimerHook


class PeriodicHook(Hook):  # type: ignore[misc]
    """Acts every few epochs or iterations, and once at the end.

    What it does between iterations is not counted as time spent waiting for
    data, which is watched in a pretraining.

    Args:
        interval: Epochs or iterations from one time to the next.
        by_epoch: Whether it counts epochs. With a loop by iterations, which
            knows one epoch only, give False.

    Raises:
        ValueError: If `interval` is below 1.
    """

    # After what times and logs the iteration.
    priority = 'LOW'

    def __init__(self, interval: int, by_epoch: bool) -> None:
        if interval < 1:
            raise ValueError(f'interval must be at least 1, got {interval}')
        self.interval = interval
        self.by_epoch = by_epoch
        self._last: int | None = None

    @abstractmethod
    def act(self, runner: Any, iteration: int) -> None:
        """Does what the hook is for.

        Args:
            runner: The runner.
            iteration: Number of iterations completed.
        """

    def before_train(self, runner: Any) -> None:
        """Prepares for a training."""
        self._last = None

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Acts, if the interval counts iterations and one is over."""
        due = self.every_n_train_iters(runner, self.interval)
        if not self.by_epoch and due:
            started = time.time()
            self._act_once(runner, runner.iter + 1)
            _leave_out(runner, time.time() - started)

    def after_train_epoch(self, runner: Any) -> None:
        """Acts, if the interval counts epochs and one is over."""
        if self.by_epoch and self.every_n_epochs(runner, self.interval):
            self._act_once(runner, runner.iter)

    def after_train(self, runner: Any) -> None:
        """Acts at the end, unless that was its turn anyway."""
        self._act_once(runner, runner.iter)

    def _act_once(self, runner: Any, iteration: int) -> None:
        if iteration != self._last:
            self._last = iteration
            self.act(runner, iteration)


def _leave_out(runner: Any, seconds: float) -> None:
    """Moves the time from which mmengine measures the next iteration."""
    for hook in runner.hooks:
        if isinstance(hook, IterTimerHook):
            hook.t += seconds
