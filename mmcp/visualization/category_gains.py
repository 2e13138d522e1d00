"""A picture of what each category gains, such as the paper's Figure 6."""

import io
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

__all__ = ['CategoryGains', 'draw_category_gains']

_GAIN, _LOSS = '#1f5fa8', '#d55e00'
_MOST_SHOWN = 120
_WIDTH = 0.24  # inches a category
_HEIGHT, _LETTER = 2.8, 0.068  # inches above the labels, and of a letter
_LONGEST_NAME = 32
# Bars of more than this many times the median are cut off.
_TALLEST = 8.0


@dataclass(frozen=True)
class CategoryGains:
    """AP of every category before and after.

    Attributes:
        title: Of what.
        names: Of the K categories.
        before: AP in [0, 1], shape (K,).
        after: Likewise.
    """

    title: str
    names: tuple[str, ...]
    before: NDArray[np.float64]
    after: NDArray[np.float64]

    def gains(self, relative: bool) -> NDArray[np.float64]:
        """What the categories gain.

        Args:
            relative: Whether in per cent of the AP before, as in the paper,
                or else in points of AP, from 0 to 100.

        Returns:
            Shape (K,); infinite if the AP was zero.
        """
        gain = 100 * (self.after - self.before)
        if not relative:
            return gain
        with np.errstate(divide='ignore', invalid='ignore'):
            share = gain / self.before
        return np.where(gain == 0, 0.0, share)


def draw_category_gains(
    panels: tuple[CategoryGains, ...], relative: bool = True
) -> bytes:
    """Draws a bar for each category, those of the lowest AP on the left.

    Args:
        panels: One diagram each, such as boxes and masks; categories whose
            AP is unknown must be left out.
        relative: See :meth:`CategoryGains.gains`. Defaults to True.

    Returns:
        A PNG file. Of more than 120 categories those are shown whose AP
        changes the most.

    Raises:
        ValueError: If there is nothing to draw.
    """
    if not panels or not all(panel.names for panel in panels):
        raise ValueError('no category has an AP before and after')
    widest = min(max(len(panel.names) for panel in panels), _MOST_SHOWN)
    labels = [_labels(panel) for panel in panels]
    longest = max(len(label) for some in labels for label in some)
    height = max(_HEIGHT + _LETTER * longest, 4.6)
    size = max(_WIDTH * widest, 7.0) + 1, height * len(panels)
    figure = Figure(figsize=size, layout='constrained')
    rows = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axes, panel, texts in zip(rows, panels, labels, strict=True):
        _draw_panel(axes, panel, texts, relative)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=100)
    return buffer.getvalue()


def _labels(panel: CategoryGains) -> list[str]:
    """What stands below the bars."""
    return [
        f'{_short(panel.names[k])} ({100 * panel.before[k]:.1f}, '
        f'{100 * panel.after[k]:.1f})'
        for k in _shown(panel)
    ]


def _short(name: str) -> str:
    """Some names of LVIS would take more room than the bars."""
    if len(name) <= _LONGEST_NAME:
        return name
    return name[: _LONGEST_NAME - 1] + '\N{HORIZONTAL ELLIPSIS}'


def _draw_panel(
    axes: Axes, panel: CategoryGains, labels: list[str], relative: bool
) -> None:
    shown = _shown(panel)
    gains = panel.gains(relative)[shown]
    top = _limit(gains)
    heights = np.clip(gains, -top, top)
    places = np.arange(len(shown))
    axes.bar(places, heights, color=np.where(gains < 0, _LOSS, _GAIN))
    cut = places[np.abs(gains) > top]
    for place in cut:
        _write_height(axes, int(place), heights[place], gains[place])
    if len(cut):
        axes.margins(y=0.16)  # Room for the heights.
    axes.set_xticks(places, labels, rotation=90, fontsize=8)
    axes.set_xlim(-0.8, len(shown) - 0.2)
    axes.set_ylabel('relative AP gain (%)' if relative else 'AP gain')
    axes.axhline(0, color='black', linewidth=0.8)
    axes.grid(axis='y', alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[['top', 'right', 'bottom']].set_visible(False)
    axes.set_title(_headline(panel), loc='left', fontweight='bold')


def _shown(panel: CategoryGains) -> NDArray[np.int64]:
    """Rows of the categories that are drawn, lowest AP before first."""
    changes = -np.abs(panel.after - panel.before)
    most = np.argsort(changes, kind='stable')[:_MOST_SHOWN]
    most.sort()
    return most[np.argsort(panel.before[most], kind='stable')]


def _limit(gains: NDArray[np.float64]) -> float:
    """Height that bars are cut off at: one must not flatten the others."""
    heights = np.abs(gains[np.isfinite(gains)])
    if not heights.any():
        return 1.0
    tallest = _TALLEST * float(np.median(heights[heights > 0]))
    return min(float(heights.max()), tallest)


def _write_height(axes: Axes, place: int, height: float, gain: float) -> None:
    text = f'{gain:+.0f}' if np.isfinite(gain) else 'from 0'
    axes.annotate(
        text,
        (place, height),
        xytext=(0, 3 if height > 0 else -3),
        textcoords='offset points',
        ha='center',
        va='bottom' if height > 0 else 'top',
        rotation=90,
        fontsize=7,
    )


def _headline(panel: CategoryGains) -> str:
    gain = panel.after - panel.before
    counts = f'{(gain > 0).sum()} of {len(gain)} categories gain'
    if (gain < 0).any():
        counts += f', {(gain < 0).sum()} lose'
    text = (
        f'{panel.title}: {100 * panel.before.mean():.1f} to '
        f'{100 * panel.after.mean():.1f}; {counts}'
    )
    if len(gain) > _MOST_SHOWN:
        text += f'; the {_MOST_SHOWN} that change the most'
    return text
