"""Curves of a pretraining that can be looked at while it runs."""

import os
from pathlib import Path
from typing import Any

from mmengine.dist import master_only

from mmcp.engine.hooks.periodic_hook import PeriodicHook
from mmcp.engine.inference import unwrap
from mmcp.registry import HOOKS
from mmcp.visualization.curves import curves_png, read_scalars
from mmcp.visualization.pretraining import pretraining_panels

FILENAME = 'curves.png'


@HOOKS.register_module()
class CurvesHook(PeriodicHook):
    """Draws `curves.png` in the work directory from what was logged.

    Losses, accuracies, cosines, standard deviations, queue, share of time
    spent waiting for data, learning rate and kNN accuracy, those of them that
    the log has; runs that were resumed are joined. Only the first rank does
    anything. It reads the `scalars.json` that mmengine's `LoggerHook` and
    `LocalVisBackend` write, both in place by default.

    Args:
        interval: Epochs (or iterations) between two drawings. Defaults to 1.
        by_epoch: Whether `interval` counts epochs. Defaults to True.

    Raises:
        ValueError: If `interval` is below 1.
    """

    # After mmengine has logged the iteration, and the kNN accuracy.
    priority = 'VERY_LOW'

    def __init__(self, interval: int = 1, by_epoch: bool = True) -> None:
        super().__init__(interval, by_epoch)

    @master_only  # type: ignore[untyped-decorator]
    def act(self, runner: Any, iteration: int) -> None:
        """Draws the curves, if anything was logged.

        Args:
            runner: The runner.
            iteration: Not used.
        """
        queue = getattr(unwrap(runner.model), 'queue', None)
        embedding = None if queue is None else len(queue.keys)
        scalars = read_scalars(runner.work_dir)
        panels = pretraining_panels(scalars, embedding)
        if not panels:
            return
        path = Path(runner.work_dir) / FILENAME
        draft = path.with_name(f'.{path.name}.draft')
        draft.write_bytes(curves_png(panels))
        os.replace(draft, path)
