"""What models cost, counted as the Copy-Paste paper counts it.

Table 1 of `Simple Copy-Paste <https://arxiv.org/abs/2012.07177>`_ gives the
multiply-adds of one square image: backbone and pyramid, the RPN on all levels,
every box head on 1000 proposals and the mask head on 100 boxes. Only
convolutions and matrix products are counted. It says nothing of memory, which
decides how many images a GPU takes in training.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

NUM_PROPOSALS = 1000
NUM_MASKS = 100
# Images, where a norm in training may meet a map of one position.
_PAIR = 2


@dataclass(frozen=True)
class Complexity:
    """What a model costs.

    Attributes:
        size: Height and width of the image.
        multiply_adds: By part of the model, in the order of computation.
        parameters: Number of all parameters.
    """

    size: int
    multiply_adds: dict[str, int] = field(default_factory=dict)
    parameters: int = 0

    @property
    def total(self) -> int:
        """Multiply-adds of the whole model."""
        return sum(self.multiply_adds.values())


@torch.no_grad()
def count_complexity(
    model: nn.Module,
    size: int,
    num_proposals: int = NUM_PROPOSALS,
    num_masks: int = NUM_MASKS,
) -> Complexity:
    """Counts what a detector or segmentor costs for one image.

    Nothing is computed on the meta device, which
    :func:`mmcp.engine.build_on_meta.build_on_meta` builds on: there it takes
    seconds and little memory for any model and size.

    Args:
        model: A detector of one or two stages of MMDetection, or a segmentor
            of MMSegmentation; in evaluation afterwards.
        size: Height and width of the image in pixels.
        num_proposals: Proposals that each box head sees. Defaults to 1000.
        num_masks: Boxes that each mask head sees. Defaults to 100.

    Returns:
        Multiply-adds by part, and parameters.

    Raises:
        TypeError: If the model has no backbone.
    """
    _require_backbone(model)
    model.eval()
    device = next(model.parameters()).device
    counted: dict[str, int] = {}

    def count(part: str, forward: Callable[..., Any], *inputs: Any) -> Any:
        with FlopCounterMode(display=False) as counter:
            outputs = forward(*inputs)
        # It counts a multiplication and an addition as two.
        counted[part] = counter.get_total_flops() // 2
        return outputs

    _run_dense(model, torch.empty((1, 3, size, size), device=device), count)
    roi_head = getattr(model, 'roi_head', None)
    for part, number in (
        ('bbox_head', num_proposals),
        ('mask_head', num_masks),
    ):
        heads = _modules(getattr(roi_head, part, None))
        if heads:
            rois = partial(_regions, roi_head, part, number, device)
            count(part, _run_all, heads, list(map(rois, heads)))
    parameters = sum(p.numel() for p in model.parameters())
    return Complexity(size, counted, parameters)


def count_kept(model: nn.Module, size: int) -> dict[str, int]:
    """Counts what one training image leaves in memory for the gradients.

    Backbone, neck and the heads on whole maps; weights, heads on regions and
    the workspace of convolutions come on top. In mixed precision it is half
    as much. As :func:`count_complexity`, best on the meta device.

    Args:
        model: As for :func:`count_complexity`; in training afterwards.
        size: Height and width of the image in pixels.

    Returns:
        Bytes by part, without what earlier parts keep.

    Raises:
        TypeError: If the model has no backbone.
    """
    _require_backbone(model)
    model.train()
    weights = {p.untyped_storage()._cdata for p in model.parameters()}
    # A storage that is held keeps its address from being used again.
    kept: dict[int, torch.UntypedStorage] = {}
    counted: dict[str, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = storage
        return tensor

    def count(part: str, forward: Callable[..., Any], inputs: Any) -> Any:
        before = sum(storage.nbytes() for storage in kept.values())
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
            outputs = forward(inputs)
        after = sum(storage.nbytes() for storage in kept.values())
        counted[part] = (after - before) // _PAIR
        return outputs

    device = next(model.parameters()).device
    _run_dense(
        model, torch.empty((_PAIR, 3, size, size), device=device), count
    )
    return counted


def _require_backbone(model: nn.Module) -> None:
    if not isinstance(getattr(model, 'backbone', None), nn.Module):
        raise TypeError(
            f'{type(model).__name__} has no backbone: costs are counted of '
            'detectors and segmentors'
        )


def _run_dense(
    model: nn.Module, images: Tensor, run: Callable[..., Any]
) -> None:
    """Runs, part by part, what works on whole images."""
    detector: Any = model
    features = run('backbone', detector.backbone, images)
    if isinstance(getattr(model, 'neck', None), nn.Module):
        features = run('neck', detector.neck, features)
    for part in ('rpn_head', 'bbox_head', 'mask_head', 'decode_head'):
        head = getattr(model, part, None)
        if isinstance(head, nn.Module):
            run(part, head, features)


def _modules(head: Any) -> list[nn.Module]:
    """A head, or those of all stages of a cascade."""
    if isinstance(head, nn.ModuleList):
        return list(head)
    return [head] if isinstance(head, nn.Module) else []


def _regions(
    roi_head: Any, part: str, number: int, device: torch.device, head: Any
) -> Tensor:
    """What is cut out of the features for a head."""
    name = 'bbox' if part == 'bbox_head' else 'mask'
    extractors = _modules(getattr(roi_head, f'{name}_roi_extractor'))
    extractor: Any = extractors[0]
    height, width = extractor.roi_layers[0].output_size
    return torch.empty(
        (number, head.in_channels, height, width), device=device
    )


def _run_all(heads: Iterable[nn.Module], inputs: Iterable[Tensor]) -> None:
    for head, regions in zip(heads, inputs, strict=True):
        head(regions)
