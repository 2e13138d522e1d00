"""What a person sees while pip downloads and ninja compiles."""

import re
import shutil
import sys
import time
from collections.abc import Callable
from typing import TextIO

NINJA = re.compile(r'\s*\[(\d+)/(\d+)\]')
DOWNLOAD = re.compile(r'\s*Downloading (?:\S*/)?(\S+?) (\([\d.]+ [kMG]?B\))')
EVERY = 10  # files between two lines where the output is no terminal


def say(text: str) -> None:
    """Prints a line at once, also into a pipe."""
    print(text, flush=True)


def minutes(seconds: float) -> str:
    """Writes a duration roughly, as people say it.

    Examples:
        >>> minutes(8)
        '8 s'
        >>> minutes(400)
        'about 7 min'
    """
    if seconds < 60:
        return f'{seconds:.0f} s'
    return f'about {seconds / 60:.0f} min'


def show_download(line: str) -> None:
    """Passes on the lines in which pip starts to download a package."""
    match = DOWNLOAD.match(line)
    if match and not match[1].endswith('.metadata'):
        say(f'  downloading {match[1]} {match[2]}')


class CompileProgress:
    """Turns ninja's ``[3/78] c++ ...`` lines into files done and time left.

    After an interruption ninja counts only what is left, so that the number
    of all files comes from its build file.

    Args:
        count_all: Returns the number of files of the whole build, 0 while it
            is not known. Asked once, at the first line of ninja's.
        stream: Where the progress goes; one changing line on a terminal,
            else a line every ten files. Defaults to None, standard output.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        count_all: Callable[[], int],
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count_all = count_all
        self._stream = stream or sys.stdout
        self._terminal = self._stream.isatty()
        self._clock = clock
        self._started = clock()
        self._earlier = 0
        self._shown = -1

    def __call__(self, line: str) -> None:
        """Takes one line of the build's output."""
        match = NINJA.match(line)
        if match is None:
            return
        done, now_total = int(match[1]), int(match[2])
        if self._shown < 0:
            self._earlier = max(self._count_all() - now_total, 0)
        self._show(done, now_total)

    def close(self) -> None:
        """Ends the changing line of a terminal."""
        if self._terminal and self._shown >= 0:
            self._stream.write('\n')

    def _show(self, done: int, now_total: int) -> None:
        overall, total = done + self._earlier, now_total + self._earlier
        due = overall // EVERY > self._shown // EVERY or done == now_total
        if self._terminal or due:
            left = self._time_left(done, now_total)
            self._write(f'  compiling operators {overall}/{total}{left}')
        self._shown = overall

    def _time_left(self, done: int, now_total: int) -> str:
        if done == now_total:
            return ', linking'
        seconds = (self._clock() - self._started) / done * (now_total - done)
        return f', {minutes(seconds)} left'

    def _write(self, text: str) -> None:
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f'\r{text[:width]:<{width}}')
        else:
            self._stream.write(f'{text}\n')
        self._stream.flush()
