"""Ends Copy-Paste before the end of a training."""

from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook

from mmcp.registry import HOOKS


@HOOKS.register_module()
class StopPastingHook(Hook):  # type: ignore[misc]
    """Stops the pasting of every ``mmcp.CopyPasteDataset`` at one point.

    With a sampler of mmcp the first sample without pasted objects is exactly
    the first one of that iteration, in persistent workers too. With other
    samplers the samples that workers had prepared already still have them.

    Args:
        iteration: First iteration without pasting. Defaults to None.
        epoch: First epoch without pasting, from 0; give one of the two.
            Defaults to None.

    Raises:
        ValueError: If not exactly one of the two is given, or if the training
            data hold no CopyPasteDataset.
    """

    def __init__(
        self, iteration: int | None = None, epoch: int | None = None
    ) -> None:
        if (iteration is None) == (epoch is None):
            raise ValueError('give either an iteration or an epoch')
        self.iteration = iteration
        self.epoch = epoch
        self._stopped = False

    def before_train(self, runner: Any) -> None:
        """Tells the data sets where to stop, before workers start.

        Args:
            runner: The runner.
        """
        loader = runner.train_dataloader
        self._datasets = _find(loader.dataset)
        if not self._datasets:
            raise ValueError(
                'StopPastingHook found no mmcp.CopyPasteDataset in '
                'train_dataloader.dataset'
            )
        if self.epoch is not None:
            self.iteration = self.epoch * len(loader)
        batch = loader.batch_size or loader.batch_sampler.batch_size
        assert self.iteration is not None
        position = self.iteration * batch * get_world_size()
        for dataset in self._datasets:
            dataset.stop_pasting(position)

    def before_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Stops samplers whose samples do not know their position.

        Args:
            runner: The runner.
            batch_idx: Not used.
            data_batch: Not used.
        """
        if not self._stopped and runner.iter >= (self.iteration or 0):
            self._stopped = True
            for dataset in self._datasets:
                dataset.stop_pasting()


def _find(dataset: Any) -> list[Any]:
    """Copy-Paste data sets inside any wrappers."""
    if hasattr(dataset, 'stop_pasting'):
        return [dataset]
    children = list(getattr(dataset, 'datasets', []))
    children += [getattr(dataset, 'dataset', None)]
    return [d for child in children if child is not None for d in _find(child)]
