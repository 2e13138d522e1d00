"""The generated data set is what COCO's own reader expects."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from tiny_coco import NUM_IMAGES, OBJECTS_PER_IMAGE, make_tiny_coco


@pytest.fixture(scope='module')
def coco(tmp_path_factory):
    root = tmp_path_factory.mktemp('tiny')
    return COCO(str(make_tiny_coco(root, ('cat', 'dog', 'cow'))))


def test_it_holds_objects_one_crowd_and_an_empty_image(coco):
    annotations = list(coco.anns.values())

    assert [c['name'] for c in coco.cats.values()] == ['cat', 'dog', 'cow']
    assert len(coco.imgs) == NUM_IMAGES
    assert len(annotations) == (NUM_IMAGES - 1) * OBJECTS_PER_IMAGE
    assert [a['iscrowd'] for a in annotations].count(1) == 1
    assert coco.getAnnIds(imgIds=NUM_IMAGES) == []


def test_boxes_and_areas_are_those_of_the_masks(coco):
    for annotation in coco.anns.values():
        mask = coco.annToMask(annotation)
        rows, columns = np.nonzero(mask)
        x, y, width, height = annotation['bbox']

        assert mask.sum() == annotation['area'] > 0
        assert (x, y) == (columns.min(), rows.min())
        assert x + width == columns.max() + 1
        assert y + height == rows.max() + 1


def test_the_same_seed_gives_the_same_files(tmp_path):
    paths = [make_tiny_coco(tmp_path / n, ('cat',), seed=3) for n in 'ab']
    other = make_tiny_coco(tmp_path / 'c', ('cat',), seed=4)
    read = [json.loads(p.read_text()) for p in (*paths, other)]
    images = [
        (p.parent / 'images' / '0.png').read_bytes() for p in (*paths, other)
    ]

    assert read[0] == read[1] != read[2]
    assert images[0] == images[1] != images[2]
