"""Small samples for the Copy-Paste tests."""

import numpy as np
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks

SIZE = (40, 48)


def rectangle(x0, y0, x1, y1, size=SIZE):
    mask = np.zeros(size, np.uint8)
    mask[y0:y1, x0:x1] = 1
    return mask


def sample(
    masks=(),
    labels=None,
    flags=None,
    boxes=None,
    size=SIZE,
    value=0,
    image=None,
    **extra,
):
    """Results of one image as MMDetection's loading leaves them."""
    masks = BitmapMasks([np.asarray(mask) for mask in masks], *size)
    count = len(masks)
    if image is None:
        image = np.full((*size, 3), value, np.uint8)
    if boxes is None:
        boxes = masks.get_bboxes('hbox') if count else np.zeros((0, 4))
    return dict(
        img=image,
        img_shape=image.shape[:2],
        gt_bboxes=HorizontalBoxes(np.asarray(boxes, np.float32).reshape(-1, 4))
        if not isinstance(boxes, HorizontalBoxes)
        else boxes,
        gt_bboxes_labels=np.arange(count)
        if labels is None
        else np.array(labels, np.int64),
        gt_masks=masks,
        gt_ignore_flags=np.zeros(count, bool)
        if flags is None
        else np.array(flags, bool),
        **extra,
    )


def random_sample(rng, count, size=SIZE, **extra):
    """Random rectangles with random holes on random pixels."""
    masks = []
    for _ in range(count):
        x, y = rng.integers(0, size[1] - 2), rng.integers(0, size[0] - 2)
        w, h = rng.integers(1, 24, 2)
        mask = rectangle(x, y, x + w, y + h, size)
        masks.append(mask * (rng.random(size) > 0.1).astype(np.uint8))
    image = rng.integers(0, 255, (*size, 3), dtype=np.uint8)
    return sample(
        masks,
        labels=rng.integers(0, 5, count),
        size=size,
        image=image,
        **extra,
    )


def polygons(boxes, size=SIZE):
    """Rectangles as polygons that rasterise to the half-open boxes."""
    parts = []
    for x0, y0, x1, y1 in boxes:
        points = [x0, y0, x1, y0, x1, y1, x0, y1]
        parts.append([np.array(points, np.float64)])
    return PolygonMasks(parts, *size)


def with_source(destination, source):
    return dict(destination, mix_results=[source])
