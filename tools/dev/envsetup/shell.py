"""Running commands: streamed, logged, and stopped cleanly on Ctrl-C."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

# Settings that would send pip's files, or Python's search, elsewhere.
UNWANTED = ('PYTHONPATH', 'PYTHONHOME', 'PIP_USER', 'PIP_TARGET', 'PIP_PREFIX')
SETTINGS = {
    'PIP_DISABLE_PIP_VERSION_CHECK': '1',
    'PIP_NO_INPUT': '1',
    'PYTHONUNBUFFERED': '1',
}
PATIENCE_SECONDS = 10


class SetupError(Exception):
    """What stops the set-up, in one line that says what to do."""


@dataclass(frozen=True)
class Finished:
    """A command that has ended.

    Attributes:
        returncode: Its exit status, 0 for success.
        lines: Standard output and error together, without line ends.
    """

    returncode: int
    lines: Sequence[str] = ()

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.returncode == 0


def ended_by_signal(done: Finished) -> str | None:
    """Says which signal ended a command, None if it ended by itself."""
    if done.returncode >= 0:
        return None
    name = signal.Signals(-done.returncode).name
    cause = 'perhaps memory ran out' if name == 'SIGKILL' else 'from outside'
    return f'stopped by {name}, {cause}; run "make env" again to go on'


class Runner(Protocol):
    """Whatever runs commands; tests pass one that only pretends to."""

    def run(
        self,
        command: Sequence[str],
        *,
        on_line: Callable[[str], None] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Finished:
        """Runs a command to its end.

        Args:
            command: Program and arguments.
            on_line: Called with every line of output as it comes.
            env: Variables on top of the inherited ones.

        Returns:
            The exit status and the output.
        """
        ...


class Shell:
    """Runs commands, each in a process group of its own, and logs them.

    Args:
        log: File that receives every command and its output.
        keep_open: File descriptors that the commands inherit, such as the
            lock: it is then held until the last of them has ended.
    """

    def __init__(self, log: Path, keep_open: Iterable[int] = ()) -> None:
        self._log = log
        self._keep_open = tuple(keep_open)

    def run(
        self,
        command: Sequence[str],
        *,
        on_line: Callable[[str], None] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Finished:
        """Runs a command to its end; see :class:`Runner`."""
        with self._log.open('a', encoding='utf-8') as log:
            log.write(f'$ {" ".join(command)}\n')
            with subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding='utf-8',
                errors='replace',
                env=_environment(env or {}),
                start_new_session=True,
                pass_fds=self._keep_open,
            ) as process:
                try:
                    lines = _follow(process, log.write, on_line)
                except BaseException:
                    _stop(process)
                    raise
            log.write(f'exit status {process.returncode}\n')
        return Finished(process.returncode, lines)


def _follow(
    process: 'subprocess.Popen[str]',
    write: Callable[[str], object],
    on_line: Callable[[str], None] | None,
) -> list[str]:
    lines = []
    for raw in process.stdout or ():
        write(raw)
        lines.append(raw.rstrip())
        if on_line is not None:
            on_line(lines[-1])
    process.wait()
    return lines


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if k not in UNWANTED}
    return inherited | SETTINGS | dict(extra)


def _stop(process: 'subprocess.Popen[str]') -> None:
    """Ends a command and its children; ninja tidies up on SIGINT."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            process.poll()
            if not _is_running(process.pid):
                return
            time.sleep(0.05)


def _is_running(group: int) -> bool:
    """Tells whether a process group does anything still.

    Zombies do not: containers often have no init process that would reap
    them, so that the group itself stays.
    """
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    stats = [*Path('/proc').glob('[0-9]*/stat')]
    return not stats or any(_is_active(stat, group) for stat in stats)


def _is_active(stat: Path, group: int) -> bool:
    try:
        text = stat.read_text(encoding='utf-8', errors='replace')
    except OSError:  # It has ended just now.
        return False
    # The name, in parentheses, may hold anything.
    state, _, its_group = text.rpartition(')')[2].split()[:3]
    return int(its_group) == group and state != 'Z'
