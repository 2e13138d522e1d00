"""Ends Copy-Paste before the end of a training."""

from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.hooks import Hook

from mmcp.registry import HOOKS


@HOOKS.register_module()
class StopPastingHook(Hook):  # type: ignore[misc]
    """Stops the pasting of every ``mmcp.CopyPasteDataset`` at one point.

    All of them: those inside wrappers, inside each other and those used as a
    source too. With :class:`mmcp.InfiniteSampler` the samples from that point
    of the stream on have no pasted objects, in persistent workers too. A batch
    sampler that reorders, such as MMDetection's ``AspectRatioBatchSampler``,
    mixes samples of both kinds for a few iterations. With other samplers, or
    a ``RepeatDataset``, ``ClassBalancedDataset`` or ``ConcatDataset`` around
    the data set, the samples that workers had prepared already still have
    pasted objects. A run resumed after that point never pastes.

    Args:
        iteration: First iteration without pasting, from 0. Defaults to None.
        epoch: First epoch without pasting, from 0; give one of the two. With
            an endless sampler an epoch is a pass of all ranks together
            through the data set, and may end within a batch. Defaults to
            None.

    Raises:
        ValueError: If not exactly one of the two is given, if it is negative,
            or if the training data hold no CopyPasteDataset.
    """

    def __init__(
        self, iteration: int | None = None, epoch: int | None = None
    ) -> None:
        if (iteration is None) == (epoch is None):
            raise ValueError('give either an iteration or an epoch')
        for name, value in (('iteration', iteration), ('epoch', epoch)):
            if value is not None and value < 0:
                raise ValueError(f'{name} must be >= 0, but is {value}')
        self.iteration = iteration
        self.epoch = epoch

    def before_train(self, runner: Any) -> None:
        """Tells the data sets where to stop, before workers start.

        Args:
            runner: The runner.

        Raises:
            ValueError: If the training data hold no CopyPasteDataset.
        """
        loader = runner.train_dataloader
        self._datasets = _find(loader.dataset)
        if not self._datasets:
            raise ValueError(
                'StopPastingHook found no mmcp.CopyPasteDataset in '
                'train_dataloader.dataset'
            )
        self._stopped = False
        self._iteration, position = self._point(loader)
        if runner.iter >= self._iteration:
            # Workers start before the first iteration.
            position = 0
        for dataset in self._datasets:
            dataset.stop_pasting(position)

    def _point(self, loader: Any) -> tuple[int, int]:
        """First iteration and first sample of the stream without pasting."""
        batch = loader.batch_sampler.batch_size * get_world_size()
        if self.iteration is not None:
            return self.iteration, self.iteration * batch
        assert self.epoch is not None
        if _is_endless(loader.batch_sampler.sampler):
            # The loader's length leaves out that ranks share a pass.
            position = self.epoch * len(loader.dataset)
            return -(-position // batch), position
        iteration = self.epoch * len(loader)
        return iteration, iteration * batch

    def before_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Stops samplers whose samples do not know their position.

        Args:
            runner: The runner.
            batch_idx: Not used.
            data_batch: Not used.
        """
        if not self._stopped and runner.iter >= self._iteration:
            self._stopped = True
            for dataset in self._datasets:
                dataset.stop_pasting()


def _is_endless(sampler: Any) -> bool:
    mark: bool = getattr(sampler, 'endless', False)
    return mark or isinstance(sampler, InfiniteSampler)


def _find(dataset: Any) -> list[Any]:
    """Copy-Paste data sets in any wrappers and in each other, once each."""
    found: dict[int, Any] = {}
    waiting = [dataset]
    while waiting:
        part = waiting.pop()
        if part is None or id(part) in found:
            continue
        found[id(part)] = part
        waiting += getattr(part, 'datasets', [])
        waiting += [getattr(part, key, None) for key in ('dataset', 'source')]
    return [part for part in found.values() if hasattr(part, 'stop_pasting')]
