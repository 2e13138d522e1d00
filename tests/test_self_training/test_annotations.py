import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from mmcp.self_training.annotations import to_annotations

IDS = (18, 3, 90)


def prediction(scores, labels, boxes=None, masks=None):
    count = len(scores)
    boxes = [[1.0, 2.0, 5.0, 6.0]] * count if boxes is None else boxes
    instances = InstanceData(
        scores=torch.tensor(scores, dtype=torch.float32),
        labels=torch.tensor(labels, dtype=torch.long),
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(count, 4),
    )
    if masks is not None:
        instances.masks = torch.tensor(np.stack(masks))
    return DetDataSample(pred_instances=instances)


def thresholds(*values):
    return np.array(values, np.float32)


def rectangle(x0, y0, x1, y1, size=(8, 10)):
    mask = np.zeros(size, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_an_annotation_in_full():
    mask = rectangle(1, 2, 4, 6)
    (found,) = to_annotations(
        prediction([0.875], [1], [[1, 2, 4.256, 6]], [mask]),
        thresholds(0, 0.5, 0),
        IDS,
    )
    rle = found['segmentation']

    assert isinstance(rle['counts'], str)
    assert np.array_equal(coco_mask.decode(rle), mask)
    assert found == dict(
        category_id=3,
        bbox=[1.0, 2.0, 3.26, 4.0],
        area=12.0,
        segmentation=dict(size=[8, 10], counts=rle['counts']),
        score=0.875,
        iscrowd=0,
    )


@given(
    st.lists(
        st.tuples(st.floats(0, 1, width=32), st.integers(0, 2)), max_size=12
    ),
    st.tuples(*[st.floats(0, 1, width=32)] * 3),
    st.none() | st.integers(1, 5),
)
def test_the_most_certain_from_the_threshold_of_their_class_on(
    objects, lowest, most
):
    scores, labels = ([o[k] for o in objects] for k in (0, 1))
    found = to_annotations(
        prediction(scores, labels), thresholds(*lowest), IDS, most
    )
    kept = [o for o in objects if o[0] >= lowest[o[1]]]
    kept.sort(key=lambda o: -o[0])

    expected = [(round(score, 6), IDS[label]) for score, label in kept[:most]]
    assert [(a['score'], a['category_id']) for a in found] == expected


def test_what_training_would_leave_out_is_left_out():
    empty = np.zeros((8, 10), bool)
    whole = rectangle(0, 0, 5, 5)
    boxes = [[0, 0, 5, 5], [0, 0, 0.5, 5], [0, 0, 5, 0.9], [1, 1, 2, 2]]
    found = to_annotations(
        prediction(
            [0.9, 0.8, 0.7, 0.6], [0] * 4, boxes, [empty, whole, whole, whole]
        ),
        thresholds(0.5),
        IDS,
        max_per_image=1,
    )
    # They do not count towards the most of an image either.
    assert [a['score'] for a in found] == [0.6]


def test_boxes_alone():
    (found,) = to_annotations(prediction([0.5], [0]), thresholds(0.5), IDS)
    assert found == dict(
        category_id=18,
        bbox=[1.0, 2.0, 4.0, 4.0],
        area=16.0,
        score=0.5,
        iscrowd=0,
    )


def test_more_classes_than_names():
    with pytest.raises(ValueError, match='predicts class 2, but has names'):
        to_annotations(prediction([0.5], [2]), thresholds(0, 0), IDS)
