"""Tests of finding classes of one list in another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmdet.datasets import CocoDataset, VOCDataset
from mmengine.registry import DefaultScope, init_default_scope

from mmcp.checkpoints.class_names import (
    SYNONYMS,
    match_classes,
    noted_classes,
    resolve_classes,
)

COCO = CocoDataset.METAINFO['classes']
VOC = VOCDataset.METAINFO['classes']


def test_every_class_of_voc_is_one_of_coco():
    found = [COCO[label] for label in match_classes(COCO, VOC)]

    assert found == [SYNONYMS.get(name, name) for name in VOC]
    assert len(set(found)) == 20
    # Each synonym is of the one list on either side.
    assert SYNONYMS.keys() <= set(VOC)
    assert set(SYNONYMS.values()) <= set(COCO)


def test_the_other_way_round():
    found = match_classes(VOC, COCO)

    assert sum(label is not None for label in found) == 20
    assert VOC[found[COCO.index('couch')]] == 'sofa'


@given(st.permutations(VOC), st.sets(st.sampled_from(VOC)))
def test_the_order_is_of_no_matter(shuffled, removed):
    held = [name for name in shuffled if name not in removed]
    for name, label in zip(VOC, match_classes(held, VOC), strict=True):
        assert label == (None if name in removed else held.index(name))


def test_aliases_come_first():
    held, needed = ['car', 'couch', 'seat'], ['sofa', 'car']

    assert match_classes(held, needed) == (1, 0)
    assert match_classes(held, needed, {'sofa': 'seat'}) == (2, 0)
    # An equal name comes before a synonym.
    assert match_classes(['couch', 'sofa'], ['sofa']) == (1,)
    for aliases, lacking in (
        ({'sofa': 'chair'}, "'chair' is none of the classes car, couch"),
        ({'bed': 'car'}, "'bed' is none of the classes sofa, car"),
    ):
        with pytest.raises(ValueError, match=lacking):
            match_classes(held, needed, aliases)


def test_types_of_data_sets_stand_for_their_classes():
    init_default_scope('mmdet')
    assert resolve_classes('VOCDataset') == VOC
    with DefaultScope.overwrite_default_scope('mmseg'):
        assert resolve_classes('mmdet.VOCDataset') == VOC
    assert resolve_classes(['a', 'b']) == ('a', 'b')
    for wrong in ('VOCDatset', 'ConcatDataset'):
        with pytest.raises(ValueError, match=f"but is '{wrong}'"):
            resolve_classes(wrong)


@pytest.mark.parametrize(
    ('checkpoint', 'expected'),
    [
        (dict(meta=dict(dataset_meta=dict(classes=['a', 'b']))), ('a', 'b')),
        (dict(meta=dict(CLASSES=('a',))), ('a',)),
        (dict(meta=dict(CLASSES='abc')), None),
        (dict(meta=dict(dataset_meta=None)), None),
        (dict(meta=None), None),
        ({}, None),
    ],
)
def test_what_a_file_notes(checkpoint, expected):
    assert noted_classes(checkpoint) == expected
