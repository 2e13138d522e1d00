"""Sees that a model gets the weights that it is to start from."""

import logging
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from mmengine.hooks import Hook
from torch import Size, Tensor, nn

from mmcp.checkpoints import CheckpointError, LayoutError, detect_layout
from mmcp.checkpoints.config_text import look_up
from mmcp.checkpoints.layouts import plain_name
from mmcp.checkpoints.pretrained import check_applied
from mmcp.registry import HOOKS

Shapes = Mapping[str, Size]

# A count that nothing depends on; old files lack it.
_OPTIONAL = 'num_batches_tracked'
# What FSDP makes of the names of parameters.
_SHARDED = ('_fsdp_wrapped_module', '_flat_param')
_WRAPPER = 'module'
_SHOWN = 3


@HOOKS.register_module()
class LoadedWeightsHook(Hook):  # type: ignore[misc]
    """Refuses a checkpoint of which nothing would be loaded.

    ``load_from``, ``--resume`` and ``tools/test.py`` load what has the name
    and shape of a tensor of the model and leave the rest at random. With a
    file of another layout that is everything, and mmengine goes on. Where
    some fits, the log says how much of each part. A backbone that reads an
    ``init_cfg`` of type ``mmcp.Pretrained`` in its own way is refused, too.
    ``tools/train.py`` and ``tools/test.py`` add the hook.

    Args:
        source: What the error calls the file. Defaults to 'The checkpoint'.
    """

    # EMAHook puts its averages in the place of the weights before.
    priority = 'VERY_LOW'

    def __init__(self, source: str = 'The checkpoint') -> None:
        self.source = source

    def before_train(self, runner: Any) -> None:
        """Looks whether every ``init_cfg`` was applied.

        Args:
            runner: The runner.

        Raises:
            CheckpointError: If not; it says where to put it.
        """
        check_applied(runner.model)

    def after_load_checkpoint(
        self, runner: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Compares before the weights go into the model.

        Args:
            runner: The runner.
            checkpoint: What the file holds.

        Raises:
            CheckpointError: If nothing fits, or a converted or published
                transformer has another number of attention heads than the
                model; the message says what to do.
        """
        needed = _shapes(runner.model.state_dict())
        if any(mark in name for name in needed for mark in _SHARDED):
            return
        held = _shapes(checkpoint.get('state_dict', checkpoint))
        fitting = {n for n, shape in needed.items() if held.get(n) == shape}
        if needed and not fitting:
            raise CheckpointError(_refusal(self.source, held, needed))
        _check_heads(self.source, checkpoint, runner.model)
        whole = len(fitting) == len(needed)
        runner.logger.log(
            logging.INFO if whole else logging.WARNING,
            _summary(fitting, held, needed),
        )


def _check_heads(
    source: str, checkpoint: Mapping[str, Any], model: nn.Module
) -> None:
    """Compares what our tools noted in a file with the model."""
    theirs = look_up(checkpoint.get('meta'), 'mmcp', 'num_heads')
    ours = {
        module.num_heads
        for name, module in model.named_modules()
        if isinstance(module, nn.MultiheadAttention)
        and 'backbone' in name.split('.')
    }
    if theirs is None or not ours or ours == {theirs}:
        return
    raise CheckpointError(
        f'{source} is a transformer with {theirs} attention heads, but the '
        f'model has {", ".join(map(str, sorted(ours)))}. All tensors would '
        'fit, and the features would be wrong: --cfg-options '
        f'model.backbone.num_heads={theirs}'
    )


def _shapes(state: Mapping[str, Any]) -> dict[str, Size]:
    """Shapes by name; mmengine looks through what wraps a model, too."""
    return {
        '.'.join(p for p in str(name).split('.') if p != _WRAPPER): value.shape
        for name, value in state.items()
        if isinstance(value, Tensor) and not name.endswith(_OPTIONAL)
    }


def _summary(fitting: Collection[str], held: Shapes, needed: Shapes) -> str:
    found, wanted = (
        Counter(name.split('.', 1)[0] for name in names)
        for names in (fitting, needed)
    )
    parts = ', '.join(
        f'{part} {found[part]:,} of {count:,}'
        for part, count in wanted.items()
    )
    notes = (
        '' if len(fitting) == len(needed) else '; the rest is left as it is'
    )
    others = [n for n in needed if n in held and n not in fitting]
    if others:
        notes += f'. Of another shape in the file: {_listed(others)}'
    return f'Tensors of the model that the checkpoint has: {parts}{notes}.'


def _refusal(source: str, held: Shapes, needed: Shapes) -> str:
    return (
        f'{source}{_kind(held)}: none of its {len(held):,} tensors has name '
        f"and shape of one of the model's {len(needed):,}, so nothing would "
        f'be loaded. The names in the file: {_listed(held)}; in the model: '
        f'{_listed(needed)}. Is it the file of this config? Weights of '
        'another kind of file to start a training from belong into init_cfg '
        'instead of load_from: --cfg-options '
        'model.init_cfg.type=mmcp.Pretrained model.init_cfg.checkpoint=PATH; '
        'or write them by other names with '
        'tools/converters/convert_checkpoint.py'
    )


def _kind(held: Shapes) -> str:
    try:
        layout = detect_layout([plain_name(name) for name in held], '')
    except LayoutError:
        return ''
    return f' ({layout.title})'


def _listed(names: Collection[str]) -> str:
    more = f' and {len(names) - _SHOWN:,} more' if len(names) > _SHOWN else ''
    return ', '.join([*names][:_SHOWN]) + more
