"""Says which images a training could not read."""

import os
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, is_main_process

from mmcp.engine.hooks.periodic_hook import PeriodicHook
from mmcp.registry import HOOKS

Found = dict[int, str]


@HOOKS.register_module()
class UnreadableImagesHook(PeriodicHook):
    """Counts the images that no worker could read, and writes their list.

    Workers warn of the first few themselves. This hook puts together what
    all workers of all ranks have met in every
    :class:`mmcp.UnlabeledImageDataset` of the training, whatever wraps it:
    a warning with the count whenever there are new ones, and
    ``unreadable_images.txt`` in the work directory with one line for each,
    its path and what is wrong, with a tab between.

    Args:
        interval: Iterations from one look to the next; it looks at the end
            of the training too. Defaults to 1000.
        file_name: Name of the list in the work directory. Defaults to
            'unreadable_images.txt'.

    Raises:
        ValueError: If ``interval`` is below 1.
    """

    def __init__(
        self,
        interval: int = 1000,
        file_name: str = 'unreadable_images.txt',
    ) -> None:
        super().__init__(interval, by_epoch=False)
        self.file_name = file_name

    def before_train(self, runner: Any) -> None:
        """Finds the data sets.

        Args:
            runner: The runner.
        """
        # With them comes MMDetection, too slow for whoever imports the hooks.
        from mmcp.datasets.nesting import datasets_inside
        from mmcp.datasets.unlabeled_image_dataset import (
            UnlabeledImageDataset,
        )

        super().before_train(runner)
        self._datasets = list(
            datasets_inside(
                runner.train_dataloader.dataset, UnlabeledImageDataset
            )
        )
        self._count = 0

    def act(self, runner: Any, iteration: int) -> None:
        """Warns and writes, if there are new ones.

        Args:
            runner: The runner.
            iteration: Number of iterations completed.
        """
        found = _of_all_ranks([part.unreadable for part in self._datasets])
        count = sum(map(len, found))
        if count == self._count or not is_main_process():
            return
        self._count = count
        path = Path(runner.work_dir) / self.file_name
        lines = [
            f'{part.path(index)}\t{reason}\n'
            for part, reasons in zip(self._datasets, found, strict=True)
            for index, reason in sorted(reasons.items())
        ]
        _write(path, ''.join(lines))
        total = sum(map(len, self._datasets))
        runner.logger.warning(
            f'{count:,} of {total:,} images ({count / total:.2%}) could not '
            f'be read so far; others took their places. The list: {path}'
        )


def _of_all_ranks(found: list[Found]) -> list[Found]:
    """What all ranks found, for each data set."""
    together: list[Found] = [{} for _ in found]
    for of_rank in all_gather_object(found):
        for reasons, more in zip(together, of_rank, strict=True):
            reasons.update(more)
    return together


def _write(path: Path, text: str) -> None:
    """Writes the list, all or nothing; names may be no proper text."""
    draft = path.with_name(f'.{path.name}.draft')
    draft.write_bytes(os.fsencode(text))
    os.replace(draft, path)
