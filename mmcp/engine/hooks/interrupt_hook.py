"""Ends a training on Ctrl-C or SIGTERM with a checkpoint to resume from."""

import os
import signal
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, barrier, get_world_size, master_only
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import EpochBasedTrainLoop

from mmcp.engine.signals import SignalListener, protect_workers
from mmcp.registry import HOOKS

FILENAME = 'interrupted.pth'


class TrainingInterrupted(Exception):
    """A training ended early because a signal asked for it.

    Attributes:
        signum: The signal, e.g. ``signal.SIGINT``.
        checkpoint: What to resume from; None if nothing was saved.
    """

    def __init__(self, signum: int, checkpoint: Path | None) -> None:
        self.signum = signum
        self.checkpoint = checkpoint
        super().__init__(
            f'Training was interrupted by {signal.Signals(signum).name}'
        )


@HOOKS.register_module()
class InterruptHook(Hook):  # type: ignore[misc]
    """Turns SIGINT and SIGTERM into a checkpoint and an orderly end.

    The first signal lets the current iteration (or validation batch) end,
    then ``interrupted.pth`` is written to the work directory, named in
    ``last_checkpoint``, and :class:`TrainingInterrupted` is raised. A second
    one ends the process at once.

    - ``IterBasedTrainLoop`` resumes with the next iteration; mmengine skips
      the data already seen.
    - ``EpochBasedTrainLoop`` restarts the epoch, since mmengine knows no
      position inside it; with :class:`mmcp.MidEpochResumeHook` it goes on
      with the next batch. In an epoch's last iteration the epoch ends first.
    - A validation that was cut short, or was due next, is not made up for.

    Across several processes the signal is agreed upon every ``interval``
    iterations, so that all stop at the same one.

    Args:
        interval: Iterations between two agreements. Defaults to 5.

    Raises:
        ValueError: If ``interval`` is below 1.
    """

    priority = 'LOWEST'

    def __init__(self, interval: int = 5) -> None:
        if interval < 1:
            raise ValueError(f'interval must be at least 1, got {interval}.')
        self.interval = interval
        self._listener = SignalListener()
        self._shared_val_batches = 0

    def before_train(self, runner: Any) -> None:
        """Starts listening for signals."""
        protect_workers(runner.train_dataloader)
        if runner.val_loop is not None:
            protect_workers(runner.val_dataloader)
        self._listener.start()

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Stops after this iteration, if a signal came."""
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if by_epoch and self.end_of_epoch(runner.train_dataloader, batch_idx):
            return
        if signum := self._agreed_signal(runner.iter):
            self._stop(runner, signum, runner.epoch, runner.iter + 1)

    def after_train_epoch(self, runner: Any) -> None:
        """Stops after this epoch, if a signal came in its last iteration."""
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            if signum := self._agreed_signal():
                self._stop(runner, signum, runner.epoch + 1, runner.iter)

    def before_val_epoch(self, runner: Any) -> None:
        """Learns how many validation batches every process has."""
        batches = torch.tensor(len(runner.val_dataloader))
        all_reduce(batches, 'min')
        self._shared_val_batches = int(batches)

    def after_val_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Stops in the middle of a validation, if a signal came."""
        if batch_idx < self._shared_val_batches:
            if signum := self._agreed_signal(batch_idx):
                self._restore_trained_weights(runner)
                self._stop(runner, signum, runner.epoch, runner.iter)

    def after_val_epoch(
        self, runner: Any, metrics: dict[str, float] | None = None
    ) -> None:
        """Stops after a validation, if a signal came at its end."""
        if self._listener.active and (signum := self._agreed_signal()):
            self._stop(runner, signum, runner.epoch, runner.iter)

    def after_train(self, runner: Any) -> None:
        """Gives the signals back."""
        self._listener.stop()

    def _agreed_signal(self, step: int | None = None) -> int:
        """Returns the signal that any process got, 0 if none did.

        Args:
            step: Index of the iteration; None asks for an agreement now.
        """
        if not self._listener.active:
            return 0
        if get_world_size() == 1:
            return self._listener.received
        if step is not None and (step + 1) % self.interval:
            return 0
        received = torch.tensor(self._listener.received)
        all_reduce(received, 'max')
        return int(received)

    @staticmethod
    def _restore_trained_weights(runner: Any) -> None:
        """Undoes what averaging hooks do to a model for its validation."""
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):
                hook.after_val_epoch(runner)

    def _stop(self, runner: Any, signum: int, epoch: int, step: int) -> None:
        """Saves and raises.

        Args:
            runner: The runner.
            signum: The signal to report.
            epoch: Epochs completed.
            step: Iterations completed.
        """
        path = Path(runner.work_dir) / FILENAME
        _save(runner, path, {'epoch': epoch, 'iter': step})
        # A launcher kills the other processes as soon as one has left.
        barrier()
        self._listener.stop()
        raise TrainingInterrupted(signum, path)


@master_only  # type: ignore[untyped-decorator]
def _save(runner: Any, path: Path, meta: dict[str, int]) -> None:
    runner.logger.info(
        f'Interrupted: saving {path} after {meta["iter"]} iterations.'
    )
    unfinished = path.with_suffix('.tmp')
    runner.save_checkpoint(
        str(path.parent), unfinished.name, meta=meta, by_epoch=False
    )
    os.replace(unfinished, path)
    (path.parent / 'last_checkpoint').write_text(str(path))
