"""The set-up itself, step by step."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from envsetup import preflight, state
from envsetup.operators import NAME as MMCV
from envsetup.operators import Operators
from envsetup.pins import read_pins
from envsetup.pip import Pip
from envsetup.progress import minutes, say
from envsetup.shell import Runner, SetupError, Shell

HEADLESS = 'opencv-python-headless'
BUILD_TOOLS = ('pip', 'setuptools', 'wheel', 'ninja', 'psutil', 'packaging')
# A CUDA build of torch: 6 GiB installed, 2.5 more while it is unpacked.
VENV_GIB = 8.0

# opencv-python and the headless build own the same files; only the second
# runs where there is no libGL.
CHECK_OPENCV = """
import re, cv2
assert re.search(r'GUI: +NONE', cv2.getBuildInformation())
"""
CHECK_MMCP = 'import sys, mmcp; print(sys.version.split()[0])'


@dataclass(frozen=True)
class Places:
    """The files and folders of one clone's environment.

    Attributes:
        root: The clone.
        store: Folder for compiled wheels, shared by all clones.
    """

    root: Path
    store: Path

    @property
    def venv(self) -> Path:
        """The virtual environment."""
        return self.root / '.venv'

    @property
    def python(self) -> Path:
        """The virtual environment's interpreter."""
        return self.venv / 'bin' / 'python'

    @property
    def cache(self) -> Path:
        """The clone's own lock, log and unfinished builds."""
        return self.root / '.cache'

    @property
    def log(self) -> Path:
        """The full output of every command of the last run."""
        return self.cache / 'env.log'


def default_places() -> Places:
    """Returns the places of the clone that this file is in."""
    root = Path(__file__).resolve().parents[3]
    user = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Places(root, Path(user, 'mmcp', 'wheels'))


def up_to_date(places: Places, runner: Runner) -> str | None:
    """Returns the environment's Python version if nothing is to be done."""
    stamp = state.read_stamp(places.venv)
    if stamp.get('fingerprint') != state.fingerprint(places.root):
        return None
    version = ask(places, runner, CHECK_MMCP)
    return version if version == stamp.get('python') else None


def ask(places: Places, runner: Runner, code: str) -> str | None:
    """Runs code in the environment; returns the last line it prints.

    None stands for a failure.
    """
    if not places.python.exists():
        return None
    done = runner.run([str(places.python), '-I', '-c', code])
    return (done.lines[-1] if done.lines else '') if done.ok else None


def ensure_venv(places: Places, runner: Runner) -> preflight.Python:
    """Makes the virtual environment, unless a whole one is there.

    Returns:
        The interpreter that it was made from.

    Raises:
        SetupError: If the machine lacks what it takes.
    """
    python = usable_venv(places, runner)
    if python is not None:
        return python
    python = preflight.choose_python(preflight.candidates(runner))
    preflight.check_disk(places.root, VENV_GIB)
    remove_venv(places.venv)
    say(f'making .venv with Python {python.dotted}')
    done = runner.run([python.executable, '-m', 'venv', str(places.venv)])
    if not done.ok:
        reason = done.lines[-1] if done.lines else 'no reason given'
        raise SetupError(f'could not make .venv: {reason}')
    return python


def usable_venv(places: Places, runner: Runner) -> preflight.Python | None:
    """Returns the interpreter of a whole ``.venv``, None for any other.

    One that lacks pip was interrupted; one whose scripts start another
    folder's interpreter was moved.
    """
    pip = places.venv / 'bin' / 'pip'
    if not places.python.exists() or not pip.is_file():
        return None
    if str(places.venv) not in pip.read_text(encoding='utf-8'):
        return None
    if ask(places, runner, 'import pip') is None:
        return None
    python = preflight.probe(runner, str(places.python))
    return python if python is not None and python.supported else None


def remove_venv(venv: Path) -> None:
    """Removes a half-made environment, and nothing else of that name.

    Raises:
        SetupError: If ``.venv`` is something else.
    """
    if venv.is_symlink():
        venv.unlink()
    elif venv.is_dir() and (
        (venv / 'pyvenv.cfg').exists() or not any(venv.iterdir())
    ):
        shutil.rmtree(venv)
    elif venv.exists():
        raise SetupError(
            f'{venv} is there, but it is no virtual environment; move it away'
        )


