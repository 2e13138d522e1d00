"""Predictions made from the sample's ground truth, for tests."""

import numpy as np
import torch
from pycocotools import mask as coco_mask

from mmcp.demo import CLASSES


def predict(coco, keep=1.0, shift=0, wrong=0.0, seed=0):
    """What `DumpDetResults` writes; some objects missing, some spoiled.

    `keep` is the share of the objects that is found, `shift` the largest
    displacement in pixels, `wrong` the share with a random label.
    """
    rng = np.random.default_rng(seed)
    predictions = []
    for image_id, info in coco.imgs.items():
        boxes, labels, masks, scores = [], [], [], []
        for ann in coco.imgToAnns[image_id]:
            if rng.random() >= keep:
                continue
            label = ann['category_id'] - 1
            if rng.random() < wrong:
                label = int(rng.integers(len(CLASSES)))
            x, y, w, h = ann['bbox']
            dx, dy = rng.integers(-shift, shift + 1, 2).tolist()
            mask = np.roll(coco.annToMask(ann), (dy, dx), axis=(0, 1))
            boxes.append([x + dx, y + dy, x + dx + w, y + dy + h])
            labels.append(label)
            masks.append(coco_mask.encode(np.asfortranarray(mask)))
            scores.append(rng.random())
        predictions.append(
            {
                'img_id': image_id,
                'ori_shape': (info['height'], info['width']),
                'pred_instances': {
                    'bboxes': torch.tensor(boxes).reshape(-1, 4).float(),
                    'scores': torch.tensor(scores),
                    'labels': torch.tensor(labels, dtype=torch.int64),
                    'masks': masks,
                },
            }
        )
    return predictions
