"""Checks of COCO run-length encodings.

pycocotools trusts what it is given: runs that do not add up to the image
leave pixels unwritten or are written past the end of the mask.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ['is_sound_rle']

# Compressed runs are written in groups of five bits, one ASCII character
# each; the sixth bit says that another group follows.
_FIRST_CHARACTER = 48
_BITS = 5
_MORE = 0x20
_SIGN = 0x10
_MOST_GROUPS = 7


def is_sound_rle(rle: Any, height: int, width: int) -> bool:
    """Says whether a run-length encoding can be decoded safely.

    Args:
        rle: ``{'size': [H, W], 'counts': ...}`` with counts as a list
            (uncompressed), bytes or str (compressed), or anything else.
        height: Height of the image, H.
        width: Width of the image, W.

    Returns:
        Whether its size is that of the image and its runs add up to it.
    """
    try:
        if [int(side) for side in rle['size']] != [height, width]:
            return False
        runs = _runs_of(rle['counts'])
    except (TypeError, ValueError, KeyError, IndexError):
        return False
    return bool((runs >= 0).all()) and int(runs.sum()) == height * width


def _runs_of(counts: Any) -> NDArray[np.int64]:
    if isinstance(counts, list):
        runs = np.array(counts)
        if runs.ndim != 1 or runs.dtype.kind not in 'iu':
            raise ValueError('runs must be whole numbers')
        return runs.astype(np.int64)
    if isinstance(counts, str):
        counts = counts.encode('ascii')
    return _decompress(np.frombuffer(counts, np.uint8))


def _decompress(characters: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The runs of a compressed encoding."""
    groups = characters.astype(np.int64) - _FIRST_CHARACTER
    if groups.min() < 0 or groups.max() >= 2 * _MORE:
        raise ValueError('characters must lie between "0" and "o"')
    if groups[-1] & _MORE:
        raise ValueError('the last run is cut off')
    ends = np.flatnonzero(groups & _MORE == 0)
    lengths = np.diff(ends, prepend=-1)
    if lengths.max() > _MOST_GROUPS:
        raise ValueError('a run is too long')
    starts = ends - lengths + 1
    places = np.arange(len(groups)) - np.repeat(starts, lengths)
    parts = (groups & (_MORE - 1)) << (_BITS * places)
    runs = np.add.reduceat(parts, starts)
    negative = groups[ends] & _SIGN != 0
    runs -= np.where(negative, 1 << (_BITS * lengths), 0)
    # From the fourth on, each is the difference to the one two before.
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs
