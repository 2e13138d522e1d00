"""Tables, and whether the targets are met."""

from typing import Any

from copy_paste_speed.report import table

from cp2_step_speed.peers import BEST, REFERENCE

Result = dict[str, Any]

SPEED_UP = 3.0
END_TO_END = 2000


def targets_of(results: Result) -> list[dict[str, Any]]:
    """What was to be reached on a GPU, and what was.

    Args:
        results: What was measured.

    Returns:
        Name, least value, value and whether it is met; empty without a GPU
        or at a small size.
    """
    setting = results['setting']
    if setting['device'] != 'cuda' or setting['small']:
        return []
    rows = {row['name']: row for row in results['steps']}
    targets = []
    if BEST.name in rows and REFERENCE.name in rows:
        ratio = rows[BEST.name]['ratio']
        targets.append((f'{BEST.name}: times the released', SPEED_UP, ratio))
    if results.get('loading'):
        best = max(row['samples_per_second'] for row in results['loading'])
        targets.append(('samples/s from files', END_TO_END, best))
    return [
        dict(name=name, least=least, value=value, met=value >= least)
        for name, least, value in targets
    ]


def markdown(results: Result) -> str:
    """Writes the whole report.

    Args:
        results: What was measured.

    Returns:
        Markdown.
    """
    parts = ['# Speed of a CP2 training step\n', _setting(results['setting'])]
    parts.append('## The step alone\n')
    parts.append(_steps(results['steps']))
    if results.get('loading'):
        parts += ['## From image files\n', _loading(results)]
    targets = targets_of(results)
    if targets:
        parts += ['## Targets\n', _targets(targets)]
    return '\n'.join(parts)


def _setting(setting: Result) -> str:
    versions = ', '.join(f'{k} {v}' for k, v in setting['versions'].items())
    size = setting['size']
    return (
        f'`{setting["command"]}` on {setting["date"]}, {setting["hardware"]}, '
        f'{versions}.\n\nResNet-{size["depth"]} with ASPP of '
        f'{size["channels"]} channels, {setting["batch"]} images of '
        f'{size["image"]}x{size["image"]} pixels, a queue of '
        f'{size["queue_len"]}. A step is both encoders, losses, gradients, '
        'SGD and the queue; all ways take turns, and medians are given. '
        'Memory is the peak of what tensors take. The released algorithm is '
        'written anew from its description (`benchmarks/cp2_step_speed/'
        "reference.py`); float32 is torch's default, which on GPUs lets "
        'convolutions use TF32.\n'
    )


def _steps(rows: list[Result]) -> str:
    return table(
        ['step', 'ms', 'samples/s', 'times the released', 'memory (GiB)'],
        [
            [
                row['name'],
                f'{row["milliseconds"]:.1f}',
                f'{row["samples_per_second"]:.1f}',
                '-' if row['ratio'] is None else f'{row["ratio"]:.2f}',
                '-' if row['memory'] is None else f'{row["memory"]:.1f}',
            ]
            for row in rows
        ],
    )


def _loading(results: Result) -> str:
    setting = results['setting']
    rows = table(
        ['colours', 'backgrounds', 'samples/s', 'waiting for data'],
        [
            [
                row['augment'],
                row['backgrounds'],
                f'{row["samples_per_second"]:.1f}',
                f'{100 * row["waiting"]:.0f}%',
            ]
            for row in results['loading']
        ],
    )
    return (
        f'{results["loading"][0]["images"]} files, {setting["workers"]} '
        f'workers, {setting["cores"]} cores; the step is '
        f'"{results["loaded_step"]}". '
        'Waiting is the share of time in which the device had nothing to '
        f'do.\n\n{rows}'
    )


def _targets(targets: list[Result]) -> str:
    return table(
        ['target', 'at least', 'measured', 'met'],
        [
            [
                target['name'],
                f'{target["least"]:g}',
                f'{target["value"]:.2f}',
                'yes' if target['met'] else 'no',
            ]
            for target in targets
        ],
    )
