"""Pictures in rows and columns."""

import numpy as np
import pytest

from mmcp.visualization import image_grid


def plain(level, height=20, width=30):
    return np.full((height, width, 3), level, np.uint8)


def test_every_picture_is_there_once_and_in_order():
    rows = [[plain(10), plain(20)], [plain(30), plain(40)]]
    grid = image_grid(rows, ['left', 'right'])
    assert grid.dtype == np.uint8
    corners = {}
    for level in (10, 20, 30, 40):
        ys, xs = np.nonzero((grid == level).all(axis=2))
        corners[level] = (ys.min(), xs.min())
        picture = grid[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
        assert np.array_equal(picture, plain(level))
    (top, left), (_, right), (bottom, _) = [corners[v] for v in (10, 20, 30)]
    assert corners[20] == (top, right)
    assert corners[30] == (bottom, left)
    assert corners[40] == (bottom, right)
    assert left < right
    assert top < bottom


def test_text_stands_above_columns_and_below_pictures():
    rows = [[plain(255), plain(255)]]
    bare = image_grid(rows, ['', ''])
    assert (bare == 255).all()
    titled = image_grid(rows, ['', 'title'])
    _, columns = np.nonzero((titled != 255).any(axis=2))
    assert columns.min() >= 30
    below = image_grid(rows, ['', ''], [['text', '']])
    ys, xs = np.nonzero((below != 255).any(axis=2))
    assert below.shape[0] > bare.shape[0]
    assert ys.min() > bare.shape[0] - 10
    assert xs.max() < 40


@pytest.mark.parametrize(
    ('rows', 'titles', 'captions', 'message'),
    [
        ([], [], None, 'no picture'),
        ([[plain(0), plain(0, 5)]], ['a', 'b'], None, 'pictures of one size'),
        ([[plain(0)]], ['a', 'b'], None, '2 titles do not fit'),
        ([[plain(0)]], ['a'], [['x', 'y']], 'a caption for each'),
    ],
)
def test_what_does_not_fit_is_refused(rows, titles, captions, message):
    with pytest.raises(ValueError, match=message):
        image_grid(rows, titles, captions)
