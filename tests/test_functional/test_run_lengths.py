import numpy as np
import pycocotools.mask as coco_mask
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcp.functional.run_lengths import is_sound_rle

SIZE = [10, 10]


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**31))
def test_what_pycocotools_writes_is_sound(height, width, seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((height, width)) < rng.random()
    if rng.random() < 0.5:
        mask = np.repeat(mask, 40, 0)
    mask = np.asfortranarray(mask, np.uint8)
    rle = coco_mask.encode(mask)
    assert is_sound_rle(rle, *mask.shape)
    text = dict(rle, counts=rle['counts'].decode())
    assert is_sound_rle(text, *mask.shape)
    assert not is_sound_rle(rle, mask.shape[0], mask.shape[1] + 1)
    short = dict(rle, counts=rle['counts'][:-1])
    assert not is_sound_rle(short, *mask.shape)


def test_large_runs():
    mask = np.zeros((3000, 4000), np.uint8, order='F')
    mask[100:2900, 3:] = 1
    assert is_sound_rle(coco_mask.encode(mask), 3000, 4000)


@pytest.mark.parametrize('counts', [[100], [0, 100], [40, 20, 40], [50, 50]])
def test_runs_that_add_up_are_sound(counts):
    rle = {'size': SIZE, 'counts': counts}
    assert is_sound_rle(rle, 10, 10)
    assert is_sound_rle(coco_mask.frPyObjects(rle, 10, 10), 10, 10)


@pytest.mark.parametrize(
    'counts',
    [
        [],
        [1, 2],
        [99],
        [101],
        [10**9],
        [-5, 105],
        [3.5, 96.5],
        ['a'],
        [[100]],
        [None],
        [10**30],
        None,
        7,
        '',
        b'',
        'abc',
        b'00000',
        '\x00\xff',
        'Zz~~~~',
        'é',
        'o' * 14,
        'o' * 14 + '0',
        # Modulo 2 ** 64 these add up.
        [2**62, 2**62, 2**62, 2**62 + 100],
        [2**63 - 1, 1, 2**63 - 1, 101],
    ],
)
def test_other_runs_are_broken(counts):
    assert not is_sound_rle({'size': SIZE, 'counts': counts}, 10, 10)


@pytest.mark.parametrize(
    'rle',
    [
        None,
        7,
        [],
        {},
        {'counts': [100]},
        {'size': SIZE},
        {'size': 10, 'counts': [100]},
        {'size': [10], 'counts': [100]},
        {'size': [float('inf'), 10], 'counts': [100]},
        {'size': [20, 5], 'counts': [100]},
    ],
)
def test_other_things_are_no_encoding(rle):
    assert not is_sound_rle(rle, 10, 10)
