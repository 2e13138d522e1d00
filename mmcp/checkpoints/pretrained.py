"""``init_cfg`` of type ``mmcp.Pretrained``."""

from typing import Any

from mmengine.logging import print_log
from mmengine.model import BaseModule, update_init_info
from torch import nn

from mmcp.checkpoints.reader import CheckpointError
from mmcp.checkpoints.strict import load_weights, parse_part, wanted_parts
from mmcp.checkpoints.weights import CLASSIFIER, read_weights
from mmcp.registry import WEIGHT_INITIALIZERS

_OURS = 'mmcp.Pretrained'
_LATER = ('Pretrained', 'PretrainedInit')


@WEIGHT_INITIALIZERS.register_module()
class Pretrained:
    """Starts a model from a checkpoint of any known layout, or raises.

    For a backbone, a segmentor, a detector or a model in pretraining of
    MMSegmentation, MMDetection or this project::

        backbone=dict(type='ResNet', depth=50,
                      init_cfg=dict(type='mmcp.Pretrained',
                                    checkpoint='moco_v2_800ep.pth.tar'))

    mmengine's own ``Pretrained`` loads what fits and logs the rest; this type
    loads all of a part or stops. What it loads is not initialised again. The
    classifier of a decode head is initialised as the head says.

    Backbones that read their ``init_cfg`` themselves (Swin, PVT, PIDNet)
    ignore the type: they load what fits, and outside of our tools they
    unpickle the file without protection. Give it to the segmentor or detector
    there; :class:`mmcp.LoadedWeightsHook` refuses the rest.

    Args:
        checkpoint: Path, or address in a scheme that mmengine knows.
        part: ``'backbone'``, ``'backbone+neck'`` (for a segmentor that takes
            over a detector's pyramid), ``'backbone+head'`` (for a segmentor,
            or CP2) or another sum of backbone, neck, head and projector.
            Defaults to ``'backbone'``.
        prefix: What the backbone's names begin with, for a file of no known
            layout. Defaults to None.
        num_heads: Attention heads of the transformer in the file, where the
            file is read wrongly in this respect. Defaults to None.
        trust: Whether the file may run code. Defaults to None, as
            :func:`use_safe_reader` was told (``--trust-checkpoint``), or else
            not.

    Raises:
        ValueError: If ``part`` is unknown.
    """

    def __init__(
        self,
        checkpoint: str,
        part: str = 'backbone',
        prefix: str | None = None,
        num_heads: int | None = None,
        trust: bool | None = None,
    ) -> None:
        parse_part(part)
        self.checkpoint = checkpoint
        self.part = part
        self.prefix = prefix
        self.num_heads = num_heads
        self.trust = trust

    def __call__(self, module: nn.Module) -> None:
        """Loads and marks what was loaded as initialised.

        Args:
            module: What the ``init_cfg`` belongs to.

        Raises:
            FileNotFoundError: If there is no such file.
            CheckpointError: If the file is unsafe, broken or unknown, does
                not fit or has parts that the module lacks, or if a later
                item of the ``init_cfg`` would overwrite it.
        """
        check_order(module, _OURS)
        weights = read_weights(
            self.checkpoint,
            prefix=self.prefix,
            num_heads=self.num_heads,
            trust=self.trust,
        )
        parts = wanted_parts(module, self.part)
        for part in parts.values():
            if isinstance(part, BaseModule) and _has_classifier(part):
                part.init_weights()
        report = load_weights(module, weights, self.part)
        for part in parts.values():
            mark_initialised(part)
        print_log(str(report), logger='current')
        if hasattr(module, '_params_init_info'):
            update_init_info(module, f'{_OURS}: {self.checkpoint}')


def check_order(module: nn.Module, ours: str) -> None:
    """Refuses items of an ``init_cfg`` that mmengine would apply on top.

    Args:
        module: What the ``init_cfg`` belongs to.
        ours: The type whose weights must stay.

    Raises:
        CheckpointError: If another type follows it.
    """
    items = getattr(module, 'init_cfg', None)
    kinds = _kinds(items) if isinstance(items, list) else []
    if ours not in kinds:
        return
    names = kinds[kinds.index(ours) + 1 :]
    later = [name for name in names if name not in _LATER]
    if later:
        raise CheckpointError(
            f'In the init_cfg of {type(module).__name__}, {", ".join(later)} '
            f'follows {ours} and would overwrite what it loads: put {ours} '
            'last.'
        )


def check_applied(model: nn.Module) -> None:
    """Refuses a model of which a part has read its ``init_cfg`` itself.

    Args:
        model: A model after ``init_weights``.

    Raises:
        CheckpointError: If ``mmcp.Pretrained`` is in the ``init_cfg`` of a
            part that mmengine has not initialised.
    """
    for name, module in model.named_modules():
        ours = _OURS in _kinds(getattr(module, 'init_cfg', None))
        if ours and not getattr(module, 'is_init', True):
            raise CheckpointError(
                f'{type(module).__name__} reads its init_cfg itself and does '
                f'not know {_OURS}: it has loaded what fits, maybe nothing. '
                f'Take init_cfg out of model.{name} and give it to the model: '
                f"model.init_cfg=dict(type='{_OURS}', checkpoint=...)"
            )


def mark_initialised(part: nn.Module) -> None:
    """Keeps mmengine from initialising a module and its children again.

    Args:
        part: The module.
    """
    for module in part.modules():
        module.is_init = True  # type: ignore[assignment]


def _kinds(init_cfg: Any) -> list[str]:
    """Names of the types in an ``init_cfg``, one or several."""
    items = init_cfg if isinstance(init_cfg, list) else [init_cfg or {}]
    kinds = [item.get('type') for item in items]
    return [k if isinstance(k, str) else _name(k) for k in kinds]


def _name(kind: Any) -> str:
    return _OURS if kind is Pretrained else getattr(kind, '__name__', '')


def _has_classifier(part: nn.Module) -> bool:
    return any(CLASSIFIER in n.split('.') for n in part.state_dict())
