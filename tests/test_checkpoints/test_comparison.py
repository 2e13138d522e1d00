"""Tests of comparing a model with a file."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from mmcp.checkpoints.comparison import compare

NAMES = st.sampled_from(['a.w', 'a.b', 'c.w', 'c.b', 'd.w'])
TENSORS = st.dictionaries(
    NAMES, st.integers(1, 3).map(lambda n: torch.zeros(n))
)


@given(needed=TENSORS, held=TENSORS)
def test_every_tensor_is_counted_once(needed, held):
    result = compare('backbone', needed, held)
    assert set(result.missing) == set(needed) - set(held)
    assert set(result.unexpected) == set(held) - set(needed)
    both = set(needed) & set(held)
    wrong = {n for n in both if needed[n].shape != held[n].shape}
    assert set(result.misshapen) == wrong
    assert result.matched == len(both - wrong)
    assert result.fits == (result.problems() == [])
    assert result.fits == (needed.keys() == held.keys() and not wrong)


def test_a_lacking_counter_is_not_needed():
    weights = {'bn.weight': torch.zeros(2)}
    counter = {'bn.num_batches_tracked': torch.tensor(0)}
    result = compare('backbone', weights | counter, weights)
    assert result.fits
    assert (result.matched, len(result.needed)) == (1, 1)
    assert compare('backbone', weights, weights | counter).fits
    assert compare('backbone', weights | counter, weights | counter).fits


def test_only_stages_that_lack_altogether_are_unused():
    one = torch.zeros(1)
    needed = {'layer1.0.w': one, 'norm.w': one}
    held = needed | {'layer2.0.w': one, 'layer1.1.w': one, 'ln1.w': one}
    result = compare('backbone', needed, held)
    assert result.unused == ('layer2.0.w', 'ln1.w')
    assert result.unexpected == ('layer1.1.w',)


def test_first_names_of_each_kind_are_listed():
    one = torch.zeros(1)
    needed = {f'a.{index}': one for index in range(7)}
    (line,) = compare('head', needed, {}).problems()
    assert line == (
        'head: 7 missing in the file: a.0, a.1, a.2, a.3, a.4 and 2 more'
    )
