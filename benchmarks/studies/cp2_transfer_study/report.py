"""Tables, charts and the page."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cp2_transfer_study.cells import FineTuning, Pretraining
from cp2_transfer_study.recipes import EMBEDDING
from cp2_transfer_study.settings import ARMS, PRETRAININGS, TARGETS, Settings
from mmcp.visualization import Panel, curves_png, read_scalars

NAME = 'cp2_transfer'
METRIC = 'mIoU'
BEGIN = '<!-- figures: begin, made by cp2_transfer.py -->'
END = '<!-- figures: end -->'

_COLOURS = {
    'random': '#777777',
    'imagenet': '#e69f00',
    'moco': '#1f5fa8',
    'cp2': '#d55e00',
    'cp2-backbone': '#e8a06a',
}
_MONITORS = {
    'loss_instance': 'instance loss',
    'acc_instance': 'instance accuracy (%)',
    'loss_dense': 'dense loss, times 0.2',
    'acc_dense': 'dense accuracy (%)',
    'cos_fg_fg': 'cosine of foreground with foreground',
    'cos_fg_bg': 'cosine of foreground with background',
    'std_pooled': 'standard deviation between images',
    'std_pixels': 'standard deviation between pixels',
    'knn/top1': 'nearest neighbours, top-1 (%)',
}
_SOURCES = {'cp2': 'CP2', 'moco': 'MoCo v2'}


@dataclass(frozen=True)
class Results:
    """What is finished of a study.

    Attributes:
        pretrainings: By ``'cp2'`` and ``'moco'``.
        finetunings: In no order.
        curves: From the name of a pretraining to those of its values.
    """

    pretrainings: Mapping[str, Pretraining]
    finetunings: Sequence[FineTuning]
    curves: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]]

    def values(self, target: str, arm: str) -> dict[int, float]:
        """Percent mIoU of an arm by seed, in the order of the seeds.

        Args:
            target: Key of ``TARGETS``.
            arm: Key of ``ARMS``.

        Returns:
            The values; empty if there is none.
        """
        found = [
            (cell.seed, cell.metrics[METRIC])
            for cell in self.finetunings
            if (cell.target, cell.arm) == (target, arm)
        ]
        return dict(sorted(found))

    def targets(self) -> list[str]:
        """Keys of the data sets that there are figures of, in order."""
        known = {cell.target for cell in self.finetunings}
        return [target for target in TARGETS if target in known]


def collect(work_dir: Path) -> Results:
    """Reads all that is finished.

    Args:
        work_dir: Folder of the study.

    Returns:
        The results.

    Raises:
        FileNotFoundError: If no fine-tuning is finished.
        ValueError: If fine-tunings differ in the number of steps.
    """
    pretrainings, finetunings = {}, []
    for file in sorted(work_dir.glob('*/measurement.json')):
        kept = json.loads(file.read_text(encoding='utf-8'))
        if 'arm' in kept:
            finetunings.append(FineTuning(**kept))
        else:
            pretrainings[file.parent.name] = Pretraining(**kept)
    if not finetunings:
        raise FileNotFoundError(f'{work_dir}: no fine-tuning is finished')
    steps = sorted({cell.iterations for cell in finetunings})
    if len(steps) > 1:
        raise ValueError(
            f'{work_dir} holds fine-tunings of {steps} steps, which do not '
            'compare; remove those of one kind'
        )
    curves = {name: read_scalars(work_dir / name) for name in pretrainings}
    return Results(pretrainings, finetunings, curves)


def summarise(results: Results) -> dict[str, dict[str, dict[str, Any]]]:
    """Averages over the seeds.

    Args:
        results: What is finished.

    Returns:
        By data set and arm: ``seeds`` (mIoU by seed), ``mean`` and ``std``
        (sample standard deviation, None for one seed).
    """
    summary: dict[str, dict[str, dict[str, Any]]] = {}
    for target in results.targets():
        for arm in ARMS:
            seeds = results.values(target, arm)
            if not seeds:
                continue
            values = list(seeds.values())
            std = stdev(values) if len(values) > 1 else None
            summary.setdefault(target, {})[arm] = dict(
                seeds=seeds, mean=mean(values), std=std
            )
    return summary


def make_table(results: Results, target: str) -> str:
    """Renders the mIoU of all arms on a data set as a Markdown table.

    Args:
        results: What is finished.
        target: Key of ``TARGETS``.

    Returns:
        A row for each arm: every seed, mean and sample standard deviation,
        and how much more than from random weights it is, over the seeds that
        both have.
    """
    arms = summarise(results)[target]
    seeds = sorted({seed for arm in arms.values() for seed in arm['seeds']})
    head = ['start', *(f'seed {seed}' for seed in seeds)]
    rows = [[*head, 'mean ± std', 'minus random']]
    for name, arm in arms.items():
        every = [
            f'{arm["seeds"][seed]:.2f}' if seed in arm['seeds'] else ''
            for seed in seeds
        ]
        base = results.values(target, 'random')
        rows.append(
            [
                ARMS[name].title,
                *every,
                f'**{_mean_and_std(arm)}**',
                '' if name == 'random' else _difference(arm['seeds'], base),
            ]
        )
    return _markdown_table(rows)


def monitor_table(results: Results) -> str:
    """Renders how the pretrainings went as a Markdown table.

    Args:
        results: What is finished.

    Returns:
        A row for each monitor, first and last values of each pretraining.
    """
    methods = [name for name in PRETRAININGS if name in results.pretrainings]
    head = [f'{_SOURCES[m]}, {end}' for m in methods for end in _ENDS]
    rows = [['', *head]]
    for name, title in _MONITORS.items():
        row = [title]
        for method in methods:
            ends = results.pretrainings[method].monitors.get(name)
            row += ['', ''] if ends is None else [f'{v:.3f}' for v in ends]
        rows.append(row)
    return _markdown_table(rows)


_ENDS = ('start', 'end')


def chart(results: Results) -> str:
    """Draws the mIoU of all arms, a panel for each data set.

    Args:
        results: What is finished.

    Returns:
        An SVG document; the same text for the same results.
    """
    style = {
        'svg.hashsalt': 'mmcp',
        'font.size': 9,
        'axes.spines.top': False,
        'axes.spines.right': False,
    }
    summary = summarise(results)
    buffer = io.StringIO()
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(9, 3.2), layout='constrained')
        places = figure.subplots(1, len(summary), squeeze=False)[0]
        for axes, (target, arms) in zip(places, summary.items(), strict=True):
            _draw_bars(axes, TARGETS[target].title, arms)
        figure.savefig(buffer, format='svg', metadata={'Date': None})
    # matplotlib leaves blanks at the ends of lines.
    lines = buffer.getvalue().splitlines()
    return '\n'.join(line.rstrip() for line in lines) + '\n'


def _draw_bars(
    axes: Axes, title: str, arms: Mapping[str, Mapping[str, Any]]
) -> None:
    """Draws means as bars, standard deviations as whiskers, seeds as dots."""
    axes.set_title(f'{title}: {METRIC} (%)', loc='left', fontweight='bold')
    axes.grid(axis='x', alpha=0.25)
    axes.set_axisbelow(True)
    for place, (name, arm) in enumerate(arms.items()):
        axes.barh(
            place,
            arm['mean'],
            xerr=arm['std'],
            height=0.62,
            color=_COLOURS[name],
            capsize=3,
        )
        values = list(arm['seeds'].values())
        axes.plot(
            values,
            [place] * len(values),
            'o',
            color='white',
            markeredgecolor='black',
            markersize=3.5,
        )
        right = max(arm['mean'] + (arm['std'] or 0), *values)
        axes.annotate(
            f'{arm["mean"]:.1f}',
            (right, place),
            xytext=(6, 0),
            textcoords='offset points',
            va='center',
        )
    axes.set_yticks(range(len(arms)), [ARMS[name].title for name in arms])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlim(left=0)


def pretraining_chart(results: Results) -> bytes:
    """Draws the curves of both pretrainings into the same diagrams.

    Args:
        results: What is finished, one pretraining at least.

    Returns:
        A PNG file.
    """
    panels = [
        _both(results, 'Instance loss', 'loss_instance', None),
        _both(results, 'Instance accuracy (%)', 'acc_instance', 0),
        _both(
            results,
            'Standard deviation between images',
            'std_pooled',
            0,
            {f'1 / sqrt({EMBEDDING})': EMBEDDING**-0.5},
        ),
        _both(results, 'Nearest neighbours, top-1 (%)', 'knn/top1', 0),
    ]
    dense = results.curves.get('cp2')
    if dense is not None:
        panels += [
            Panel('Dense loss', {'CP2': dense['loss_dense']}, None),
            Panel(
                'CP2: cosine of foreground with',
                {
                    'foreground': dense['cos_fg_fg'],
                    'background': dense['cos_fg_bg'],
                },
            ),
        ]
    return curves_png(panels)


def _both(
    results: Results,
    title: str,
    scalar: str,
    bottom: float | None,
    levels: Mapping[str, float] | None = None,
) -> Panel:
    lines = {
        _SOURCES[method]: results.curves[method][scalar]
        for method in ('moco', 'cp2')  # colours as in the other chart
        if scalar in results.curves.get(method, {})
    }
    return Panel(title, lines, bottom, levels or {})


def loaded_lines(results: Results) -> list[str]:
    """What the logs say about the loading, once for each arm.

    Args:
        results: What is finished.

    Returns:
        Lines, in the order of the arms.
    """
    found = {cell.arm: cell.loaded for cell in results.finetunings}
    return [f'{arm}: {found[arm]}' for arm in ARMS if found.get(arm, '')]


def figures(results: Results) -> str:
    """Renders all that is made of the measurements.

    Args:
        results: What is finished.

    Returns:
        Markdown.
    """
    parts = [f'![mIoU by start, {len(ARMS)} bars a data set]({NAME}.svg)']
    for target in results.targets():
        parts += [
            f'### {TARGETS[target].title}, {METRIC} in percent',
            make_table(results, target),
        ]
    if results.pretrainings:
        parts += [
            '### The pretrainings',
            _lengths(results),
            monitor_table(results),
            f'![Curves of both pretrainings]({NAME}_curves.png)',
        ]
    parts += [
        '### What was loaded, from the logs of the fine-tuning',
        '\n'.join(['```', *loaded_lines(results), '```']),
    ]
    return '\n\n'.join(parts)


def write_record(results: Results, settings: Settings, out: Path) -> None:
    """Writes ``cp2_transfer.json``, the charts and what is made of the page.

    Args:
        results: What is finished.
        settings: How large everything is.
        out: Folder, made if missing. Of ``cp2_transfer.md`` in it what stands
            between the two marker lines is replaced; where there is none, it
            is made.

    Raises:
        ValueError: If the page lacks the markers.
    """
    out.mkdir(parents=True, exist_ok=True)
    record = dict(
        settings=asdict(settings),
        pretrainings={k: asdict(v) for k, v in results.pretrainings.items()},
        finetunings=[asdict(cell) for cell in results.finetunings],
        summary=summarise(results),
    )
    text = json.dumps(record, indent=1) + '\n'
    (out / f'{NAME}.json').write_text(text, encoding='utf-8')
    (out / f'{NAME}.svg').write_text(chart(results), encoding='utf-8')
    if results.pretrainings:
        picture = pretraining_chart(results)
        (out / f'{NAME}_curves.png').write_bytes(picture)
    _write_page(out / f'{NAME}.md', figures(results))


def _write_page(page: Path, made: str) -> None:
    text = f'# {NAME}\n\n{BEGIN}\n{END}\n'
    if page.is_file():
        text = page.read_text(encoding='utf-8')
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f'{page}: the lines {BEGIN} and {END} are needed')
    page.write_text(
        f'{before}{begin}\n\n{made}\n\n{end}{after}', encoding='utf-8'
    )


def _lengths(results: Results) -> str:
    sentences = [
        f'{_SOURCES[name]}: {p.epochs} epochs, {p.minutes:.0f} minutes.'
        for name, p in results.pretrainings.items()
    ]
    minutes = [cell.minutes for cell in results.finetunings]
    return (
        f'{" ".join(sentences)} A fine-tuning: '
        f'{results.finetunings[0].iterations} steps, '
        f'{min(minutes):.1f} to {max(minutes):.1f} minutes.'
    )


def _mean_and_std(arm: Mapping[str, Any]) -> str:
    if arm['std'] is None:
        return f'{arm["mean"]:.2f}'
    return f'{arm["mean"]:.2f} ± {arm["std"]:.2f}'


def _difference(values: Mapping[int, float], base: Mapping[int, float]) -> str:
    shared = [values[seed] - base[seed] for seed in values if seed in base]
    return f'{mean(shared):+.2f}' if shared else ''


def _markdown_table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    lines = [head, ['---'] + ['---:'] * (len(head) - 1), *body]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)
