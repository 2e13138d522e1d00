"""Times several ways of doing the same thing, alternating, on one core."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Stage = Callable[[Any], Any]


@dataclass(frozen=True)
class Elsewhere:
    """What a stage returns that another process ran and timed.

    Args:
        cpu: Milliseconds on the core.
        wall: Milliseconds on the clock.
    """

    cpu: float
    wall: float


@dataclass(frozen=True)
class Peer:
    """One of the ways that are compared.

    Args:
        name: What tables call it.
        stages: Timed one by one; each receives what the one before returned.
        prepare: Makes the first stage's argument from the number of the
            repetition; not timed. Defaults to the number itself.
        warm_up: Repetitions before the first that counts. Defaults to 2.
        watch: Receives what the first stage returned; not timed.
    """

    name: str
    stages: Sequence[Stage]
    prepare: Stage = int
    warm_up: int = 2
    watch: Stage | None = None


@dataclass(frozen=True)
class Times:
    """What was measured of one peer, in milliseconds.

    Args:
        cpu: Time on the core, shape (repetitions, stages). On a quiet machine
            it is the wall time, and neighbours do not disturb it.
        wall: Time on the clock, same shape.
    """

    cpu: NDArray[np.float64]
    wall: NDArray[np.float64]


def alternate(peers: Sequence[Peer], repeats: int) -> dict[str, Times]:
    """Times peers in turns, so that a busy machine disturbs all alike.

    Args:
        peers: The peers; their order rotates from turn to turn.
        repeats: Repetitions that count. Repetition ``k`` of every peer gets
            the same number ``k``.

    Returns:
        The times by name.
    """
    for peer in peers:
        for number in range(peer.warm_up):
            _run(peer, number)
    taken: dict[str, list[NDArray[np.float64]]] = {p.name: [] for p in peers}
    for number in range(repeats):
        turn = number % len(peers)
        for peer in [*peers[turn:], *peers[:turn]]:
            taken[peer.name].append(_run(peer, number))
    stacked = {name: np.stack(rows, 1) for name, rows in taken.items()}
    return {name: Times(*both) for name, both in stacked.items()}


def _run(peer: Peer, number: int) -> NDArray[np.float64]:
    """Milliseconds of all stages: row 0 on the core, row 1 on the clock."""
    value = peer.prepare(number)
    first = None
    taken = []
    for place, stage in enumerate(peer.stages):
        cpu, wall = time.process_time(), time.perf_counter()
        value = stage(value)
        cpu = (time.process_time() - cpu) * 1e3
        wall = (time.perf_counter() - wall) * 1e3
        if isinstance(value, Elsewhere):
            cpu, wall = value.cpu, value.wall
        taken.append((cpu, wall))
        if place == 0:
            first = value
    if peer.watch is not None:
        peer.watch(first)
    return np.array(taken).T


def summary(times: Times, stages: slice | int = slice(None)) -> dict[str, Any]:
    """Describes the time of some stages together.

    Args:
        times: What was measured.
        stages: Which stages. Defaults to all.

    Returns:
        Median, mean and 95th percentile of the time on the core and the
        median on the clock, in milliseconds, and the number of repetitions.
    """
    chosen = slice(stages, stages + 1) if isinstance(stages, int) else stages
    cpu = times.cpu[:, chosen].sum(1)
    return {
        'median': float(np.median(cpu)),
        'mean': float(cpu.mean()),
        'p95': float(np.percentile(cpu, 95)),
        'wall_median': float(np.median(times.wall[:, chosen].sum(1))),
        'repeats': len(cpu),
    }
