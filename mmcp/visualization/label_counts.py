"""A picture of what labels consist of: scores and classes."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

_COLOUR = '#1f5fa8'
_MOST_CLASSES = 30


def draw_label_counts(
    names: Sequence[str], histogram: NDArray[np.int64]
) -> bytes:
    """Draws a histogram of scores beside the number of objects by class.

    Args:
        names: Names of the K classes.
        histogram: Objects of each class in B equal ranges of scores from 0 to
            1, shape (K, B).

    Returns:
        A PNG file. Of more than 30 classes the most frequent are shown.
    """
    figure = Figure(figsize=(11, 5.5), layout='constrained')
    left, right = figure.subplots(1, 2)
    _draw_scores(left, histogram.sum(0))
    _draw_classes(right, names, histogram.sum(1))
    for axes in (left, right):
        axes.spines[['top', 'right']].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=100)
    return buffer.getvalue()


def _draw_scores(axes: Axes, counts: NDArray[np.int64]) -> None:
    edges = np.linspace(0, 1, len(counts) + 1)
    axes.stairs(counts, edges, fill=True, color=_COLOUR)
    axes.set_title('Objects by score', loc='left', fontweight='bold')
    axes.set_xlabel('score', loc='right')
    axes.set_xlim(0, 1)
    axes.grid(axis='y', alpha=0.25)


def _draw_classes(
    axes: Axes, names: Sequence[str], counts: NDArray[np.int64]
) -> None:
    order = np.argsort(-counts, kind='stable')[:_MOST_CLASSES]
    shown = [f'{names[index]}  {counts[index]:,}' for index in order]
    axes.barh(range(len(order)), counts[order], color=_COLOUR)
    axes.set_yticks(range(len(order)), shown, fontsize=8)
    axes.invert_yaxis()
    title = 'Objects by class'
    if len(order) < len(names):
        title += f', the {len(order)} most frequent of {len(names)}'
    axes.set_title(title, loc='left', fontweight='bold')
    # Rare classes are the ones to look at.
    axes.set_xscale('symlog')
    axes.grid(axis='x', alpha=0.25)
