"""Annotations in LVIS's format and detections that resemble them."""

import json
from pathlib import Path

import numpy as np
from pycocotools import mask as mask_api

HEIGHT, WIDTH = 120, 160
FREQUENCIES = 'rcf'


def make_annotations(num_images=12, num_categories=9, seed=0):
    """Images with squares, some ignored, some on the borders of area ranges.

    Categories have gaps in their ids and stand in no order; some have no
    objects at all.
    """
    rng = np.random.default_rng(seed)
    ids = (3 + 2 * rng.permutation(num_categories)).tolist()
    categories = [
        dict(id=key, name=f'class {key}', frequency=FREQUENCIES[key % 3])
        for key in ids
    ]
    images, annotations = [], []
    for image_id in (50 + 7 * rng.permutation(num_images)).tolist():
        order = rng.permutation(ids[:-1]).tolist()
        present, absent = order[:3], order[3:6]
        images.append(
            dict(
                id=image_id,
                height=HEIGHT,
                width=WIDTH,
                neg_category_ids=absent,
                not_exhaustive_category_ids=[present[0], order[-1]],
            )
        )
        for _ in range(int(rng.integers(0, 9))):
            x, y = rng.integers(0, 60, 2).tolist()
            side = int(rng.choice([5, 16, 32, 50, 96]))
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image_id,
                    category_id=int(rng.choice(present)),
                    bbox=[x, y, side, side],
                    area=float(side**2 if rng.random() < 0.95 else 0),
                    segmentation=[corners(x, y, side, side)],
                    **(dict(ignore=1) if rng.random() < 0.1 else {}),
                )
            )
    return dict(images=images, categories=categories, annotations=annotations)


def corners(x, y, w, h):
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def make_detections(annotations, per_image, seed=1):
    """Boxes around objects and elsewhere, of right and wrong categories.

    Scores have two decimals, so that many are equal; some boxes are empty.
    """
    rng = np.random.default_rng(seed)
    ids = [one['id'] for one in annotations['categories']]
    objects = {one['id']: [] for one in annotations['images']}
    for one in annotations['annotations']:
        objects[one['image_id']].append(one)
    return [
        _detection(image, objects[image['id']], ids, rng)
        for image in annotations['images']
        for _ in range(int(rng.integers(0, per_image)))
    ]


def _detection(image, objects, ids, rng):
    category = int(rng.choice(ids))
    if objects and rng.random() < 0.7:
        one = objects[rng.integers(len(objects))]
        spread = rng.choice([0.0, 0.5, 4, 15])
        box = np.array(one['bbox']) + rng.normal(0, spread, 4)
        if rng.random() < 0.8:
            category = one['category_id']
    else:
        box = np.append(rng.uniform(0, 90, 2), rng.uniform(-2, 90, 2))
    box[2:] = box[2:].clip(0)
    return dict(
        image_id=image['id'],
        category_id=category,
        bbox=box.tolist(),
        score=float(np.round(rng.random(), 2)),
    )


def with_masks(annotations, detections):
    """The same detections with masks, which fill the boxes, and no boxes."""
    sizes = {
        one['id']: (one['height'], one['width'])
        for one in annotations['images']
    }
    found = []
    for one in detections:
        polygon = corners(*one['bbox'])
        (rle,) = mask_api.frPyObjects([polygon], *sizes[one['image_id']])
        rle['counts'] = rle['counts'].decode()
        row = {key: one[key] for key in ('image_id', 'category_id', 'score')}
        found.append(row | dict(segmentation=rle))
    return found


def write(path, data):
    Path(path).write_text(json.dumps(data))
    return str(path)
