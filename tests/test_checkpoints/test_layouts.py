"""Tests of telling layouts apart by names."""

import pytest
from checkpoint_layouts import RESNET_ROWS, VIT_ROWS, random_resnet, vit
from hypothesis import given
from hypothesis import strategies as st

from mmcp.checkpoints import LayoutError, detect_layout
from mmcp.checkpoints.layouts import LAYOUTS, plain_name
from mmcp.checkpoints.weights import state_dict_of

WORDS = st.sampled_from(['module', '_orig_mod', 'a', 'weight', 'encoder_q'])


@given(parts=st.lists(WORDS, min_size=1))
def test_wrappers_are_taken_out_wherever_they_are(parts):
    name = plain_name('.'.join(parts))
    kept = [part for part in parts if part not in ('module', '_orig_mod')]
    assert name == '.'.join(kept)
    assert plain_name(name) == name


def test_words_that_only_contain_a_wrapper_stay():
    assert plain_name('modules.psp_modules.1') == 'modules.psp_modules.1'


def names_of(build, weights):
    return {plain_name(n) for n in state_dict_of(build(weights))}


@pytest.mark.parametrize('order', [list, reversed, sorted])
def test_order_of_names_does_not_matter(order):
    for build, name, *_ in RESNET_ROWS.values():
        names = list(order(list(names_of(build, random_resnet()))))
        assert detect_layout(names, 'x').name == name
    for build, name, *_ in VIT_ROWS.values():
        names = list(order(list(names_of(build, vit()))))
        assert detect_layout(names, 'x').name == name


def test_every_layout_is_in_a_row():
    rows = [*RESNET_ROWS.values(), *VIT_ROWS.values()]
    assert {row[1] for row in rows} == {layout.name for layout in LAYOUTS}


def test_a_prefix_alone_is_no_backbone():
    """Another project's transformer may be called encoder, too."""
    with pytest.raises(LayoutError, match='No backbone can be seen'):
        detect_layout(['encoder.layer.0.weight', 'head.weight'], 'x')


def test_a_block_is_not_taken_for_a_backbone():
    names = ['a.layer1.0.conv1.weight', 'a.conv1.weight']
    with pytest.raises(LayoutError, match=r"give prefix='a\.'\.$"):
        detect_layout(names, 'x')


def test_advice_shows_a_few_names():
    names = [f'part{index:02d}.weight' for index in range(20)]
    with pytest.raises(LayoutError, match=r'part07, \.\.\.\. No') as caught:
        detect_layout(names, 'x')
    assert 'part08' not in str(caught.value)
