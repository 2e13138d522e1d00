"""Tables and chart of the data-efficiency study."""

import io
from collections.abc import Iterator, Mapping, Sequence
from statistics import mean, stdev
from typing import TYPE_CHECKING

import matplotlib
from efficiency_cells import ARMS, DATA, JITTERS
from masks_equality import Difference, compare
from matplotlib.axes import Axes
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from data_efficiency import Measurement

METRICS = {
    'box_ap': 'box AP',
    'mask_ap': 'mask AP',
    'box_ap50': 'box AP50',
    'mask_ap50': 'mask AP50',
}
BASELINE, PASTED = ARMS
# Of a comparison: data set, part of it, jitter.
Key = tuple[str, int, str]
Comparisons = dict[Key, dict[str, Difference]]
Group = Sequence['Measurement']
_COLOURS = {'lsj': '#1f5fa8', 'ssj': '#d55e00'}


def group(measurements: Group) -> dict[Key, dict[str, list['Measurement']]]:
    """Sorts the cells into those that are compared.

    Args:
        measurements: All cells.

    Returns:
        By data set, part and jitter, then by arm, in the order of the
        seeds.

    Raises:
        ValueError: If cells that are compared differ in steps or size.
    """
    groups: dict[Key, dict[str, list[Measurement]]] = {}
    for key in _keys(measurements):
        cells = [m for m in measurements if _key(m) == key]
        lengths = sorted({(m.iterations, m.size) for m in cells})
        if len(lengths) > 1:
            raise ValueError(
                f'{" ".join(map(str, key))}: cells can only be compared with '
                f'the same steps and size, but have {lengths}'
            )
        groups[key] = {
            arm: sorted(
                (m for m in cells if m.arm == arm), key=lambda m: m.seed
            )
            for arm in ARMS
        }
    return groups


def differences(measurements: Group) -> Comparisons:
    """What Copy-Paste gains, over the seeds that both arms have.

    Args:
        measurements: All cells.

    Returns:
        By data set, part and jitter, then by metric; without those of which
        no seed has both arms.
    """
    found: Comparisons = {}
    for key, arms in group(measurements).items():
        seeds = {m.seed for m in arms[BASELINE]}
        seeds &= {m.seed for m in arms[PASTED]}
        if seeds:
            found[key] = {
                metric: compare(
                    *(
                        [
                            m.metrics[metric]
                            for m in arms[arm]
                            if m.seed in seeds
                        ]
                        for arm in (PASTED, BASELINE)
                    )
                )
                for metric in METRICS
            }
    return found


def make_table(measurements: Group) -> str:
    """Renders means, deviations and gains as a Markdown table.

    Args:
        measurements: All cells.

    Returns:
        For each data set, part and jitter a row an arm, with mean and
        sample standard deviation, then the gain of Copy-Paste with half of
        its 95 % confidence interval.
    """
    head = ['data', 'images', 'objects', 'jitter', 'recipe']
    head += [*METRICS.values(), 'seeds', 'steps', 'minutes a cell']
    rows = [head, ['---'] * len(head)]
    gains = differences(measurements)
    for key, arms in group(measurements).items():
        for arm, cells in arms.items():
            if cells:
                rows.append([*_what(cells[0]), arm, *_means(cells)])
        if key in gains:
            (cell, *_) = arms[PASTED]
            values = [f'**{_margin(gains[key][m])}**' for m in METRICS]
            rows.append([*_what(cell), 'gain', *values, '', '', ''])
    return markdown_table(rows)


def make_cell_table(measurements: Group) -> str:
    """Renders every cell as a row of a Markdown table.

    Args:
        measurements: All cells.

    Returns:
        The table.
    """
    head = ['data', 'images', 'jitter', 'recipe', 'seed']
    head += [*METRICS.values(), 'minutes']
    rows = [head, ['---'] * len(head)]
    for arms in group(measurements).values():
        for m in (m for cells in arms.values() for m in cells):
            values = [f'{m.metrics[key]:.1f}' for key in METRICS]
            what = [m.data, str(m.images), m.jitter.upper(), m.arm]
            rows.append([*what, str(m.seed), *values, f'{m.minutes:.1f}'])
    return markdown_table(rows)


def chart(measurements: Group) -> str:
    """Draws the chart as a file.

    Args:
        measurements: All cells.

    Returns:
        An SVG picture; the same cells give the same.
    """
    style = {'svg.hashsalt': 'mmcp', 'svg.fonttype': 'path', 'font.size': 9}
    with matplotlib.rc_context(style):
        buffer = io.StringIO()
        draw(measurements).savefig(
            buffer, format='svg', metadata={'Date': None}
        )
    return buffer.getvalue()


