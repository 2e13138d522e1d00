"""What the machine must have, checked before anything is downloaded."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from envsetup.shell import Runner, SetupError

# The pins have builds for these. 3.11 is the one that is tested.
SUPPORTED = ((3, 11), (3, 12), (3, 13))
GIB = 2**30

PROBE = """
import importlib.util, json, platform, sys, sysconfig
missing = [name for name in ('venv', 'ensurepip')
           if importlib.util.find_spec(name) is None]
print(json.dumps(dict(
    executable=getattr(sys, '_base_executable', sys.executable),
    version=sys.version_info[:3], missing=missing,
    machine=platform.machine(), headers=sysconfig.get_path('include'))))
"""


@dataclass(frozen=True)
class Python:
    """A Python interpreter of this machine.

    Attributes:
        executable: The interpreter itself, not one of a virtual environment.
        version: Major, minor and micro version.
        missing: Modules that virtual environments need and it lacks.
        machine: Processor type, such as ``x86_64``.
        headers: Folder that should hold ``Python.h``.
    """

    executable: str
    version: tuple[int, int, int]
    missing: tuple[str, ...]
    machine: str
    headers: str

    @property
    def supported(self) -> bool:
        """Whether the pinned packages have builds for it."""
        return self.version[:2] in SUPPORTED

    @property
    def name(self) -> str:
        """Its usual command, such as ``python3.11``."""
        return f'python{self.version[0]}.{self.version[1]}'

    @property
    def tag(self) -> str:
        """Its tag in the names of wheels, such as ``cp311``."""
        return f'cp{self.version[0]}{self.version[1]}'

    @property
    def dotted(self) -> str:
        """Its full version, such as ``3.11.7``."""
        return '.'.join(map(str, self.version))


def probe(runner: Runner, executable: str) -> Python | None:
    """Asks an interpreter about itself; None if it does not run."""
    try:
        done = runner.run([executable, '-I', '-c', PROBE])
        found = json.loads(done.lines[-1]) if done.ok and done.lines else None
    except (OSError, ValueError):
        return None
    if found is None:
        return None
    found['version'] = tuple(found['version'])
    found['missing'] = tuple(found['missing'])
    return Python(**found)


def choose_python(candidates: Iterable[Python]) -> Python:
    """Picks the first interpreter that can hold the environment.

    Raises:
        SetupError: If none has a supported version and the modules that
            make virtual environments.
    """
    seen = [*candidates]
    supported = [python for python in seen if python.supported]
    for python in supported:
        if not python.missing:
            return python
    if supported:
        python = supported[0]
        raise SetupError(
            f'{python.executable} has no module {python.missing[0]!r}, which '
            'makes virtual environments; install it, e.g. apt-get install '
            f'{python.name}-venv'
        )
    versions = ', '.join(f'{major}.{minor}' for major, minor in SUPPORTED)
    found = ', '.join(python.dotted for python in seen) or 'none'
    raise SetupError(
        f'the pinned packages need one of Python {versions} (found: {found}); '
        'install it and run: make env PYTHON=python3.11'
    )


def candidates(runner: Runner) -> Iterable[Python]:
    """Yields this interpreter, then the supported ones on the path."""
    names = [sys.executable]
    names += [f'python{major}.{minor}' for major, minor in SUPPORTED]
    for name in names:
        python = probe(runner, name) if shutil.which(name) else None
        if python is not None:
            yield python


def check_disk(
    folder: Path,
    needed_gib: float,
    free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
) -> None:
    """Checks the space on the disk that a folder is, or will be, on.

    Raises:
        SetupError: If less than ``needed_gib`` GiB are free.
    """
    while not folder.exists():
        folder = folder.parent
    left = free(folder) / GIB
    if left < needed_gib:
        raise SetupError(
            f'too little disk: {left:.1f} GiB are free at {folder}, '
            f'{needed_gib:g} GiB are needed; make room and run it again'
        )


def check_compiler(
    python: Python,
    environ: Mapping[str, str] = os.environ,
    which: Callable[[str], str | None] = shutil.which,
) -> None:
    """Checks for what compiling mmcv's operators takes.

    Raises:
        SetupError: If there is no C++ compiler or no Python headers.
    """
    compiler = shlex.split(environ.get('CXX', '')) or ['c++']
    if which(compiler[0]) is None:
        raise SetupError(
            f'no C++ compiler: {compiler[0]!r} is not on the path (mmcv comes '
            'as source); install one, e.g. apt-get install g++'
        )
    if not Path(python.headers, 'Python.h').is_file():
        raise SetupError(
            f'no Python headers: Python.h is not in {python.headers}; '
            f'install them, e.g. apt-get install {python.name}-dev'
        )
