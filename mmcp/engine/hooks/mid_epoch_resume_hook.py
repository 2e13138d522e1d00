"""Resumes an epoch at the batch where it was left."""

from collections.abc import Iterator, Sized
from itertools import islice
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop
from torch.utils.data import DataLoader

from mmcp.registry import HOOKS

META_KEY = 'batches_per_epoch'


@HOOKS.register_module()
class MidEpochResumeHook(Hook):  # type: ignore[misc]
    """Skips the batches that a resumed epoch has already trained on.

    mmengine's ``EpochBasedTrainLoop`` starts a resumed epoch over, but goes
    on counting iterations, so schedules by iteration run ahead. With this
    hook a checkpoint from the middle of an epoch goes on with the next batch
    of the same shuffle; nothing is loaded to skip. That needs the seed of
    the first run, which ``tools/train.py`` takes from the checkpoint. What
    transforms draw at random starts anew, unless it follows from each
    sample's place (:class:`mmcp.EpochSampler`).

    If the number of batches per epoch is not that of the checkpoint (other
    GPUs, batch size or data), the epoch starts over with a warning.
    """

    # After DistSamplerSeedHook, which shuffles for the epoch.
    priority = 'LOW'

    def __init__(self) -> None:
        self._saved_length: int | None = None
        self._first_epoch = True
        self._whole_loader: DataLoader[Any] | None = None

    def before_save_checkpoint(
        self, runner: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Records the length of an epoch."""
        loader = self._whole_loader
        if loader is None:
            loader = runner.train_dataloader
        checkpoint['meta'][META_KEY] = len(loader)

    def after_load_checkpoint(
        self, runner: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Remembers the length of an epoch in the resumed run."""
        meta = checkpoint.get('meta', {})
        self._saved_length = meta.get(META_KEY)

    def before_train(self, runner: Any) -> None:
        """Prepares for the first epoch, the only one that may be shorter."""
        self._first_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)

    def before_train_epoch(self, runner: Any) -> None:
        """Puts a shortened loader in place for the rest of the epoch."""
        if not self._first_epoch:
            return
        self._first_epoch = False
        loader = runner.train_dataloader
        length = len(loader)
        old_length = self._saved_length or length
        done = runner.iter - runner.epoch * old_length
        if done == 0:
            return
        if old_length != length or not 0 < done < length:
            runner.logger.warning(
                f'Epoch {runner.epoch + 1} starts over: it has {length} '
                f'batches now, and had {old_length} in the checkpoint '
                f'({runner.iter} iterations).'
            )
            return
        runner.logger.info(
            f'Epoch {runner.epoch + 1} goes on after its batch {done}.'
        )
        self._whole_loader = loader
        runner.train_loop.dataloader = without_first_batches(loader, done)

    def after_train_epoch(self, runner: Any) -> None:
        """Puts the whole loader back."""
        if self._whole_loader is not None:
            runner.train_loop.dataloader = self._whole_loader
            self._whole_loader = None


class _LaterBatches:
    """The batches of a batch sampler, less the first ones.

    Args:
        batches: A batch sampler.
        skipped: How many batches to leave out.
    """

    def __init__(self, batches: Any, skipped: int) -> None:
        self.batches = batches
        self.skipped = skipped

    def __iter__(self) -> Iterator[Any]:
        return islice(iter(self.batches), self.skipped, None)

    def __len__(self) -> int:
        return len(self.batches) - self.skipped


def without_first_batches(
    loader: DataLoader[Any], skipped: int
) -> DataLoader[Any]:
    """Copies a loader so that it starts at a later batch.

    Args:
        loader: A loader with a batch sampler, as mmengine builds them.
        skipped: How many batches to leave out.

    Returns:
        A loader over the same data set, of ``len(loader) - skipped`` batches.

    Raises:
        TypeError: If the loader has no batch sampler of known length.
    """
    if not isinstance(loader.batch_sampler, Sized):
        raise TypeError(
            'A loader without a batch sampler of known length cannot resume '
            'in the middle of an epoch; set batch_size, or remove '
            'mmcp.MidEpochResumeHook from custom_hooks.'
        )
    return DataLoader(
        loader.dataset,
        batch_sampler=_LaterBatches(loader.batch_sampler, skipped),
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        generator=loader.generator,
        prefetch_factor=loader.prefetch_factor,
    )
