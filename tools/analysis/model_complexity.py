#!/usr/bin/env python
"""Multiply-adds and parameters of models beside those of the paper.

Without a config: every row of Tables 1 and 4 of Simple Copy-Paste.

    python tools/analysis/model_complexity.py
    python tools/analysis/model_complexity.py CONFIG --size 1024 --parts
    python tools/analysis/model_complexity.py CONFIG --memory

Counted as the paper does: one square image, each box head on 1000 proposals,
the mask head on 100 boxes, convolutions and matrix products only. Nothing is
computed, so it takes seconds and no data or weights.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config
from torch import nn

from mmcp.engine.build_on_meta import build_on_meta
from mmcp.engine.config import UsageError, load_config
from mmcp.engine.launch import add_traceback_argument, run_tool
from mmcp.models.complexity import (
    Complexity,
    count_complexity,
    count_kept,
)

ROOT = Path(__file__).resolve().parents[2]
METAFILE = 'configs/copy_paste/metafile.yml'
TABLES = ('Table 1', 'Table 4')
# Millions, from the README of the released code; Table 1 has none.
RELEASED_PARAMETERS = {
    'Res-50 FPN (1024)': 48,
    'Res-101 FPN (1024)': 67,
    'Res-101 FPN (1280)': 67,
    'Eff-B7 FPN (640)': 86,
    'Eff-B7 FPN (1024)': 86,
    'Eff-B7 FPN (1280)': 86,
    'Cascade Eff-B7 FPN(1280)': 118,
}


@dataclass(frozen=True)
class Row:
    """A model to count.

    Attributes:
        title: What the table calls it, or the name of the config.
        config: Path of the config.
        flops: Billions of multiply-adds that the paper reports, if any.
        parameters: Millions of parameters that its authors report, if any.
    """

    title: str
    config: Path
    flops: float | None = None
    parameters: float | None = None


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'configs',
        nargs='*',
        type=Path,
        help='configs to count instead of the rows of the paper',
    )
    parser.add_argument(
        '--size',
        type=int,
        help='height and width of the image (default: that of the training)',
    )
    parser.add_argument(
        '--parts', action='store_true', help='multiply-adds of every part, too'
    )
    parser.add_argument(
        '--memory',
        action='store_true',
        help='GiB that a training image leaves for the gradients, too, '
        'without heads on regions and weights; with --amp half of it',
    )
    parser.add_argument('--json', type=Path, help='write the numbers, too')
    add_traceback_argument(parser)
    return parser.parse_args(argv)


def paper_rows(root: Path = ROOT) -> list[Row]:
    """The rows of Tables 1 and 4 that have a config, without Copy-Paste.

    Args:
        root: Root of the repository.

    Returns:
        One row per model, in the order of the metafile.
    """
    rows: dict[str, Row] = {}
    for entry in _read_metafile(root):
        paper = entry['Paper']
        numbers = paper.get('numbers', {})
        if paper['table'] not in TABLES or 'FLOPs (B)' not in numbers:
            continue
        if '_cocotestdev-' in entry['Name'] or '-scp-' in entry['Name']:
            continue
        rows[paper['row']] = _row_of(entry, root)
    return list(rows.values())


def _read_metafile(root: Path) -> list[dict[str, Any]]:
    text = (root / METAFILE).read_text(encoding='utf-8')
    models: list[dict[str, Any]] = yaml.safe_load(text)['Models']
    return models


def _row_of(entry: dict[str, Any], root: Path) -> Row:
    title = entry['Paper']['row']
    numbers = entry['Paper'].get('numbers', {})
    return Row(
        title,
        root / entry['Config'],
        numbers.get('FLOPs (B)'),
        numbers.get('parameters (M)', RELEASED_PARAMETERS.get(title)),
    )


def training_size(config: Config) -> int:
    """Finds the side of the square that a model is trained on.

    Args:
        config: A config.

    Returns:
        ``size`` of ``mmcp.ScaleJitter``, or a square ``crop_size`` or
        ``scale``.

    Raises:
        UsageError: If there is none.
    """
    for size in _sizes(config.get('train_dataloader', {})):
        sides = {size} if isinstance(size, int) else set(size)
        if len(sides) == 1:
            return int(sides.pop())
    raise UsageError('the training has no square images; give --size')


def _sizes(node: Any) -> list[Any]:
    """Sizes of images in a tree of dicts and sequences."""
    if isinstance(node, (list, tuple)):
        return [size for value in node for size in _sizes(value)]
    if not isinstance(node, dict):
        return []
    own = [node[k] for k in ('size', 'crop_size', 'scale') if k in node]
    return own + [size for value in node.values() for size in _sizes(value)]


def count(row: Row, size: int | None = None) -> Complexity:
    """Counts one row.

    Args:
        row: The model.
        size: Height and width of the image. Defaults to None, that of the
            training.

    Returns:
        What it costs.

    Raises:
        UsageError: If there is no such config, or its model cannot be
            counted.
    """
    model, size = _build(row, size)
    try:
        return count_complexity(model, size)
    except TypeError as error:
        raise UsageError(f'{row.config}: {error}') from error


def memory(row: Row, size: int | None = None) -> dict[str, float]:
    """Counts what one training image keeps for the gradients.

    Args:
        row: The model.
        size: As for :func:`count`. Defaults to None.

    Returns:
        GiB by part, in the precision of the weights.

    Raises:
        UsageError: If there is no such config.
    """
    kept = count_kept(*_build(row, size))
    return {part: round(value / 2**30, 2) for part, value in kept.items()}


def _build(row: Row, size: int | None) -> tuple[nn.Module, int]:
    config = load_config(row.config)
    return build_on_meta(config), size or training_size(config)


def as_json(row: Row, found: Complexity) -> dict[str, Any]:
    """What is known of a row, as JSON.

    Args:
        row: The model.
        found: What it costs.

    Returns:
        Multiply-adds in billions and parameters in millions, ours and the
        authors', and deviations in percent.
    """
    flops, parameters = found.total / 1e9, found.parameters / 1e6
    return dict(
        row=row.title,
        config=row.config.name,
        size=found.size,
        multiply_adds=round(flops, 2),
        paper_multiply_adds=row.flops,
        multiply_adds_deviation=_deviation(flops, row.flops),
        parameters=round(parameters, 2),
        paper_parameters=row.parameters,
        parameters_deviation=_deviation(parameters, row.parameters),
        parts={k: round(v / 1e9, 2) for k, v in found.multiply_adds.items()},
    )


def _deviation(ours: float, theirs: float | None) -> float | None:
    return None if theirs is None else round(100 * (ours / theirs - 1), 2)


def as_table(rows: Sequence[dict[str, Any]], parts: bool = False) -> str:
    """Lays rows out for people.

    Args:
        rows: Results of :func:`as_json`.
        parts: Whether to add a line of parts below each. Defaults to False.

    Returns:
        Lines, multiply-adds in billions (B), parameters in millions (M).
    """
    width = max(len(row['row']) for row in rows)
    lines = [
        f'{"":{width}}  {"multiply-adds":>13} {"paper":>7} {"":>8}'
        f' {"parameters":>11} {"paper":>6}'
    ]
    for row in rows:
        lines.append(
            f'{row["row"]:{width}}  {row["multiply_adds"]:11.1f} B'
            f' {_number(row["paper_multiply_adds"]):>7}'
            f' {_percent(row["multiply_adds_deviation"]):>8}'
            f' {row["parameters"]:9.1f} M'
            f' {_number(row["paper_parameters"]):>6}'
            f' {_percent(row["parameters_deviation"]):>8}'
        )
        if parts:
            costs = ', '.join(f'{k} {v} B' for k, v in row['parts'].items())
            lines.append(f'    {row["size"]} px: {costs}')
        if 'memory' in row:
            lines.append(f'    {row["size"]} px: {_kept(row["memory"])}')
    return '\n'.join(line.rstrip() for line in lines)


def _kept(parts: dict[str, float]) -> str:
    inner = ', '.join(f'{part} {value:.1f}' for part, value in parts.items())
    return f'{sum(parts.values()):.1f} GiB an image for gradients ({inner})'


def _number(value: float | None) -> str:
    return '-' if value is None else f'{value:g}'


def _percent(value: float | None) -> str:
    return '-' if value is None else f'{value:+.1f} %'


def main(argv: Sequence[str]) -> None:
    """Counts and prints."""
    args = parse_args(argv)
    rows = [Row(path.stem, path) for path in args.configs] or paper_rows()
    results = [as_json(row, count(row, args.size)) for row in rows]
    if args.memory:
        for row, result in zip(rows, results, strict=True):
            result['memory'] = memory(row, args.size)
    print(as_table(results, args.parts))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(results, indent=2) + '\n')


if __name__ == '__main__':
    sys.exit(run_tool(main))
