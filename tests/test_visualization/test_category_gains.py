"""Tests of the picture of gains by category."""

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from mmcp.visualization import category_gains
from mmcp.visualization.category_gains import (
    CategoryGains,
    draw_category_gains,
)


def gains(before, after, names=None, title='Box AP'):
    names = names or [f'c{k}' for k in range(len(before))]
    return CategoryGains(
        title, tuple(names), np.array(before, float), np.array(after, float)
    )


def drawn(monkeypatch, *panels, **kwargs):
    """The figure that was drawn, and the picture."""
    figures = []

    class Kept(Figure):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            figures.append(self)

    monkeypatch.setattr(category_gains, 'Figure', Kept)
    content = draw_category_gains(panels, **kwargs)
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return figures[0], image


def labels_of(axes):
    return [text.get_text() for text in axes.get_xticklabels()]


def heights_of(axes):
    return [bar.get_height() for bar in axes.patches]


def test_bars_are_sorted_by_the_ap_before(monkeypatch):
    boxes = gains([0.5, 0.2, 0.4], [0.55, 0.3, 0.3], ['cat', 'dog', 'cow'])
    masks = gains([0.1], [0.2], title='Mask AP')

    figure, image = drawn(monkeypatch, boxes, masks)

    first, second = figure.axes
    assert image.shape == (920, 800, 3)
    assert labels_of(first) == [
        'dog (20.0, 30.0)',
        'cow (40.0, 30.0)',
        'cat (50.0, 55.0)',
    ]
    assert heights_of(first) == pytest.approx([50, -25, 10])
    colours = [bar.get_facecolor() for bar in first.patches]
    assert colours[0] == colours[2] != colours[1]
    assert first.get_title(loc='left') == (
        'Box AP: 36.7 to 38.3; 2 of 3 categories gain, 1 lose'
    )
    assert first.get_ylabel() == 'relative AP gain (%)'
    assert heights_of(second) == pytest.approx([100])
    assert second.get_title(loc='left') == (
        'Mask AP: 10.0 to 20.0; 1 of 1 categories gain'
    )


def test_points_of_ap(monkeypatch):
    figure, _ = drawn(monkeypatch, gains([0.5, 0], [0.6, 0]), relative=False)
    assert heights_of(figure.axes[0]) == pytest.approx([0, 10])
    assert figure.axes[0].get_ylabel() == 'AP gain'


def test_bars_far_above_the_others_are_cut_and_numbered(monkeypatch):
    before, after = [0.0, 0.0, 0.01, 0.2, 0.4, 0.5], [0, 0.3, 0.2]
    after += [0.22, 0.44, 0.45]

    figure, _ = drawn(monkeypatch, gains(before, after))

    (axes,) = figure.axes
    # Eight times the median of 10, 10, 10 and 1900 per cent.
    assert heights_of(axes) == pytest.approx([0, 80, 80, 10, 10, -10])
    assert [text.get_text() for text in axes.texts] == ['from 0', '+1900']
    assert axes.get_ylim()[1] > 85


def test_those_that_change_most_of_many(monkeypatch):
    before = np.linspace(0.9, 0.1, 130)
    after = before + np.arange(130) / 1300
    names = [f'c{k}' for k in range(130)]

    figure, image = drawn(monkeypatch, gains(before, after, names))

    labels = [text.split()[0] for text in labels_of(figure.axes[0])]
    assert labels == names[:9:-1]
    title = figure.axes[0].get_title(loc='left')
    assert title.endswith('; the 120 that change the most')
    assert image.shape[1] < 3200


def test_nothing_to_draw_and_nothing_gained(monkeypatch):
    with pytest.raises(ValueError, match='no category'):
        draw_category_gains(())
    with pytest.raises(ValueError, match='no category'):
        draw_category_gains((gains([], []),))
    figure, _ = drawn(monkeypatch, gains([0.0, 0.3], [0.0, 0.3]))
    assert heights_of(figure.axes[0]) == [0, 0]


@pytest.mark.parametrize('length', [5, 14, 32, 50])
def test_long_names_leave_room_for_the_bars(monkeypatch, length):
    """LVIS has names of 47 letters."""
    names = ['n' * length, 'cat']

    figure, _ = drawn(monkeypatch, gains([0.1, 0.2], [0.2, 0.3], names))

    (axes,) = figure.axes
    label = labels_of(axes)[0]
    shown = names[0] if length <= 32 else 'n' * 31 + '…'
    assert label == f'{shown} (10.0, 20.0)'
    height = axes.get_position().height * figure.get_figheight()
    assert height > 1.5
