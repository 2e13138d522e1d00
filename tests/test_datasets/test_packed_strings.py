import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcp.datasets.packed_strings import PackedStrings, PackedStringsBuilder


def pack(strings):
    builder = PackedStringsBuilder()
    for number, string in enumerate(strings):
        assert len(builder) == number
        builder.append(string)
    return builder.build()


@given(st.lists(st.binary(max_size=9)))
def test_strings_come_back(strings):
    packed = pack(strings)
    for copy in (packed, pickle.loads(pickle.dumps(packed))):
        assert len(copy) == len(strings)
        assert [copy[place] for place in range(len(copy))] == strings
    assert packed.nbytes == sum(map(len, strings)) + 8 * (len(strings) + 1)


@pytest.mark.parametrize('place', [-1, 2])
def test_there_are_no_others(place):
    with pytest.raises(IndexError, match=f'string {place} of 2'):
        pack([b'a', b'b'])[place]


@pytest.mark.parametrize('offsets', [[], [0, 2], [1, 3], [0, 4]])
def test_arrays_must_fit(offsets):
    with pytest.raises(ValueError, match='do not fit 3 bytes'):
        PackedStrings(np.zeros(3, np.uint8), np.array(offsets, np.int64))
