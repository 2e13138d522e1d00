import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as mask_api

from mmcp.functional.average_precision import (
    box_ious,
    interpolate_precision,
    match_greedily,
)

THRESHOLDS = np.array([0.5, 0.75, 1.0])


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 10**6))
def test_ious_are_bit_equal_to_pycocotools(n, m, seed):
    rng = np.random.default_rng(seed)
    boxes = [
        np.column_stack(
            [rng.uniform(0, 50, (k, 2)), rng.uniform(0.1, 50, (k, 2))]
        )
        for k in (n, m)
    ]
    # Some boxes are the same, some only touch.
    boxes[0][: min(n, m)] = boxes[1][: min(n, m)]
    boxes[0][1:2, 0] += boxes[0][1:2, 2]
    found = box_ious(*boxes)
    assert found.shape == (n, m)
    if n and m:
        expected = mask_api.iou(*boxes, [0] * m)
        np.testing.assert_array_equal(found, expected)


def plain_matches(ious, classes, truths, ignored, threshold):
    """The rule for one threshold and area range, as a loop."""
    taken = set()
    matched, at_ignored = [], []
    for row, of_class in zip(ious, classes, strict=True):
        best = None
        for wanted in (False, True):
            for column, iou in enumerate(row):
                if (
                    of_class != truths[column]
                    or ignored[column] != wanted
                    or column in taken
                    or iou < min(threshold, 1 - 1e-10)
                ):
                    continue
                if best is None or iou >= row[best]:
                    best = column
            if best is not None:
                break
        taken.add(best)
        matched.append(best is not None)
        at_ignored.append(best is not None and bool(ignored[best]))
    return matched, at_ignored


@given(
    st.integers(0, 9),
    st.integers(0, 6),
    st.integers(1, 3),
    st.integers(0, 10**6),
)
def test_matching_is_the_plain_rule(n, m, areas, seed):
    rng = np.random.default_rng(seed)
    steps = [0, 0.4, 0.5, 0.6, 0.75, 0.8, 1 - 5e-11, 1.0]
    ious = rng.choice(steps, (n, m))
    classes, truths = rng.integers(0, 3, n), rng.integers(0, 3, m)
    ignored = rng.random((areas, m)) < 0.3
    matched, at_ignored = match_greedily(
        ious, classes, truths, ignored, THRESHOLDS
    )
    assert matched.shape == at_ignored.shape == (areas, 3, n)
    for area in range(areas):
        for place, threshold in enumerate(THRESHOLDS):
            expected = plain_matches(
                ious, classes, truths, ignored[area], threshold
            )
            assert matched[area, place].tolist() == expected[0]
            assert at_ignored[area, place].tolist() == expected[1]


def plain_precision(true, false, positives, recalls):
    """Largest precision among all prefixes with at least that recall."""
    rows = []
    tp = fp = 0
    for right, wrong in zip(true, false, strict=True):
        tp, fp = tp + right, fp + wrong
        rows.append((tp / positives, tp / max(tp + fp, 1)))
    return [max([p for r, p in rows if r >= at], default=0) for at in recalls]


@given(
    st.lists(st.sampled_from(['right', 'wrong', 'ignored']), max_size=12),
    st.integers(0, 4),
)
def test_precision_is_the_best_at_that_recall_or_above(kinds, missed):
    true = np.array([kind == 'right' for kind in kinds], bool)
    false = np.array([kind == 'wrong' for kind in kinds], bool)
    positives = max(int(true.sum()) + missed, 1)
    recalls = np.linspace(0, 1, 11)
    found, recall = interpolate_precision(true, false, positives, recalls)
    expected = plain_precision(true, false, positives, recalls)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert recall == pytest.approx(true.sum() / positives)


def test_precision_by_hand():
    found, recall = interpolate_precision(
        np.array([True, False, True, False]),
        np.array([False, True, False, False]),
        4,
        np.array([0, 0.25, 0.3, 0.5, 0.51]),
    )
    np.testing.assert_allclose(found, [1, 1, 2 / 3, 2 / 3, 0])
    assert recall == 0.5
