"""Table, chart and page."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from copy_paste_speed.report import table
from matplotlib.figure import Figure

from cp2_input_speed.peers import BATCH, DATASET, RELEASED

Result = dict[str, Any]

_COLOURS = {'released': '#666666', 'mmcp': '#1f5fa8', 'floor': '#d9d9d9'}


@dataclass(frozen=True)
class Target:
    """What a peer shall reach.

    Args:
        peer: Which one.
        least: Times the samples a second of the released pipeline.
        ratio: What was measured.
    """

    peer: str
    least: float
    ratio: float

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        return self.ratio >= self.least


def targets_of(results: Result) -> list[Target]:
    """The targets and what was measured.

    Args:
        results: What was measured.

    Returns:
        One for each kind of backgrounds.
    """
    speeds = results['samples']
    return [
        Target(peer, least, speeds[peer]['ratio'])
        for peer, least in ((DATASET, 3.0), (BATCH, 5.0))
    ]


def markdown(results: Result, chart_path: str) -> str:
    """Writes the page.

    Args:
        results: What was measured.
        chart_path: Path of the chart, relative to the page.

    Returns:
        Markdown.
    """
    parts = [
        "# Speed of CP2's input pipeline\n",
        _preface(results['setting']),
        f'![Samples a second of each pipeline]({chart_path})\n',
        '## Targets\n',
        target_table(results),
        '## Samples\n',
        _samples(results['samples']),
        '## What the views look like\n',
        _views(results['views']),
    ]
    return '\n'.join(parts)


def target_table(results: Result) -> str:
    """The targets, what was measured and whether they are met.

    Args:
        results: What was measured.

    Returns:
        A Markdown table.
    """
    rows = [
        [
            target.peer,
            f'at least {target.least:g}x',
            f'{target.ratio:.2f}x',
            'met' if target.met else 'missed',
        ]
        for target in targets_of(results)
    ]
    return table(['target', 'limit', 'measured', ''], rows)


def _preface(setting: Result) -> str:
    versions = ', '.join(f'{k} {v}' for k, v in setting['versions'].items())
    return (
        f'Made by `{setting["command"]}` on {setting["date"]} with '
        f'{setting["number"]} photographs of {setting["images"]} (median '
        f'{setting["width"]}x{setting["height"]}), views of 224x224, one core '
        f'({setting["cpu"]}), {versions}. The machine had '
        f'{setting["cores"]} cores and a load of {setting["load"]:.1f} from '
        'other work.\n\n'
        'The released pipeline reads three JPEGs for each sample and makes '
        'four views with PIL, normalises them and erases the rectangles; it '
        'is written out here with the meaning of torchvision, which has no '
        'build for this environment. Ours gives composed uint8 images, or '
        'with backgrounds from the batch what the device pastes. '
        f'All took turns in chunks of {setting["chunk"]} samples, each in a '
        'process of its own as in a worker, one at a time. Times are '
        'milliseconds a sample on the core (CPU time of the process, which '
        'runs one thread), medians over the chunks, as the machine is shared; '
        'the column `clock` has the median on the clock.\n'
    )


def _samples(samples: Result) -> str:
    rows = [
        [
            name,
            f'{peer["milliseconds"]:.2f}',
            f'{peer["p95"]:.2f}',
            f'{peer["clock"]:.2f}',
            f'{peer["per_second"]:.0f}',
            f'{peer["ratio"]:.1f}x',
        ]
        for name, peer in samples.items()
    ]
    head = ['', 'median', 'p95', 'clock', 'samples/s', 'speed']
    return table(head, rows)


def _views(views: Result) -> str:
    rows = [
        [
            name,
            f'{values["released"]:.2f}',
            f'{values["mmcp"]:.2f}',
            f'{values["difference"]:+.3f} +- {values["error"]:.3f}',
            f'{values["ks"]:.3f}',
        ]
        for name, values in views['measures'].items()
    ]
    head = ['', 'released', 'mmcp', 'difference', 'KS distance']
    return (
        f'Means over {views["number"]} views, each made by both from the same '
        'parameters, drawn by the one and the other in turns; gray levels, '
        'except for the logarithm of the energy of the Laplacian. PIL cuts '
        'off decimals in every step of the colour jitter where ours rounds, '
        f'so ours are a little brighter.\n\n{table(head, rows)}'
    )


def chart(results: Result) -> str:
    """Draws a bar for each pipeline.

    Args:
        results: What was measured.

    Returns:
        An SVG picture; the same results give the same picture.
    """
    samples = results['samples']
    names: Sequence[str] = list(samples)
    values = [samples[name]['per_second'] for name in names]
    with matplotlib.rc_context(
        {'svg.hashsalt': 'mmcp', 'svg.fonttype': 'path', 'font.size': 9}
    ):
        figure = Figure(figsize=(8, 0.4 * len(names) + 0.6))
        axis = figure.subplots()
        colours = [
            _COLOURS[n.replace(',', ' ').split()[0].strip(':')] for n in names
        ]
        bars = axis.barh(names, values, color=colours)
        ratio = [samples[name]['ratio'] for name in names]
        labels = [
            f'{value:.0f}' + (f'  ({r:.1f}x)' if name != RELEASED else '')
            for name, value, r in zip(names, values, ratio, strict=True)
        ]
        axis.bar_label(bars, labels, padding=3)
        axis.set_title('Samples a second on one core', loc='left', fontsize=10)
        axis.invert_yaxis()
        axis.margins(x=0.15)
        axis.spines[['top', 'right']].set_visible(False)
        figure.tight_layout()
        buffer = io.StringIO()
        figure.savefig(buffer, format='svg', metadata={'Date': None})
    return buffer.getvalue()
