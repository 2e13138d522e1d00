"""Curves of a training, from what mmengine logs."""

import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# From the name of a scalar to its points (iteration, value).
Scalars = dict[str, list[tuple[int, float]]]
_COLOURS = ('#1f5fa8', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#777777')


@dataclass(frozen=True)
class Panel:
    """One diagram.

    Attributes:
        title: Written above it.
        lines: From the name of a line to its points (iteration, value); the
            first is drawn stronger than the others.
        bottom: Lower end of the vertical axis, None to fit the values.
        levels: From a name to a value that is marked by a dashed line.
    """

    title: str
    lines: Mapping[str, Sequence[tuple[int, float]]]
    bottom: float | None = 0.0
    levels: Mapping[str, float] = field(default_factory=dict)


def read_scalars(work_dir: str | os.PathLike[str]) -> Scalars:
    """Read the scalars of all runs in a work directory.

    Every run of mmengine logs to `{time}/vis_data/scalars.json`. A resumed
    training consists of several: each replaces what earlier ones logged from
    its first iteration on.

    Args:
        work_dir: The work directory of a training.

    Returns:
        From the name of each scalar to its points (iteration, value) in the
        order of iterations. Empty if nothing was logged.
    """
    records: list[_Record] = []
    for path in sorted(Path(work_dir).glob('*/vis_data/scalars.json')):
        run = _read_records(path, records[-1].step if records else 0)
        first = min((record.step for record in run), default=math.inf)
        records = [record for record in records if record.step < first] + run
    scalars: Scalars = {}
    for step, values in records:
        for name, value in values.items():
            scalars.setdefault(name, []).append((step, value))
    return scalars


class _Record(NamedTuple):
    """What was logged at an iteration."""

    step: int
    values: dict[str, float]


def _read_records(path: Path, last: int) -> list[_Record]:
    """The lines of a log; one cut off by a crash is left out.

    mmengine writes the epoch as the step of a validation, by default, which
    is 0 for ever in training by iterations. A validation belongs to the
    iteration logged before it (`last` at the start of the file).
    """
    records = []
    for line in path.read_text().splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if 'step' not in record:
            continue
        step = int(record.pop('step'))
        last = step if 'iter' in record else max(step, last)
        numbers = {
            name: float(value)
            for name, value in record.items()
            if isinstance(value, int | float) and math.isfinite(value)
        }
        records.append(_Record(last, numbers))
    return records


def plot_curves(panels: Sequence[Panel], width: float = 9.0) -> str:
    """Draw diagrams side by side.

    Args:
        panels: The diagrams, from left to right.
        width: Of the picture in inches. Defaults to 9.

    Returns:
        An SVG document; the same text for the same panels.

    Raises:
        ValueError: If there is no panel.
    """
    buffer = io.StringIO()
    with _house_style():
        figure = _figure(panels, len(panels), width, 3.6)
        figure.savefig(buffer, format='svg', metadata={'Date': None})
    return buffer.getvalue()


def curves_png(
    panels: Sequence[Panel], columns: int = 3, width: float = 13.0
) -> bytes:
    """Draw diagrams in rows, for a file that is looked at as a training runs.

    Args:
        panels: The diagrams, row by row.
        columns: Diagrams in a row. Defaults to 3.
        width: Of the picture in inches. Defaults to 13.

    Returns:
        A PNG file.

    Raises:
        ValueError: If there is no panel.
    """
    buffer = io.BytesIO()
    with _house_style():
        figure = _figure(panels, min(columns, len(panels)), width, 3.2)
        figure.savefig(buffer, format='png', dpi=100)
    return buffer.getvalue()


def _house_style() -> AbstractContextManager[None]:
    return matplotlib.rc_context(
        {
            'svg.hashsalt': 'mmcp',
            'font.size': 9,
            'axes.spines.top': False,
            'axes.spines.right': False,
        }
    )


def _figure(
    panels: Sequence[Panel], columns: int, width: float, height: float
) -> Figure:
    """A figure of all panels; `height` is that of a row, in inches."""
    if not panels:
        raise ValueError('there is no panel to draw')
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(width, rows * height), layout='constrained')
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel in zip(places, panels, strict=False):
        _draw_panel(axes, panel)
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    return figure


def _draw_panel(axes: Axes, panel: Panel) -> None:
    axes.set_title(panel.title, loc='left', fontweight='bold')
    axes.set_xlabel('iteration', loc='right')
    axes.grid(alpha=0.25)
    for index, (name, points) in enumerate(panel.lines.items()):
        steps, values = zip(*points, strict=True) if points else ((), ())
        axes.plot(
            steps,
            values,
            label=name,
            color=_COLOURS[index % len(_COLOURS)],
            linewidth=1.8 if index == 0 else 1.0,
            marker='o' if len(points) < 12 else None,
            markersize=3.5,
        )
    for name, value in panel.levels.items():
        axes.axhline(
            value, label=name, color='#777777', linewidth=1, linestyle='--'
        )
    if panel.bottom is not None:
        axes.set_ylim(bottom=panel.bottom)
    if panel.lines or panel.levels:
        axes.legend(  # below, where it covers no line
            loc='upper left',
            bbox_to_anchor=(-0.02, -0.16),
            ncols=3,
            frameon=False,
            fontsize=8,
        )