def sweep(venv: Path) -> None:
    """Removes what an interrupted pip left: it could not deal with it itself.

    pip writes a package's ``RECORD`` last and cannot replace one without;
    what it was about to remove has a name that starts with ``~``.
    """
    for site in venv.glob('lib/python*/site-packages'):
        for info in site.glob('*.dist-info'):
            if not (info / 'RECORD').is_file():
                shutil.rmtree(info)
        for leftover in site.glob('~*'):
            shutil.rmtree(leftover, ignore_errors=True)


def install_packages(root: Path, pip: Pip, pins: dict[str, str]) -> None:
    """Installs every pin but onedl-mmcv.

    torch alone is resolved with its dependencies: a CUDA build has some that
    a CPU build has not.
    """
    say('installing torch')
    pip.install(*specs(pins, BUILD_TOOLS))
    constraints = [
        argument
        for name in ('runtime.txt', 'transitive.txt')
        for argument in ('--constraint', str(root / 'requirements' / name))
    ]
    pip.install(*specs(pins, ['torch']), *constraints)
    special = {'torch', MMCV, HEADLESS}
    rest = [name for name in pins if name not in special]
    say(f'installing the other {len(rest)} packages')
    pip.install('--no-deps', '--no-build-isolation', *specs(pins, rest))


def install_opencv(places: Places, pip: Pip, pins: dict[str, str]) -> None:
    """Sees to it that ``cv2`` is the build without a window system.

    Raises:
        SetupError: If ``cv2`` cannot be imported afterwards.
    """
    spec = specs(pins, [HEADLESS])
    pip.install('--no-deps', *spec)
    if ask(places, pip.runner, CHECK_OPENCV) is not None:
        return
    pip.install('--no-deps', '--force-reinstall', *spec)
    if ask(places, pip.runner, CHECK_OPENCV) is None:
        raise SetupError(f'cv2 cannot be imported (see {pip.log})')


def specs(
    pins: dict[str, str], names: tuple[str, ...] | list[str]
) -> list[str]:
    """Returns ``NAME==VERSION`` for each name."""
    return [f'{name}=={pins[name]}' for name in names]


def build(places: Places, runner: Runner) -> None:
    """Brings the environment to the pinned state, from whatever there is.

    Raises:
        SetupError: If something is missing or fails, in one line.
    """
    pins = read_pins(places.root / 'requirements')
    python = ensure_venv(places, runner)
    state.drop_stamp(places.venv)
    sweep(places.venv)
    pip = Pip(runner, places.python, places.log)
    install_packages(places.root, pip, pins)
    install_opencv(places, pip, pins)
    Operators(
        pip=pip,
        python=python,
        version=pins[MMCV],
        store=places.store,
        scratch=places.cache / 'operators',
    ).ensure()
    editable = ['--editable', str(places.root)]
    pip.install('--no-deps', '--no-build-isolation', *editable)
    version = ask(places, runner, CHECK_MMCP)
    if version is None:
        raise SetupError(f'mmcp cannot be imported (see {places.log})')
    stamp = {'fingerprint': state.fingerprint(places.root), 'python': version}
    state.write_stamp(places.venv, stamp)


def run(places: Places, make_runner: Callable[[int], Runner]) -> None:
    """Builds the environment unless it is up to date.

    Args:
        places: Where things are.
        make_runner: Makes the runner, given the descriptor of the lock.
    """
    started = time.monotonic()
    with state.locked(places.cache / 'env.lock') as lock:
        runner = make_runner(lock)
        version = up_to_date(places, runner)
        if version is not None:
            say(f'.venv is up to date (Python {version})')
            return
        places.log.unlink(missing_ok=True)
        build(places, runner)
        taken = minutes(time.monotonic() - started)
        say(f'.venv is ready ({taken}); use it: source .venv/bin/activate')


def main() -> int:
    """Runs the set-up; returns the exit status."""
    places = default_places()
    # A shell may have started this with SIGINT ignored; a closed terminal
    # must stop the compiler too.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        run(places, lambda lock: Shell(places.log, keep_open=[lock]))
    except SetupError as error:
        print(f'make env: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            '\nmake env: stopped; run "make env" again to go on from here',
            file=sys.stderr,
        )
        return 130
    except OSError as error:
        print(f'make env: {error}', file=sys.stderr)
        return 1
    return 0
