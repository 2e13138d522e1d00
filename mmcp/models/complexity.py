"""Multiply-adds and parameters, counted as the Copy-Paste paper counts them.

Table 1 of `Simple Copy-Paste <https://arxiv.org/abs/2012.07177>`_ gives the
multiply-adds of one square image: backbone and pyramid, the RPN on all levels,
every box head on 1000 proposals and the mask head on 100 boxes. Only
convolutions and matrix products are counted.
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
    detector: Any = model
    if not isinstance(getattr(model, 'backbone', None), nn.Module):
        raise TypeError(
            f'{type(model).__name__} has no backbone: multiply-adds are '
            'counted of detectors and segmentors'
        )
    model.eval()
    device = next(model.parameters()).device
    counted: dict[str, int] = {}

    def count(part: str, forward: Callable[..., Any], *inputs: Any) -> Any:
        with FlopCounterMode(display=False) as counter:
            outputs = forward(*inputs)
        # It counts a multiplication and an addition as two.
        counted[part] = counter.get_total_flops() // 2
        return outputs

    image = torch.empty((1, 3, size, size), device=device)
    features = count('backbone', detector.backbone, image)
    if isinstance(getattr(model, 'neck', None), nn.Module):
        features = count('neck', detector.neck, features)
    for part in ('rpn_head', 'bbox_head', 'mask_head', 'decode_head'):
        head = getattr(model, part, None)
        if isinstance(head, nn.Module):
            count(part, head, features)
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
