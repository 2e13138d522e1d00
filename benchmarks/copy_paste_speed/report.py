"""Tables and the bar chart."""

import io
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from copy_paste_speed.pipelines import MMDET, OURS
from copy_paste_speed.targets import targets_of

Result = dict[str, Any]

# By the first word of a name; the plain name is darker than its variants.
_COLOURS = {
    MMDET: ('#666666', '#aaaaaa'),
    OURS: ('#1f5fa8', '#8ab4dd'),
    'AlbumentationsX': ('#009e73', '#009e73'),
}
_OTHERS = ('#d9d9d9', '#d9d9d9')


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Writes a Markdown table; all columns but the first are numbers.

    Args:
        head: Names of the columns.
        rows: Cells.

    Returns:
        The table, ending with a newline.
    """
    lines = [head, ['---'] + ['---:'] * (len(head) - 1), *rows]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def markdown(results: Result, chart: str) -> str:
    """Writes the whole report.

    Args:
        results: What was measured.
        chart: Path of the chart, relative to the report.

    Returns:
        Markdown.
    """
    parts = [
        '# Speed of Copy-Paste\n',
        _preface(results['setting']),
        f'![Bars of the four comparisons below]({chart})\n',
        '## Targets\n',
        _targets(results),
    ]
    sections = {
        'samples': _samples,
        'transform': _transform,
        'targets': _mask_targets,
        'loading': _loading,
        'memory': _memory,
    }
    parts += [
        write(results[name])
        for name, write in sections.items()
        if name in results
    ]
    return '\n'.join(parts)


def target_table(results: Result) -> str:
    """The targets, what was measured and whether they are met.

    Args:
        results: What was measured.

    Returns:
        A Markdown table.
    """
    rows = [target.row() for target in targets_of(results)]
    return table(['target', 'limit', 'measured', ''], rows)


def _targets(results: Result) -> str:
    return target_table(results)


def _preface(setting: Result) -> str:
    versions = ', '.join(f'{k} {v}' for k, v in setting['versions'].items())
    return (
        f'Made by `{setting["command"]}` on {setting["date"]} with '
        f'{setting["images"]} ({setting["number"]} images), large scale '
        f'jitter to {setting["size"]}x{setting["size"]}, one core '
        f'({setting["cpu"]}), {versions}. The machine had '
        f'{setting["cores"]} cores and a load of {setting["load"]:.1f} from '
        'other work.\n\n'
        'All peers of a table took turns, each in a process of its own as in '
        'a worker, one at a time. Times are '
        'milliseconds on the core (CPU time of the process, which runs one '
        'thread), which equal those on the clock when nothing else runs; the '
        'column `clock` has the median on the clock.\n'
    )


def _times(name: str, times: Result, base: float) -> list[str]:
    return [
        name,
        f'{times["median"]:.1f}',
        f'{times["mean"]:.1f}',
        f'{times["p95"]:.1f}',
        f'{times["wall_median"]:.1f}',
        f'{base / times["median"]:.1f}x',
    ]


def _samples(samples: Result) -> str:
    head = ['', 'median', 'mean', 'p95', 'clock', 'speed']
    text = '## Whole sample\n\nFrom reading two JPEGs to the packed sample.\n'
    for key, what in (
        ('made', 'Made:'),
        (
            'arrived',
            'Made, pickled, unpickled as by a `DataLoader`, and the areas of '
            'all masks:',
        ),
    ):
        base = samples[MMDET][key]['median']
        rows = [_times(n, peer[key], base) for n, peer in samples.items()]
        if key == 'arrived':
            rows = rows[:-1]
        text += f'\n{what}\n\n{table(head, rows)}'
    rows = [
        [name, *(f'{peer["megabytes"][k]:.1f}' for k in _SIZES)]
        for name, peer in list(samples.items())[:-1]
    ]
    text += '\nThe packed sample in MB, shared memory counted in full:\n\n'
    return text + table(['', *_SIZES], rows)


_SIZES = ('median', 'mean', 'max')


def _transform(scenarios: Result) -> str:
    text = (
        '## The transform alone\n\nDestination and pasted objects at '
        '1024x1024, from polygons to pixels of every mask of the result. '
        '`bitmaps given`: without rasterising.\n'
    )
    head = ['', 'median', 'mean', 'p95', 'clock', 'speed']
    for name, peers in scenarios.items():
        base = peers[MMDET]['median']
        rows = [_times(n, times, base) for n, times in peers.items()]
        text += f'\n{name} objects:\n\n{table(head, rows)}'
    return text


def _mask_targets(result: Result) -> str:
    rows = [
        [
            *_times(name, result[name], result[MMDET]['median']),
            f'{result[name]["peak_megabytes"]:.0f}',
        ]
        for name in (MMDET, OURS)
    ]
    head = ['', 'median', 'mean', 'p95', 'clock', 'speed', 'peak MB']
    size = 'x'.join(map(str, result['size']))
    return (
        f'## Mask targets\n\n`crop_and_resize` of {result["boxes"]} boxes on '
        f'{result["objects"]} objects at 1024x1024 to {size} on the CPU; the '
        f'targets are equal.\n\n{table(head, rows)}'
    )


def _loading(result: Result) -> str:
    peers = {n: v for n, v in result.items() if isinstance(v, dict)}
    rows = [
        [name, *(f'{rate[k]:.0f}' for k in ('median', 'low', 'high'))]
        for name, rate in peers.items()
    ]
    return (
        f'## Loader\n\nSamples a second on the clock, {result["workers"]} '
        f'worker processes, batches of {result["batch"]}.\n\n'
        f'{table(["", "median", "lowest", "highest"], rows)}'
    )


def _memory(result: Result) -> str:
    rows = [[name, f'{value:.0f}'] for name, value in result.items()]
    return (
        '## Memory of a worker\n\nPeak above the idle level in MB while '
        'batches of 4 are made and sent; caches count.\n\n'
        f'{table(["", "MB"], rows)}'
    )


def chart(results: Result) -> str:
    """Draws one bar a peer in a panel for every comparison.

    Args:
        results: What was measured.

    Returns:
        An SVG picture; the same results give the same picture.
    """
    panels = _panels(results)
    with matplotlib.rc_context(
        {'svg.hashsalt': 'mmcp', 'svg.fonttype': 'path', 'font.size': 9}
    ):
        bars = [len(values) for _, values in panels]
        figure = Figure(figsize=(8, 0.9 * len(panels) + 0.24 * sum(bars)))
        axes = figure.subplots(
            len(panels), 1, squeeze=False, height_ratios=bars
        )[:, 0]
        for axis, (title, values) in zip(axes, panels, strict=True):
            _draw(axis, title, values)
        figure.tight_layout()
        buffer = io.StringIO()
        figure.savefig(buffer, format='svg', metadata={'Date': None})
    return buffer.getvalue()


def _panels(results: Result) -> list[tuple[str, dict[str, float]]]:
    panels = []
    if 'samples' in results:
        samples = results['samples']
        panels = [
            (
                'Whole sample, decoded to packed, ms',
                {n: peer['made']['median'] for n, peer in samples.items()},
            ),
            (
                'Packed sample, MB',
                {n: samples[n]['megabytes']['median'] for n in (MMDET, OURS)},
            ),
        ]
    if 'transform' in results:
        peers = results['transform']['20 / 10']
        values = {n: times['median'] for n, times in peers.items()}
        title = 'Copy-Paste alone, 20 objects and 10 pasted, ms'
        panels.append((title, values))
    if 'targets' in results:
        pair = {n: results['targets'][n]['median'] for n in (MMDET, OURS)}
        panels.append(('Mask targets of one image, ms', pair))
    return panels


def _colour(name: str) -> str:
    first = name.replace(',', ' ').split()[0]
    plain, variant = _COLOURS.get(first, _OTHERS)
    return plain if name == first else variant


def _draw(axis: Axes, title: str, values: dict[str, float]) -> None:
    names = list(values)
    colours = [_colour(name) for name in names]
    bars = axis.barh(names, list(values.values()), color=colours)
    labels = [f'{value:.1f}' for value in values.values()]
    axis.bar_label(bars, labels, padding=3)
    axis.set_title(title, loc='left', fontsize=10)
    axis.invert_yaxis()
    axis.margins(x=0.1)
    axis.spines[['top', 'right']].set_visible(False)
