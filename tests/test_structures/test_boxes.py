import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.structures.bbox import (
    BaseBoxes,
    HorizontalBoxes,
    register_box,
    register_box_converter,
)

from mmcp.structures.boxes import join_boxes, replace_boxes, take_boxes


class FiveBoxes(HorizontalBoxes):
    """Boxes of five numbers."""

    box_dim = 5

    def __init__(self, data, **kwargs):
        BaseBoxes.__init__(self, data, **kwargs)


class Derived(HorizontalBoxes):
    """Horizontal boxes of another name."""


register_box('mmcp_derived', Derived, force=True)
register_box_converter('mmcp_derived', 'hbox', lambda t: t, force=True)


@st.composite
def boxes_and_rows(draw):
    kind = draw(st.sampled_from([HorizontalBoxes, FiveBoxes]))
    count = draw(st.integers(0, 6))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    numbers = torch.arange(count * kind.box_dim, dtype=dtype)
    boxes = kind(numbers.view(count, kind.box_dim))
    if draw(st.booleans()):
        flags = st.lists(st.booleans(), min_size=count, max_size=count)
        return boxes, np.array(draw(flags), bool)
    rows = draw(st.permutations(range(count)))
    return boxes, np.array(rows[: draw(st.integers(0, count))], np.int64)


@settings(deadline=None)
@given(boxes_and_rows())
def test_rows_are_those_that_torch_takes(boxes_and_rows):
    boxes, rows = boxes_and_rows
    before = boxes.tensor.clone()

    taken = take_boxes(boxes, rows)

    expected = boxes[torch.from_numpy(rows)]
    assert type(taken) is type(boxes)
    assert taken.tensor.dtype == boxes.tensor.dtype
    assert torch.equal(taken.tensor, expected.tensor)
    taken.tensor += 1
    assert torch.equal(boxes.tensor, before)


@settings(deadline=None)
@given(boxes_and_rows())
def test_only_the_given_rows_are_replaced(boxes_and_rows):
    boxes, rows = boxes_and_rows
    before = boxes.tensor.clone()
    new = -take_boxes(boxes, rows).numpy()

    replaced = replace_boxes(boxes, rows, new)

    expected = before.clone()
    expected[torch.from_numpy(rows)] = torch.from_numpy(new)
    assert type(replaced) is type(boxes)
    assert replaced.tensor.dtype == before.dtype
    assert torch.equal(replaced.tensor, expected)
    assert torch.equal(boxes.tensor, before)


@settings(deadline=None)
@given(boxes_and_rows())
def test_joined_as_the_box_type_concatenates(boxes_and_rows):
    boxes, rows = boxes_and_rows
    second = take_boxes(boxes, rows)

    joined = join_boxes(boxes, second)

    expected = boxes.cat([boxes, second])
    assert type(joined) is type(boxes)
    assert torch.equal(joined.tensor, expected.tensor)


def test_the_second_becomes_what_the_first_is():
    first = HorizontalBoxes(torch.ones(1, 4))
    joined = join_boxes(first, Derived(torch.zeros(2, 4)))
    assert type(joined) is HorizontalBoxes
    assert joined.tensor.tolist() == [[1] * 4, [0] * 4, [0] * 4]


def test_another_number_of_rows_is_refused():
    boxes = HorizontalBoxes(torch.zeros(3, 4))
    with pytest.raises(ValueError, match='shape mismatch|broadcast'):
        replace_boxes(boxes, np.array([0, 1]), np.zeros((3, 4)))
