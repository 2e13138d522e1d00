"""Calling pip, and saying in one line why it failed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from envsetup.progress import show_download
from envsetup.shell import Finished, Runner, SetupError, ended_by_signal

COLLECTING = re.compile(r'\s*(?:Collecting|Processing) (\S+)')
DOWNLOADING = re.compile(r'\s*Downloading (?:\S*/)?(\S+)')
NO_MATCH = re.compile(r'ERROR: No matching distribution found for (\S+)')
NO_BUILD = re.compile(
    r'ERROR: (?:Failed building wheel for|Failed to build(?: installable '
    r'wheels for some pyproject.toml based projects)?) [\'(]?([\w.-]+)'
)
NETWORK = re.compile(
    r'Retrying \(|ReadTimeout|Read timed out|ConnectionError|NewConnection|'
    r'Temporary failure in name|Max retries|IncompleteRead|SSLError|HTTP error'
)
AGAIN = 'run "make env" again, it goes on where it stopped'


@dataclass(frozen=True)
class Pip:
    """The pip of a virtual environment.

    Attributes:
        runner: Runs the commands.
        python: The environment's interpreter.
        log: Where the runner keeps the full output, named in errors.
    """

    runner: Runner
    python: Path
    log: Path

    def install(self, *arguments: str) -> None:
        """Runs ``pip install``.

        Raises:
            SetupError: If it fails, with the name of the package at fault.
        """
        self._run('install', *arguments)

    def download(self, folder: Path, *arguments: str) -> None:
        """Runs ``pip download`` into a folder; raises as ``install``."""
        self._run('download', '--dest', str(folder), *arguments)

    def cached_wheels(self, name: str) -> list[Path]:
        """Returns the wheels of a package that pip built here earlier."""
        pattern = name.replace('-', '_')
        done = self._call('cache', 'list', pattern, '--format=abspath')
        found = [Path(line) for line in done.lines if line.endswith('.whl')]
        return found if done.ok else []

    def _run(self, *arguments: str) -> None:
        done = self._call(*arguments)
        if not done.ok:
            reason = ended_by_signal(done) or explain(done.lines)
            raise SetupError(f'{reason} (full output: {self.log})')

    def _call(self, *arguments: str) -> Finished:
        command = [str(self.python), '-m', 'pip', *arguments]
        return self.runner.run(command, on_line=show_download)


def explain(lines: Sequence[str]) -> str:
    """Says in one line why pip failed, from what it printed."""
    text = '\n'.join(lines)
    package = _last(COLLECTING, lines) or 'a package'
    if 'No space left on device' in text:
        return f'the disk is full; make room and {AGAIN}'
    if NETWORK.search(text):
        package = (
            _last(NO_MATCH, lines) or _last(DOWNLOADING, lines) or package
        )
        return f'could not download {package}: no connection; {AGAIN}'
    if match := NO_MATCH.search(text):
        return f'pip finds no {match[1]} for this Python and machine'
    if match := NO_BUILD.search(text):
        return f'could not build {match[1]}'
    errors = [line for line in lines if line.startswith('ERROR: ')]
    last = errors[-1][7:200] if errors else 'pip gave no reason'
    return f'could not install {package}: {last}'


def _last(pattern: re.Pattern[str], lines: Sequence[str]) -> str | None:
    matches = [match[1] for line in lines if (match := pattern.match(line))]
    return matches[-1] if matches else None
