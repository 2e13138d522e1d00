"""What a data pipeline of MMDetection hands to the model, as a picture."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmcp.visualization.draw import PALETTE, Image, draw_instances


def draw_sample(
    sample: Mapping[str, Any],
    class_names: Sequence[str] = (),
    palette: Sequence[Sequence[int]] = PALETTE,
    scale: int = 1,
) -> Image:
    """Draw a packed training sample: its image, masks and boxes.

    Args:
        sample: What `PackDetInputs` returns: `inputs`, a uint8 tensor of
            shape (3, H, W) in BGR, and `data_samples`, a `DetDataSample`
            whose ignored instances are drawn in gray.
        class_names: Name of each label. None are written by default.
        palette: RGB colour of each label.
        scale: Enlargement of the picture. Defaults to 1.

    Returns:
        Shape (scale * H, scale * W, 3), uint8, BGR.
    """
    image = np.ascontiguousarray(sample['inputs'].numpy().transpose(1, 2, 0))
    data_sample = sample['data_samples']
    groups = [data_sample.get('ignored_instances'), data_sample.gt_instances]
    masks, boxes, labels = [], [], []
    for ignored, instances in zip((True, False), groups, strict=True):
        if instances is None or not len(instances):
            continue
        group = _to_array(instances.labels)
        labels.append(np.full_like(group, -1) if ignored else group)
        boxes.append(_to_array(instances.bboxes).reshape(-1, 4))
        if 'masks' in instances:
            masks.append(_to_array(instances.masks))
    if not labels:
        return draw_instances(image, scale=scale)
    return draw_instances(
        image,
        masks=np.concatenate(masks) if len(masks) == len(labels) else None,
        boxes=np.concatenate(boxes),
        labels=np.concatenate(labels),
        class_names=class_names,
        palette=palette,
        scale=scale,
    )


def _to_array(value: Any) -> NDArray[Any]:
    """Read arrays, tensors, MMDetection's boxes and mask containers."""
    if hasattr(value, 'to_ndarray'):
        value = value.to_ndarray()
    value = getattr(value, 'tensor', value)
    if hasattr(value, 'detach'):
        value = value.detach().cpu().numpy()
    return np.asarray(value)
