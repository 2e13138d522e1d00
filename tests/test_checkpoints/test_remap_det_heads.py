"""Tests of taking the heads of a detector over to other classes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmcp.checkpoints import MismatchError, remap_det_heads
from mmcp.checkpoints.remap_det_heads import keep_class_layers

NAMES = ['a', 'b', 'c', 'd', 'e', 'f']


def heads(count, start=0, agnostic=False, box='roi_head.bbox_head'):
    """Layers whose every row has a value of its own."""

    def rows(number, *shape):
        values = torch.arange(start, start + number, dtype=torch.float)
        return values.reshape(-1, *[1] * len(shape)).expand(-1, *shape).clone()

    regions = 1 if agnostic else count
    return {
        'backbone.conv1.weight': rows(3, 2),
        f'{box}.fc_cls.weight': rows(count + 1, 5),
        f'{box}.fc_cls.bias': rows(count + 1),
        f'{box}.fc_reg.weight': rows(4 * regions, 5),
        f'{box}.fc_reg.bias': rows(4 * regions),
        'roi_head.mask_head.conv_logits.weight': rows(regions, 2, 1, 1),
        'roi_head.mask_head.conv_logits.bias': rows(regions),
    }


def test_rows_follow_the_names():
    held = heads(3)
    needed = heads(2, start=100)

    result = remap_det_heads(held, needed, ['a', 'b', 'c'], ['c', 'new'])

    box = 'roi_head.bbox_head'
    # c, the new class as it was, background.
    assert result[f'{box}.fc_cls.bias'].tolist() == [2, 101, 3]
    assert result[f'{box}.fc_reg.bias'].tolist() == [
        *(8, 9, 10, 11),
        *(104, 105, 106, 107),
    ]
    masks = result['roi_head.mask_head.conv_logits.bias']
    assert masks.tolist() == [2, 101]
    for name in ('fc_cls', 'fc_reg'):
        weight = result[f'{box}.{name}.weight']
        bias = result[f'{box}.{name}.bias']
        assert torch.equal(weight, bias[:, None].expand(-1, 5))
    assert result['backbone.conv1.weight'] is held['backbone.conv1.weight']
    assert result.keys() == held.keys()


@given(
    st.lists(st.sampled_from(NAMES), min_size=2, unique=True),
    st.lists(st.sampled_from(NAMES), min_size=2, unique=True),
)
def test_every_row_is_the_one_of_its_class(theirs, ours):
    held, needed = heads(len(theirs)), heads(len(ours), start=100)
    before = {n: v.clone() for d in (held, needed) for n, v in d.items()}

    result = remap_det_heads(held, needed, theirs, ours)

    labels = [theirs.index(n) if n in theirs else None for n in ours]
    for name, rows, extra in (
        ('bbox_head.fc_cls', 1, 1),
        ('bbox_head.fc_reg', 4, 0),
        ('mask_head.conv_logits', 1, 0),
    ):
        expected = []
        for label, source in enumerate(labels):
            for row in range(rows):
                own = 100 + label * rows + row
                expected.append(own if source is None else source * rows + row)
        expected += [len(theirs)] * extra
        assert result[f'roi_head.{name}.bias'].tolist() == expected
    assert all(torch.equal(needed[n], before[n]) for n in needed)


def test_every_stage_of_a_cascade():
    held = heads(3, box='roi_head.bbox_head.2', agnostic=True)
    needed = heads(2, 100, box='roi_head.bbox_head.2', agnostic=True)

    result = remap_det_heads(held, needed, ['a', 'b', 'c'], ['b', 'a'])

    box = 'roi_head.bbox_head.2'
    assert result[f'{box}.fc_cls.bias'].tolist() == [1, 0, 3]
    # The same boxes and masks for all classes.
    assert result[f'{box}.fc_reg.bias'].tolist() == [0, 1, 2, 3]
    assert result['roi_head.mask_head.conv_logits.bias'].tolist() == [0]


@pytest.mark.parametrize('agnostic', [False, True])
@pytest.mark.parametrize(('theirs', 'ours'), [('ab', 'b'), ('a', 'ab')])
def test_one_class_on_either_side(theirs, ours, agnostic):
    held = heads(len(theirs), agnostic=agnostic)
    needed = heads(len(ours), start=100, agnostic=agnostic)

    result = remap_det_heads(held, needed, theirs, ours)

    boxes = result['roi_head.bbox_head.fc_reg.bias'].tolist()
    if agnostic:
        assert boxes == [0, 1, 2, 3]
    elif ours == 'b':
        assert boxes == [4, 5, 6, 7]
    else:
        assert boxes == [0, 1, 2, 3, 104, 105, 106, 107]


def test_one_class_for_another_is_not_taken_over():
    result = remap_det_heads(heads(1), heads(1, 100), ['cell'], ['nucleus'])

    boxes = result['roi_head.bbox_head.fc_reg.bias']
    assert boxes.tolist() == [100, 101, 102, 103]


@pytest.mark.parametrize('counts', [(3, 2), (1, 2), (3, 1)])
def test_layers_can_start_anew(counts):
    held, needed = heads(counts[0]), heads(counts[1], start=100)

    result = keep_class_layers(held, needed)

    names = [n for n in held if n.startswith('roi_head.')]
    assert all(result[name] is needed[name] for name in names)
    assert result['backbone.conv1.weight'] is held['backbone.conv1.weight']
    shared = 'roi_head.bbox_head.fc_reg.weight'
    held, needed = heads(3, agnostic=True), heads(2, 100, agnostic=True)
    result = keep_class_layers(held, needed)
    assert result[shared] is held[shared]


def test_other_names_are_left_for_the_comparison():
    held = heads(3) | {'roi_head.bbox_head.fc_cls.scale': torch.ones(4)}
    needed = {'backbone.conv1.weight': torch.zeros(9)}

    result = remap_det_heads(held, needed, 'abc', 'ab')

    assert all(result[name] is held[name] for name in held)


@pytest.mark.parametrize(
    ('held', 'needed', 'classes', 'message'),
    [
        (heads(4), heads(2), ('abc', 'ab'), r'5 rows in the file, where 3 c'),
        (heads(3), heads(4), ('abc', 'ab'), r'5 rows in the model, where 2 c'),
        (
            heads(3, agnostic=True),
            heads(2),
            ('abc', 'ab'),
            r'fc_reg.weight has 4 rows in the file, where 3 classes need 12: '
            'it is the same for all classes, or',
        ),
        (
            heads(3),
            heads(2, agnostic=True),
            ('abc', 'ab'),
            r'fc_reg.weight has 4 rows in the model, where 2 classes need 8',
        ),
    ],
)
def test_rows_that_are_not_of_the_classes(held, needed, classes, message):
    with pytest.raises(MismatchError, match=message):
        remap_det_heads(held, needed, *classes)


def test_other_inputs_are_refused():
    name = 'roi_head.bbox_head.fc_cls.weight'
    needed = heads(2)
    needed[name] = torch.zeros(3, 7)

    with pytest.raises(MismatchError, match=r'\(5,\) in the file and \(7,\)'):
        remap_det_heads(heads(3), needed, 'abc', 'ab')
