"""A machine that only pretends: for the set-up, without pip or compiler."""

import json
import re
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from envsetup import main as setup
from envsetup import operators, preflight
from envsetup.shell import Finished

ROOT = Path(__file__).parents[1]
ALL_FILES = 78
INPUTS = (
    *('requirements', 'setup.py', 'mmcp/version.py'),
    'mmcp/functional/_native.c',
)
SOURCE = 'onedl_mmcv-2.3.6'
WHEEL = f'{SOURCE}-cp311-cp311-linux_x86_64.whl'


def make_clone(root):
    """Copies what the set-up reads; returns the clone's places."""
    for name in INPUTS:
        source, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, target)
    return setup.Places(root, root.parent / 'store')


def make_wheel(folder, torch, name=WHEEL):
    """Writes a wheel that works with one version of torch only."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / name
    wheel.write_text(torch)
    return wheel


def failing(*lines):
    """Returns a fault: the command prints lines and fails."""
    return lambda: Finished(1, lines)


def interrupt():
    """A fault: somebody presses Ctrl-C."""
    raise KeyboardInterrupt


@dataclass
class Machine:
    """Runs the set-up's commands in its imagination.

    ``events`` names what was done, probing aside; ``faults`` maps an event
    to what happens instead of it, once.

    The machine's Python is ``version`` and lacks the modules ``missing``.
    A wheel's text is the torch that it was compiled against; no ``torch`` is
    one that cannot be imported.
    """

    places: setup.Places
    version: tuple[int, int, int] = (3, 11, 7)
    missing: tuple[str, ...] = ()
    torch: str | None = '2.13.0+cpu'
    gpu: bool = False
    toolkit: bool = False
    opencv: str | None = None
    operators: str | None = None
    mmcp: bool = False
    pip_cache: list[Path] = field(default_factory=list)
    compiled_for: str | None = None
    stop_compiling_after: int | None = None
    events: list[str] = field(default_factory=list)
    commands: list[list[str]] = field(default_factory=list)
    environments: list[dict[str, str]] = field(default_factory=list)
    faults: dict[str, Callable[[], Finished]] = field(default_factory=dict)

    @property
    def headers(self):
        """The folder of ``Python.h``."""
        return self.places.root.parent / 'include'

    def run(self, command, *, on_line=None, env=None):
        """Answers as the real command would."""
        self.commands.append([*command])
        self.environments.append(dict(env or {}))
        done = self._answer([*command[1:]], on_line)
        if on_line is not None:
            for line in done.lines:
                on_line(line)
        return done

    def _answer(self, words, on_line):
        if words[:2] == ['-I', '-c']:
            return self._evaluate(words[2])
        if words[:2] == ['-m', 'venv']:
            return self._event('venv', lambda: self._make_venv(words[2]))
        assert words[:2] == ['-m', 'pip'], words
        return {
            'install': lambda: self._install(words[3:]),
            'cache': lambda: Finished(0, [*map(str, self.pip_cache)]),
            'download': lambda: self._event(
                'download', lambda: self._download(words)
            ),
            'wheel': lambda: self._event(
                'compile', lambda: self._compile(words, on_line)
            ),
        }[words[2]]()

    def _event(self, name, action):
        self.events.append(name)
        fault = self.faults.pop(name, None)
        if fault is not None:
            return fault()
        action()
        return Finished(0)

    def _evaluate(self, code):
        if code == preflight.PROBE:
            return Finished(0, [json.dumps(self._facts())])
        if code == operators.TORCH and self.torch is None:
            return Finished(1, ['Illegal instruction'])
        if code == operators.TORCH:
            facts = {
                'version': self.torch,
                'gpu': self.gpu,
                'toolkit': self.toolkit,
            }
            return Finished(0, [json.dumps(facts)])
        if code == setup.CHECK_MMCP:
            version = '.'.join(map(str, self.version))
            return Finished(0, [version]) if self.mmcp else Finished(1)
        works = {
            'import pip': True,
            setup.CHECK_OPENCV: self.opencv == 'headless',
            operators.TRY_OUT: self.operators == self.torch is not None,
        }[code]
        return Finished(0 if works else 1)

    def _facts(self):
        return {
            'executable': '/usr/bin/python3',
            'version': self.version,
            'missing': self.missing,
            'machine': 'x86_64',
            'headers': str(self.headers),
        }

    def _make_venv(self, venv):
        binaries = Path(venv, 'bin')
        binaries.mkdir(parents=True)
        Path(venv, 'pyvenv.cfg').touch()
        binaries.joinpath('python').touch()
        binaries.joinpath('pip').write_text(f'#!{binaries}/python\n')

    def _install(self, words):
        specs = [word for word in words if re.match(r'[\w-]+==', word)]
        if '--editable' in words:
            return self._event('mmcp', lambda: setattr(self, 'mmcp', True))
        if words[-1].endswith('.whl'):
            wheel = Path(words[-1])
            return self._event(
                f'wheel of {wheel.parent.name}',
                lambda: setattr(self, 'operators', wheel.read_text()),
            )
        if specs[0].startswith(setup.HEADLESS):
            forced = '--force-reinstall' in words
            return self._event(
                'headless again' if forced else 'headless',
                lambda: self._install_headless(forced),
            )
        first = specs[0].split('==')[0]
        name = {'pip': 'build tools', 'torch': 'torch'}.get(first, 'rest')
        return self._event(name, lambda: self._install_rest(specs))

    def _install_headless(self, forced):
        # pip calls it installed already, whoever wrote cv2 last.
        if forced or self.opencv is None:
            self.opencv = 'headless'

    def _install_rest(self, specs):
        if any(spec.startswith('opencv-python==') for spec in specs):
            self.opencv = 'with windows'

    def _download(self, words):
        folder = Path(words[words.index('--dest') + 1])
        tree = folder / SOURCE
        tree.mkdir(parents=True)
        tree.joinpath('setup.py').touch()
        with tarfile.open(folder / f'{SOURCE}.tar.gz', 'w:gz') as tar:
            tar.add(tree, SOURCE)
        shutil.rmtree(tree)

    def _compile(self, words, on_line):
        """Compiles like ninja: what an earlier run compiled is not redone."""
        source = Path(words[-1])
        assert source.joinpath('setup.py').is_file()
        build = source / 'build' / 'temp.linux'
        build.mkdir(parents=True, exist_ok=True)
        build.joinpath('build.ninja').write_text('build x: y\n' * ALL_FILES)
        left = ALL_FILES - len([*build.glob('*.o')])
        for number in range(1, left + 1):
            if number - 1 == self.stop_compiling_after:
                self.stop_compiling_after = None
                raise KeyboardInterrupt
            build.joinpath(f'{ALL_FILES - left + number}.o').touch()
            on_line(f'  [{number}/{left}] c++ -MMD x.cpp')
        out = Path(words[words.index('--wheel-dir') + 1])
        make_wheel(out, self.compiled_for or self.torch)
