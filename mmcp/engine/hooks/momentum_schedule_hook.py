"""Lets the momentum of a key encoder grow towards the end of training."""

import math
from typing import Any

from mmengine.hooks import Hook

from mmcp.engine.inference import unwrap
from mmcp.registry import HOOKS


@HOOKS.register_module()
class MomentumScheduleHook(Hook):  # type: ignore[misc]
    """Raises the momentum of ``mmcp.CP2`` or ``mmcp.MoCo`` along a cosine.

    From the model's own ``momentum`` at the first iteration to ``end`` at the
    last, as BYOL and MoCo v3 do; CP2 and MoCo v2 keep it constant. It depends
    on the iteration alone, so a resumed run goes on with the same values.

    Args:
        end: m of ``key = m * key + (1 - m) * query`` at the end. Defaults to
            1.0.

    Raises:
        ValueError: If ``end`` is not in [0, 1].
    """

    def __init__(self, end: float = 1.0) -> None:
        if not 0 <= end <= 1:
            raise ValueError(f'end must be in [0, 1], but is {end}')
        self.end = end

    def before_train(self, runner: Any) -> None:
        """Looks where the momentum starts.

        Args:
            runner: The runner.

        Raises:
            TypeError: If the model has no momentum.
        """
        self._model = unwrap(runner.model)
        if not isinstance(getattr(self._model, 'momentum', None), float):
            raise TypeError(
                'MomentumScheduleHook needs a model with a momentum, mmcp.CP2 '
                f'or mmcp.MoCo, but got {type(self._model).__name__}'
            )
        self._start = self._model.momentum

    def before_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Sets the momentum of this iteration.

        Args:
            runner: The runner.
            batch_idx: Not used.
            data_batch: Not used.
        """
        share = runner.iter / runner.max_iters
        falling = (1 + math.cos(math.pi * share)) / 2
        self._model.momentum = self.end - (self.end - self._start) * falling
