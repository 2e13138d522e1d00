"""``init_cfg`` of type ``mmcp.PretrainedDetector``."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.logging import print_log
from mmengine.model import BaseModule, update_init_info
from torch import Tensor, nn

from mmcp.checkpoints.causes import likely_causes
from mmcp.checkpoints.class_names import (
    match_classes,
    noted_classes,
    resolve_classes,
)
from mmcp.checkpoints.comparison import Comparison, compare
from mmcp.checkpoints.loading import load_safely
from mmcp.checkpoints.pretrained import check_order, mark_initialised
from mmcp.checkpoints.reader import CheckpointError
from mmcp.checkpoints.remap_det_heads import (
    CLASS_LAYERS,
    class_layer_of,
    keep_class_layers,
    remap_det_heads,
)
from mmcp.checkpoints.strict import MismatchError
from mmcp.checkpoints.weights import plain_tensors
from mmcp.registry import WEIGHT_INITIALIZERS

_OURS = 'mmcp.PretrainedDetector'
_MASK_HEAD = 'roi_head.mask_head.'
_WAYS = ('by_name', 'fresh')


@WEIGHT_INITIALIZERS.register_module()
class PretrainedDetector:
    """Starts a two-stage detector from one trained for other classes.

    All of its weights are the file's, or it raises; a file's mask head is
    left out where the model has none. The layers that have rows for each
    class are taken over by the names of the classes, see
    :func:`mmcp.checkpoints.remap_det_heads`, or start anew. From COCO to
    PASCAL VOC (Table 5 of `Simple Copy-Paste
    <https://arxiv.org/abs/2012.07177>`_)::

        model=dict(type='FasterRCNN', ...,
                   init_cfg=dict(type='mmcp.PretrainedDetector',
                                 checkpoint='work_dirs/.../iter_270000.pth',
                                 classes='mmdet.VOCDataset'))

    Args:
        checkpoint: Path, or address in a scheme that mmengine knows.
        classes: Names of the model's classes in the order of its head, or
            the type of a data set that has them. Defaults to None, for
            ``class_layers='fresh'`` only.
        class_layers: ``'by_name'``: rows of classes that the file has, too,
            are copied, those of others are initialised as the head says.
            ``'fresh'``: none are copied. Defaults to 'by_name'.
        aliases: What some of the classes are called in the file, where
            neither the names nor PASCAL VOC's and COCO's spellings are the
            same. Defaults to None.
        source_classes: Classes of the file, as ``classes``. Defaults to
            None, as the file notes them.
        trust: Whether the file may run code. Defaults to None, as
            :func:`use_safe_reader` was told (``--trust-checkpoint``), or else
            not.

    Raises:
        ValueError: If ``class_layers`` is unknown or needs ``classes``.
    """

    def __init__(
        self,
        checkpoint: str,
        classes: str | Sequence[str] | None = None,
        class_layers: str = 'by_name',
        aliases: Mapping[str, str] | None = None,
        source_classes: str | Sequence[str] | None = None,
        trust: bool | None = None,
    ) -> None:
        if class_layers not in _WAYS:
            raise ValueError(
                f'class_layers must be one of {", ".join(_WAYS)}, but is '
                f'{class_layers!r}'
            )
        if class_layers == 'by_name' and classes is None:
            raise ValueError(
                "class_layers='by_name' needs the names of the model's "
                "classes: classes='mmdet.VOCDataset', or a list"
            )
        self.checkpoint = checkpoint
        self.classes = classes
        self.class_layers = class_layers
        self.aliases = aliases
        self.source_classes = source_classes
        self.trust = trust

    def __call__(self, module: nn.Module) -> None:
        """Loads and marks all of the detector as initialised.

        Args:
            module: The detector whose ``init_cfg`` this is.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If ``classes`` or ``aliases`` name what is not there.
            CheckpointError: If the file is unsafe or broken, does not note
                its classes, does not fit, or shares no class, or if a later
                item of the ``init_cfg`` would overwrite it.
        """
        check_order(module, _OURS)
        content = load_safely(self.checkpoint, trust=self.trust)
        held, _ = plain_tensors(content, self.checkpoint)
        _require_detector(module, held, self.checkpoint)
        notes = _leave_out_mask_head(module, held)
        # Rows of classes that the file lacks keep these values.
        _initialise_class_layers(module)
        needed = dict(module.state_dict())
        # Another detector is told as such, not by the rows of its classes.
        _compared(
            _less_class_layers(needed),
            _less_class_layers(held),
            self.checkpoint,
        )
        if self.class_layers == 'by_name':
            notes.append(self._copy_classes(held, needed, content))
        else:
            held.update(keep_class_layers(held, needed))
            notes.append('class layers start anew')
        comparison = _compared(needed, held, self.checkpoint)
        module.load_state_dict(held, strict=False)
        mark_initialised(module)
        print_log(
            f'Loaded {comparison.matched} of {len(comparison.needed)} tensors '
            f'(100 %) from {self.checkpoint}: {", ".join(notes)}.',
            logger='current',
        )
        if hasattr(module, '_params_init_info'):
            update_init_info(module, f'{_OURS}: {self.checkpoint}')

    def _copy_classes(
        self,
        held: dict[str, Tensor],
        needed: Mapping[str, Tensor],
        content: Mapping[str, Any],
    ) -> str:
        """Remaps class layers in place; says which classes were found."""
        assert self.classes is not None
        ours = resolve_classes(self.classes)
        theirs = self._classes_of(content)
        sources = match_classes(theirs, ours, self.aliases)
        lacking = [
            name
            for name, source in zip(ours, sources, strict=True)
            if source is None
        ]
        if len(lacking) == len(ours):
            raise MismatchError(
                f'{self.checkpoint} was trained for none of the classes '
                f'{", ".join(ours[:5])}, ... Say what they are called there '
                "with aliases=dict(...), or give class_layers='fresh'."
            )
        try:
            remapped = remap_det_heads(
                held, needed, theirs, ours, self.aliases
            )
        except MismatchError as error:
            raise MismatchError(f'{self.checkpoint}: {error}') from None
        held.update(remapped)
        note = f'{len(ours) - len(lacking)} of {len(ours)} classes by name'
        return note + (f' (new: {", ".join(lacking)})' if lacking else '')

    def _classes_of(self, content: Mapping[str, Any]) -> tuple[str, ...]:
        if self.source_classes is not None:
            return resolve_classes(self.source_classes)
        noted = noted_classes(content)
        if noted is None:
            raise CheckpointError(
                f'{self.checkpoint} does not note its classes. Give '
                "source_classes='mmdet.CocoDataset' (or a list of names), or "
                "class_layers='fresh'."
            )
        return noted


def _require_detector(
    module: nn.Module, held: Mapping[str, Tensor], source: str
) -> None:
    if not isinstance(getattr(module, 'roi_head', None), nn.Module):
        raise MismatchError(
            f'{_OURS} is for two-stage detectors, but '
            f'{type(module).__name__} has no roi_head. For a segmentor, give '
            "mmcp.Pretrained with part='backbone+neck'."
        )
    if not any(name.startswith('roi_head.') for name in held):
        roots = sorted({name.split('.', 1)[0] for name in held})
        raise MismatchError(
            f'{source} holds no two-stage detector: there is no roi_head. '
            f'Its names begin with: {", ".join(roots[:8])}. To take a '
            'backbone from it, give mmcp.Pretrained to the backbone.'
        )


def _leave_out_mask_head(
    module: nn.Module, held: dict[str, Tensor]
) -> list[str]:
    """Removes, in place, the mask head that the model was built without."""
    if any(name.startswith(_MASK_HEAD) for name in module.state_dict()):
        return []
    surplus = [name for name in held if name.startswith(_MASK_HEAD)]
    for name in surplus:
        del held[name]
    return ['without the mask head'] if surplus else []


def _initialise_class_layers(module: nn.Module) -> None:
    """Initialises the heads that hold layers with rows for each class."""
    for head in module.modules():
        holds = any(hasattr(head, layer) for layer in CLASS_LAYERS)
        if holds and isinstance(head, BaseModule):
            head.init_weights()


def _less_class_layers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n: v for n, v in tensors.items() if class_layer_of(n) is None}


def _compared(
    needed: Mapping[str, Tensor], held: Mapping[str, Tensor], source: str
) -> Comparison:
    """Compares all tensors; raises if any does not fit."""
    comparison = compare('detector', needed, held)
    if comparison.fits:
        return comparison
    lines = [
        f'{source} is not of this detector; nothing was loaded. Tensors that '
        f'fit: {comparison.matched} of {len(comparison.needed)}.',
        *(f'  {line}' for line in comparison.problems()),
    ]
    for part in ('backbone', 'neck'):
        inner = compare(part, _under(part, needed), _under(part, held))
        lines += [f'Likely cause: {cause}.' for cause in likely_causes(inner)]
    raise MismatchError('\n'.join(lines))


def _under(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f'{part}.'
    return {
        name.removeprefix(start): value
        for name, value in tensors.items()
        if name.startswith(start)
    }
