"""Times several ways of doing the same thing, alternating, on one core."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
        watch: Says something about what the first stage returned; not timed.
            Defaults to None.
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
        watched: What ``watch`` said in each repetition.
    """

    cpu: NDArray[np.float64]
    wall: NDArray[np.float64]
    watched: list[Any] = field(default_factory=list)


def alternate(
    peers: Sequence[Peer], repeats: int, apart: bool = False
) -> dict[str, Times]:
    """Times peers in turns, so that a busy machine disturbs all alike.

    Args:
        peers: The peers; their order rotates from turn to turn.
        repeats: Repetitions that count. Repetition ``k`` of every peer gets
            the same number ``k``.
        apart: Whether each peer runs in a process of its own, one at a time.
            What one leaves in the memory allocator then helps no other.
            Needs ``fork``. Defaults to False.

    Returns:
        The times by name.
    """
    runners = {p.name: _Child(p) if apart else _Here(p) for p in peers}
    for peer in peers:
        for number in range(peer.warm_up):
            runners[peer.name].run(number)
    names = [peer.name for peer in peers]
    taken: dict[str, list[_Taken]] = {name: [] for name in names}
    for number in range(repeats):
        turn = number % len(names)
        for name in [*names[turn:], *names[:turn]]:
            taken[name].append(runners[name].run(number))
    for runner in runners.values():
        runner.close()
    return {name: _stack(rows) for name, rows in taken.items()}


@dataclass(frozen=True)
class _Taken:
    """Milliseconds of all stages in one repetition, and what was watched."""

    cpu: list[float]
    wall: list[float]
    watched: Any


def _stack(rows: Sequence[_Taken]) -> Times:
    return Times(
        np.array([row.cpu for row in rows]),
        np.array([row.wall for row in rows]),
        [row.watched for row in rows],
    )


class _Here:
    """Runs a peer in this process."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def run(self, number: int) -> _Taken:
        """Runs one repetition."""
        value = self.peer.prepare(number)
        cpu, wall, watched = [], [], None
        for place, stage in enumerate(self.peer.stages):
            on_core, on_clock = time.process_time(), time.perf_counter()
            value = stage(value)
            on_core = (time.process_time() - on_core) * 1e3
            on_clock = (time.perf_counter() - on_clock) * 1e3
            if isinstance(value, Elsewhere):
                on_core, on_clock = value.cpu, value.wall
            cpu.append(on_core)
            wall.append(on_clock)
            if place == 0 and self.peer.watch is not None:
                watched = self.peer.watch(value)
        return _Taken(cpu, wall, watched)

    def close(self) -> None:
        """Nothing to end."""


class _Child:
    """Runs a peer in a process of its own."""

    def __init__(self, peer: Peer) -> None:
        context = multiprocessing.get_context('fork')
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(_Here(peer), theirs), daemon=True
        )
        self.process.start()
        theirs.close()

    def run(self, number: int) -> _Taken:
        """Lets the child run one repetition and waits for it."""
        self.pipe.send(number)
        taken: _Taken = self.pipe.recv()
        return taken

    def close(self) -> None:
        """Ends the child."""
        self.pipe.send(None)
        self.process.join()


def _serve(runner: _Here, pipe: Any) -> None:
    while (number := pipe.recv()) is not None:
        pipe.send(runner.run(number))


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