def draw(measurements: Group) -> Figure:
    """Draws AP against the number of images, as Figure 5 of the paper does.

    Args:
        measurements: All cells.

    Returns:
        The picture: a column a data set, box AP above mask AP; bars are one
        sample standard deviation.
    """
    names = [name for name in DATA if name in {m.data for m in measurements}]
    figure = Figure(figsize=(1 + 3.4 * len(names), 5.4))
    axes = figure.subplots(2, len(names), squeeze=False, sharex='col')
    for column, name in enumerate(names):
        cells = [m for m in measurements if m.data == name]
        for axis, metric in zip(
            axes[:, column], ('box_ap', 'mask_ap'), strict=True
        ):
            _draw_lines(axis, cells, metric)
        axes[0, column].set_title(name, loc='left', fontsize=10)
    _add_legend(figure, axes.ravel().tolist())
    return figure


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Joins the cells of a table.

    Args:
        rows: Head, line, rows.

    Returns:
        Markdown.
    """
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)


def replace_tables(page: str, tables: Mapping[str, str]) -> str:
    """Replaces what stands between the marker lines of a page.

    Args:
        page: The page.
        tables: From the name of a table to its Markdown.

    Returns:
        The page with the tables.

    Raises:
        ValueError: If it lacks the marker lines of one.
    """
    for name, table in tables.items():
        begin, end = f'<!-- {name}: begin -->', f'<!-- {name}: end -->'
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f'the page needs the lines {begin} and {end}')
        page = f'{before}{begin}\n\n{table}\n\n{end}{after}'
    return page


def _draw_lines(axis: Axes, cells: Group, metric: str) -> None:
    images = {m.percent: m.images for m in cells}
    places = {percent: x for x, percent in enumerate(sorted(images))}
    for number, (jitter, arm) in enumerate(_lines()):
        line = [m for m in cells if (m.jitter, m.arm) == (jitter, arm)]
        by_percent = {
            percent: [m.metrics[metric] for m in line if m.percent == percent]
            for percent in places
        }
        values = {p: v for p, v in by_percent.items() if v}
        if values:
            axis.errorbar(
                [places[p] + 0.06 * (number - 1.5) for p in values],
                [mean(v) for v in values.values()],
                [stdev(v) if len(v) > 1 else 0.0 for v in values.values()],
                label=f'{jitter.upper()}, {arm}',
                color=_COLOURS[jitter],
                linestyle='-' if ARMS[arm] else '--',
                marker='o' if ARMS[arm] else 's',
                markerfacecolor=_COLOURS[jitter] if ARMS[arm] else 'white',
                capsize=3,
            )
    axis.set_xticks(
        [*places.values()],
        [f'{p} %\n{images[p]} images' for p in places],
    )
    axis.set_xlim(-0.5, len(places) - 0.5)
    low, high = axis.get_ylim()
    axis.set_ylim(min(0.0, low), 1.05 * high)
    axis.set_ylabel(METRICS[metric])
    axis.grid(axis='y', color='#dddddd')
    axis.spines[['top', 'right']].set_visible(False)


def _add_legend(figure: Figure, axes: Sequence[Axes]) -> None:
    handles = {
        label: handle
        for axis in axes
        for handle, label in zip(
            *axis.get_legend_handles_labels(), strict=True
        )
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc='lower center',
        ncols=2,
        frameon=False,
    )
    figure.tight_layout(rect=(0, 0.1, 1, 1))


def _lines() -> Iterator[tuple[str, str]]:
    return ((jitter, arm) for jitter in JITTERS for arm in ARMS)


def _key(measurement: 'Measurement') -> Key:
    return measurement.data, measurement.percent, measurement.jitter


def _keys(measurements: Group) -> list[Key]:
    """What was compared, in the order of the study."""
    present = {_key(m) for m in measurements}
    return [
        (name, percent, jitter)
        for name, data in DATA.items()
        for percent in data.percents
        for jitter in JITTERS
        if (name, percent, jitter) in present
    ]


def _what(cell: 'Measurement') -> list[str]:
    images = f'{cell.images} ({cell.percent} %)'
    return [cell.data, images, f'{cell.objects:,}', cell.jitter.upper()]


def _means(cells: Group) -> list[str]:
    values = [
        _mean_and_std([m.metrics[key] for m in cells]) for key in METRICS
    ]
    seeds = ' '.join(str(m.seed) for m in cells)
    minutes = f'{mean(m.minutes for m in cells):.1f}'
    return [*values, seeds, str(cells[0].iterations), minutes]


def _mean_and_std(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f'{values[0]:.1f}'
    return f'{mean(values):.1f} ± {stdev(values):.1f}'


def _margin(difference: Difference) -> str:
    if difference.margin is None:
        return f'{difference.mean:+.1f}'
    return f'{difference.mean:+.1f} ± {difference.margin:.1f}'
