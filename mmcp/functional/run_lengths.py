"""COCO run-length encodings: checking them and decoding them in their box.

Runs count pixels from column to column, of zeros and of ones by turns.
pycocotools trusts what it is given: runs that do not add up to the image
leave pixels unwritten or are written past the end of the mask.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ['decode_runs', 'is_sound_rle', 'runs_of', 'sound_runs']

# Compressed runs are written in groups of five bits, one ASCII character
# each; the sixth bit says that another group follows.
_FIRST_CHARACTER = 48
_BITS = 5
_MORE = 0x20
_SIGN = 0x10
_MOST_GROUPS = 7
# So many mask pixels are toggled by one operation.
_WORD = 8


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
    return sound_runs(rle, height, width) is not None


def sound_runs(rle: Any, height: int, width: int) -> NDArray[np.int64] | None:
    """Reads the runs of an encoding that may be broken.

    Args:
        rle: As in :func:`is_sound_rle`.
        height: Height of the image, H.
        width: Width of the image, W.

    Returns:
        The runs, shape (R,); None if they cannot be decoded safely.
    """
    try:
        if [int(side) for side in rle['size']] != [height, width]:
            return None
        runs = runs_of(rle['counts'], check=True)
    except (TypeError, ValueError, KeyError, IndexError, OverflowError):
        return None
    area = height * width
    # One by one too: a sum of large numbers may wrap around to the area.
    sound = ((runs >= 0) & (runs <= area)).all() and runs.sum() == area
    return runs if sound else None


def runs_of(counts: Any, check: bool = False) -> NDArray[np.int64]:
    """Reads the runs of an encoding.

    Args:
        counts: A list (uncompressed), bytes or str (compressed).
        check: Whether to look for characters that cannot be right; what is
            wrong beyond that is found by adding up the runs. Defaults to
            False.

    Returns:
        The runs, shape (R,), int64.

    Raises:
        ValueError: If ``check`` finds something, or a list holds other things
            than whole numbers.
    """
    if isinstance(counts, list):
        runs = np.array(counts)
        if runs.ndim != 1 or runs.dtype.kind not in 'iu':
            raise ValueError('runs must be whole numbers')
        return runs.astype(np.int64)
    if isinstance(counts, str):
        counts = counts.encode('ascii')
    characters = np.frombuffer(counts, np.uint8)
    groups = np.subtract(characters, _FIRST_CHARACTER, dtype=np.int64)
    if check:
        _check_groups(groups)
    return _decompress(groups)


def _check_groups(groups: NDArray[np.int64]) -> None:
    if groups.min() < 0 or groups.max() >= 2 * _MORE:
        raise ValueError('characters must lie between "0" and "o"')
    if groups[-1] & _MORE:
        raise ValueError('the last run is cut off')
    ends = np.flatnonzero(groups < _MORE)
    if np.diff(ends, prepend=-1).max() > _MOST_GROUPS:
        raise ValueError('a run is too long')


def _decompress(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """The runs of a compressed encoding's groups."""
    ends = np.flatnonzero(groups < _MORE)
    starts = np.zeros_like(ends)
    starts[1:] = ends[:-1] + 1
    lengths = ends - starts
    lengths += 1
    places = np.arange(len(groups)) - np.repeat(starts, lengths)
    parts = (groups & (_MORE - 1)) << (_BITS * places)
    runs: NDArray[np.int64] = np.add.reduceat(parts, starts)
    # The sign is the highest bit of the last group.
    runs -= (groups[ends] & _SIGN) << (_BITS * lengths - _BITS + 1)
    # From the fourth on, each is the difference to the one two before.
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def decode_runs(
    runs: NDArray[np.int64], height: int
) -> tuple[int, int, NDArray[np.uint8]]:
    """Decodes runs inside the box of their ones.

    Takes time for the runs and the box, not for the image.

    Args:
        runs: Sound runs, of zeros first, shape (R,).
        height: Height of the image, H.

    Returns:
        Column and row of the box's corner, and the tight mask, shape (h, w),
        uint8, of 0 and 1; shape (0, 0) if there are no ones.
    """
    columns, tops, bottoms = _column_spans(runs, height)
    if not len(columns):
        return 0, 0, np.zeros((0, 0), np.uint8)
    left, top = int(columns[0]), int(tops.min())
    width, rows = int(columns[-1]) + 1 - left, int(bottoms.max()) - top
    # Every span toggles a pixel where it begins and one below its end; a
    # pixel belongs to the object if it was toggled or the one above it does.
    words = -(-width // _WORD)
    toggles = np.zeros((rows + 1) * words * _WORD, np.uint8)
    corner = top * words * _WORD + left
    for edge in (tops, bottoms):
        toggles[edge * (words * _WORD) + columns - corner] ^= 1
    lanes = toggles.view(np.uint64).reshape(rows + 1, words)[:rows]
    np.bitwise_xor.accumulate(lanes, axis=0, out=lanes)
    mask = lanes.view(np.uint8)
    return left, top, np.ascontiguousarray(mask[:, :width])


def _column_spans(
    runs: NDArray[np.int64], height: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Column, first row and row after the last of each span of ones."""
    bounds = np.cumsum(runs)
    stops = bounds[1::2]
    starts = bounds[0::2][: len(stops)]
    if not runs[1::2].all():
        starts, stops = starts[starts < stops], stops[starts < stops]
    columns, tops = np.divmod(starts, height)
    ends, lasts = np.divmod(stops - 1, height)
    if np.array_equal(columns, ends):
        return columns, tops, lasts + 1
    # Runs that go on in the next column become one span a column.
    pieces = ends - columns + 1
    run = np.repeat(np.arange(len(pieces)), pieces)
    place = np.arange(len(run)) - (np.cumsum(pieces) - pieces)[run]
    tops = np.where(place == 0, tops[run], 0)
    lasts = np.where(place == pieces[run] - 1, lasts[run], height - 1)
    return columns[run] + place, tops, lasts + 1
