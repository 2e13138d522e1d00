"""Compares the classes of the data with those of a detector."""

from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from torch import nn

from mmcp.engine.config import UsageError
from mmcp.engine.inference import unwrap
from mmcp.registry import HOOKS

_HEADS = 'roi_head.'


@HOOKS.register_module()
class ClassCountHook(Hook):  # type: ignore[misc]
    """Refuses data with more classes than a two-stage detector has.

    The label behind a head's last class is its background, so objects of one
    class too many would be learnt as background, and those of others end the
    training somewhere, on a GPU without a reason. ``tools/train.py`` adds the
    hook to trainings of MMDetection's models.

    MMDetection's own ``NumClassCheckHook`` also refuses data with fewer
    classes, which do no harm.
    """

    def before_train(self, runner: Any) -> None:
        """Compares before the first step.

        Args:
            runner: The runner.

        Raises:
            UsageError: If a head has fewer classes than the data; the message
                has the options that change it.
        """
        dataset = runner.train_dataloader.dataset
        classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
        if classes is None or isinstance(classes, str):
            return
        small = _smaller_heads(unwrap(runner.model), len(classes))
        if small:
            raise UsageError(_describe(small, classes))


def _smaller_heads(model: nn.Module, count: int) -> dict[str, int]:
    """Names of heads with fewer classes, and how many they have."""
    return {
        name: module.num_classes
        for name, module in model.named_modules()
        if name.startswith(_HEADS)
        and isinstance(getattr(module, 'num_classes', None), int)
        and not getattr(module, 'class_agnostic', False)
        and module.num_classes < count
    }


def _describe(small: dict[str, int], classes: Sequence[str]) -> str:
    name, known = next(iter(small.items()))
    options = ' '.join(
        f'model.{head}.num_classes={len(classes)}' for head in small
    )
    return (
        f'The training data have {len(classes):,} classes, but {name} of the '
        f"model has {known:,}, so '{classes[known]}' would be its background. "
        f'Change the data, or --cfg-options {options}'
    )
