"""The page and the chart of ``class_balance.py``."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mmcp.functional.long_tail import effective_classes

Row = Mapping[str, Any]

_COLOURS = ('#7f7f7f', '#1f77b4', '#d62728', '#ff9896')
_HEAD = (
    *('data', '`class_weights`', '`num_pasted`', 'pasted an image'),
    *('frequent / common / rare, pasted', 'most to least, pasted'),
    'classes in effect, pasted',
    *('frequent / common / rare, seen', 'classes in effect, seen'),
    'source images in effect',
)
_PAGE = """\
# What is pasted, by class

Made by `python benchmarks/studies/class_balance.py {options}`; do not edit.

Classes of a long-tailed data set are pasted as often as they are annotated,
unless `class_weights` of `mmcp.CopyPasteDataset` says otherwise:
`'inverse_frequency'` weighs a class by one over the number of its objects,
`'inverse_sqrt_frequency'` by one over its square root. A source image is drawn
with the largest weight among its classes, its objects with their own.
{samples} samples of the Copy-Paste recipes were drawn for each row; nothing
was trained.

![Share of each class among the pasted objects](class_balance.svg)

{table}

- A third of the classes each, by the number of their objects: frequent,
  common, rare. Shares in percent. *Pasted* are the pasted objects only, *seen*
  all objects of the samples that the detector trains on. *Most to least*: of
  the class that is pasted most, as many times the objects of the one least.
- *In effect*: the exponential of the entropy, the number of equally frequent
  classes (or images) that would be as mixed.
{numbers}
- An image of a rare object has frequent ones too, and `num_pasted='random'`
  takes half of its objects on average. `'one'` evens classes out most, with
  fewer objects.
- The price is in the last column: rare objects come from few images, which are
  then drawn again and again.
- What it does to AP has not been measured here; `--cfg-options
  train_dataloader.dataset.class_weights=inverse_frequency` trains with it.

[class_balance.json](class_balance.json) holds the counts.
"""


def thirds(counts: Sequence[int]) -> NDArray[np.float64]:
    """Shares of the frequent, common and rare third of the classes.

    Args:
        counts: Objects of each class, the most frequent one first.

    Returns:
        Three numbers whose sum is 1; zeros without any object.
    """
    parts = np.array_split(np.asarray(counts), 3)
    shares = np.array([part.sum() for part in parts], np.float64)
    return shares / max(shares.sum(), 1)


def make_table(rows: Sequence[Row]) -> str:
    """Renders the measurements as a Markdown table.

    Args:
        rows: Measurements as dicts.

    Returns:
        The table.
    """
    lines = [_HEAD, ['---'] * len(_HEAD)]
    lines += [_cells(row) for row in rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def _cells(row: Row) -> list[str]:
    return [
        row['data'],
        row['weights'] or 'none',
        row['num_pasted'],
        f'{sum(row["pasted"]) / row["samples"]:.1f}',
        _percent(thirds(row['pasted'])),
        f'{max(row["pasted"]) / max(min(row["pasted"]), 1):.0f}',
        f'{effective_classes(row["pasted"]):.1f}',
        _percent(thirds(row['seen'])),
        f'{effective_classes(row["seen"]):.1f}',
        f'{row["source_images"]:.0f}',
    ]


def _percent(shares: NDArray[np.float64]) -> str:
    return ' / '.join(f'{100 * share:.0f}' for share in shares)


def make_page(rows: Sequence[Row], options: str) -> str:
    """Renders the record as a Markdown page.

    Args:
        rows: Measurements as dicts.
        options: What the script was called with.

    Returns:
        The page.
    """
    numbers = [
        f'- `{row["data"]}` has {len(row["classes"])} classes with '
        f'{max(row["objects"])} to {min(row["objects"])} objects, '
        f'{effective_classes(row["objects"]):.1f} in effect.'
        for row in rows
        if row['weights'] is None and row['num_pasted'] == 'random'
    ]
    return _PAGE.format(
        options=options,
        samples=' or '.join(sorted({str(row['samples']) for row in rows})),
        table=make_table(rows),
        numbers='\n'.join(numbers),
    )


def make_chart(rows: Sequence[Row]) -> str:
    """Draws the share of each class among the pasted objects.

    Args:
        rows: Measurements as dicts.

    Returns:
        An SVG.
    """
    names = list(dict.fromkeys(row['data'] for row in rows))
    with matplotlib.rc_context(
        {'svg.hashsalt': 'mmcp', 'svg.fonttype': 'path', 'font.size': 9}
    ):
        figure = Figure(figsize=(8, 3.2), layout='constrained')
        axes = figure.subplots(1, len(names), squeeze=False)[0]
        for axis, name in zip(axes, names, strict=True):
            _draw(axis, [row for row in rows if row['data'] == name])
        axes[0].set_ylabel('share of the pasted objects, %')
        axes[0].legend(frameon=False)
        buffer = io.StringIO()
        figure.savefig(buffer, format='svg', metadata={'Date': None})
    lines = buffer.getvalue().splitlines()
    return '\n'.join(line.rstrip() for line in lines) + '\n'


def _draw(axis: Any, rows: Sequence[Row]) -> None:
    for row, colour in zip(rows, _COLOURS, strict=True):
        shares = np.array(row['pasted']) / max(sum(row['pasted']), 1)
        places = np.arange(1, len(shares) + 1)
        label = f'{row["weights"] or "no weights"}, {row["num_pasted"]}'
        axis.plot(places, 100 * shares, '.-', color=colour, label=label, lw=1)
    axis.set_yscale('log')
    axis.yaxis.set_major_formatter('{x:g}')
    axis.set_xlabel('class, from the most frequent to the rarest')
    axis.set_title(rows[0]['data'])
    axis.grid(alpha=0.3)
    axis.spines[['top', 'right']].set_visible(False)
