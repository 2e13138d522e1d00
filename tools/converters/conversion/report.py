"""What a conversion matched and dropped, for people and as JSON."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from conversion.check import ForwardCheck
from mmcp.checkpoints import ModelWeights

_PARTS = ('backbone', 'neck', 'head', 'projector')


def as_text(
    weights: ModelWeights, state: Mapping[str, Tensor], check: ForwardCheck
) -> str:
    """Describes a conversion in a few lines.

    Args:
        weights: What the source file holds.
        state: What is written.
        check: How the forward pass compares.

    Returns:
        The lines.
    """
    lines = [f'{weights.source}: {weights.layout.title}']
    written = sum(value.numel() for value in state.values())
    for part in _PARTS:
        tensors = weights.part(part)
        if tensors:
            kept = 'written' if _is_written(part, state) else 'left out'
            lines.append(f'  {part}: {len(tensors)} tensors, {kept}')
    for reason, count in Counter(weights.dropped.values()).items():
        lines.append(f'  {reason}: {count} tensors, left out')
    if weights.num_heads is not None:
        lines.append(f'  attention heads: {weights.num_heads}')
    lines.append(f'  {check}')
    lines.append(f'  {len(state)} tensors, {written / 1e6:.1f} M numbers')
    return '\n'.join(lines)


def as_json(
    weights: ModelWeights, state: Mapping[str, Tensor], check: ForwardCheck
) -> dict[str, Any]:
    """Describes a conversion tensor by tensor.

    Args:
        weights: What the source file holds.
        state: What is written.
        check: How the forward pass compares.

    Returns:
        Layout, written names and shapes, where the backbone's come from, and
        why the others are left out.
    """
    return dict(
        source=weights.source,
        layout=weights.layout.name,
        num_heads=weights.num_heads,
        written={name: list(value.shape) for name, value in state.items()},
        origin=weights.origin,
        left_out=weights.dropped,
        forward_check=dict(
            model=check.model, relative_difference=check.difference
        ),
    )


def _is_written(part: str, state: Mapping[str, Tensor]) -> bool:
    if part == 'backbone':
        return True
    prefix = {'neck': 'neck.', 'head': 'decode_head.'}.get(part)
    return prefix is not None and any(n.startswith(prefix) for n in state)
