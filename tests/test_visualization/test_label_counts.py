import cv2
import numpy as np
from matplotlib.figure import Figure

from mmcp.visualization import label_counts
from mmcp.visualization.label_counts import draw_label_counts


def drawn(monkeypatch, names, histogram):
    """The figure that was drawn, and the picture."""
    figures = []

    class Kept(Figure):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            figures.append(self)

    monkeypatch.setattr(label_counts, 'Figure', Kept)
    content = draw_label_counts(names, histogram)
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return figures[0], image


def test_scores_and_classes(monkeypatch):
    histogram = np.array([[0, 1, 0, 2], [5, 0, 0, 4]])
    figure, image = drawn(monkeypatch, ['cat', 'dog'], histogram)
    scores, classes = figure.axes
    (stairs,) = scores.patches

    assert image.shape == (550, 1100, 3)
    assert stairs.get_data().values.tolist() == [5, 1, 0, 6]
    assert stairs.get_data().edges.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert [bar.get_width() for bar in classes.patches] == [9, 3]
    labels = [text.get_text() for text in classes.get_yticklabels()]
    assert labels == ['dog  9', 'cat  3']
    assert classes.get_title(loc='left') == 'Objects by class'


def test_the_most_frequent_of_many(monkeypatch):
    histogram = np.arange(40)[:, None]
    names = [f'class {n}' for n in range(40)]
    figure, _ = drawn(monkeypatch, names, histogram)
    classes = figure.axes[1]

    widths = [bar.get_width() for bar in classes.patches]
    assert widths == list(range(39, 9, -1))
    title = classes.get_title(loc='left')
    assert title == 'Objects by class, the 30 most frequent of 40'


def test_no_objects():
    assert draw_label_counts(['cat'], np.zeros((1, 5), np.int64))
