"""Mask targets of one image: 128 boxes to 28x28 on the CPU."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmdet.structures.mask import BitmapMasks

from copy_paste_speed.pipelines import SIZE
from copy_paste_speed.scenes import SceneMaker
from mmcp.structures import CroppedBitmapMasks, Polygons

OBJECTS = 20
BOXES = 128
TARGET = (28, 28)


@dataclass(frozen=True)
class TargetInputs:
    """What a mask head passes on.

    Args:
        masks: Masks of the image's objects.
        boxes: Positive proposals, shape (B, 4), ``xyxy``, float32.
        rows: Each proposal's object, shape (B,), int64.
    """

    masks: Any
    boxes: torch.Tensor
    rows: torch.Tensor


def make_inputs(maker: SceneMaker, cropped: bool) -> TargetInputs:
    """Draws objects and proposals around them.

    Args:
        maker: Where the objects come from.
        cropped: Whether the masks are ours or MMDetection's.

    Returns:
        The inputs; masks are pixels, as they arrive in the training process.
    """
    side = maker.side(OBJECTS)
    rng = np.random.default_rng(len(side.boxes))
    rows = rng.integers(OBJECTS, size=BOXES)
    boxes = side.boxes[rows]
    edges = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    boxes = boxes + rng.uniform(-0.2, 0.2, boxes.shape) * edges
    # As add_gt_as_proposals: every object is a proposal of its own.
    boxes[:OBJECTS], rows[:OBJECTS] = side.boxes, np.arange(OBJECTS)
    boxes = boxes.clip(0, SIZE).astype(np.float32)
    items = [Polygons(parts) for parts in side.outlines]
    ours = CroppedBitmapMasks(items, SIZE, SIZE).rasterised()
    masks: BitmapMasks = ours if cropped else ours.to_bitmap_masks()
    return TargetInputs(masks, torch.from_numpy(boxes), torch.from_numpy(rows))


def make_targets(inputs: TargetInputs) -> Any:
    """What MMDetection's ``mask_target`` computes of one image.

    Args:
        inputs: Masks and proposals.

    Returns:
        Targets of shape (B, 28, 28).
    """
    return inputs.masks.crop_and_resize(
        inputs.boxes.numpy(), TARGET, device='cpu', inds=inputs.rows.numpy()
    ).to_ndarray()
