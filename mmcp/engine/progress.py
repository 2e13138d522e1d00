"""How far a long job is: a bar on a terminal, lines in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from mmcp.engine.messages import process_rank, say

_SECONDS = 30.0

Advance = Callable[[int], None]


@contextmanager
def progress(total: int, unit: str, done: int = 0) -> Iterator[Advance]:
    """Shows the progress of a job, in the first process only.

    Args:
        total: Size of the job.
        unit: What is counted, such as 'images'.
        done: What was done by an earlier run. Defaults to 0.

    Yields:
        A function that is told how many more are done.
    """
    if process_rank():
        yield lambda count: None
    elif not sys.stderr.isatty():
        yield _Lines(total, unit, done)
    else:
        with Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        ) as bar:
            task = bar.add_task('', total=total, completed=done)
            yield lambda count: bar.advance(task, count)


class _Lines:
    """Says now and then how much is done."""

    def __init__(self, total: int, unit: str, done: int) -> None:
        self._total = total
        self._unit = unit
        self._done = self._before = done
        self._start = self._last = time.monotonic()

    def __call__(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._last < _SECONDS and self._done < self._total:
            return
        self._last = now
        rate = (self._done - self._before) / max(now - self._start, 1e-9)
        left = timedelta(seconds=round((self._total - self._done) / rate))
        say(
            f'{self._done:,} of {self._total:,} {self._unit}, {rate:.1f} a '
            f'second, {left} left'
        )
