"""What the measurements must reach."""

from dataclasses import dataclass
from typing import Any

from copy_paste_speed.pipelines import CACHED, FLOOR, MMDET, OURS

Result = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """One limit and the value that was measured.

    Args:
        what: What is limited.
        value: What was measured.
        limit: The limit.
        at_least: Whether the value must not be below it; else not above.
        unit: Written behind both. Defaults to 'x'.
    """

    what: str
    value: float
    limit: float
    at_least: bool
    unit: str = 'x'

    @property
    def met(self) -> bool:
        """Whether the limit is kept."""
        if self.at_least:
            return self.value >= self.limit
        return self.value <= self.limit

    def row(self) -> tuple[str, str, str, str]:
        """What, limit, value and verdict, as text."""
        word = 'at least' if self.at_least else 'at most'
        return (
            self.what,
            f'{word} {self.limit:g}{self.unit}',
            f'{self.value:.3g}{self.unit}',
            'met' if self.met else 'missed',
        )


def targets_of(results: Result) -> list[Target]:
    """Compares the results with the limits; medians, ratios within the run.

    Args:
        results: What ``measure`` gave, by its sections; sections may be
            missing.

    Returns:
        The targets that these sections decide.
    """
    targets = []
    if 'samples' in results:
        targets += _of_samples(results['samples'])
    if 'targets' in results:
        targets += _of_mask_targets(results['targets'])
    for name in ('20 / 10', '100 / 50'):
        if 'transform' in results:
            times = results['transform'][name]
            targets.append(
                Target(
                    f'transform alone, {name} objects, rasterising counted: '
                    f'faster than {MMDET}',
                    times[MMDET]['median'] / times[OURS]['median'],
                    25,
                    at_least=True,
                )
            )
    if 'memory' in results:
        memory = results['memory']
        share = memory[OURS] / memory[MMDET]
        what = f"peak memory of a worker above idle, of {MMDET}'s"
        targets.append(Target(what, share, 0.333, at_least=False))
    return targets


def _of_samples(samples: Result) -> list[Target]:
    floor = samples[FLOOR]['made']['median']
    theirs, ours = samples[MMDET]['arrived'], samples[OURS]['arrived']
    made, cached = samples[OURS]['made'], samples[CACHED]['made']
    return [
        Target(
            'whole sample, no cache, with pickle round trip and areas: '
            f'faster than {MMDET}',
            theirs['median'] / ours['median'],
            10,
            at_least=True,
        ),
        Target(
            'whole sample, no cache, to the floor',
            made['median'] / floor,
            2.0,
            at_least=False,
        ),
        Target(
            'whole sample, cached sources, to the floor',
            cached['median'] / floor,
            1.5,
            at_least=False,
        ),
        Target(
            'whole sample, no cache, 95th percentile to median',
            made['p95'] / made['median'],
            3,
            at_least=False,
        ),
        Target(
            'packed sample, median',
            samples[OURS]['megabytes']['median'],
            3.6,
            at_least=False,
            unit=' MB',
        ),
    ]


def _of_mask_targets(result: Result) -> list[Target]:
    ratio = result[MMDET]['median'] / result[OURS]['median']
    what = f'mask targets of {result["boxes"]} boxes: faster than {MMDET}'
    return [Target(what, ratio, 20, at_least=True)]
