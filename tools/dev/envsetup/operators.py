"""mmcv's compiled operators: found, checked against torch, or compiled.

onedl-mmcv is published as source. Neither pip's cache nor the wheel's name
tells which torch a build was made against, so that every wheel is tried out
before it is trusted, and ours are kept under names that do tell.
"""

import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envsetup.pip import AGAIN, Pip
from envsetup.preflight import Python, check_compiler, check_disk
from envsetup.progress import CompileProgress, say
from envsetup.shell import SetupError, ended_by_signal

NAME = 'onedl-mmcv'
FLAGS = '-O2 -g0'  # a quarter less time than the default flags
GIB_PER_JOB = 1.5
BUILD_GIB = 1.0

# Runs two operators, on the GPU where torch sees one.
TRY_OUT = """
import sys, torch
from importlib.metadata import version
import mmcv._ext
from mmcv.ops import nms, roi_align
assert version('onedl-mmcv') == sys.argv[1], version('onedl-mmcv')
device = 'cuda' if torch.cuda.is_available() else 'cpu'
boxes = torch.tensor([[0, 0, 8, 8], [0, 0, 8, 7], [20, 20, 30, 30]])
boxes = boxes.float().to(device)
kept = nms(boxes, torch.tensor([.9, .8, .7], device=device), .5)[1]
assert kept.tolist() == [0, 2], kept
rois = torch.tensor([[0., 0, 0, 4, 4]], device=device)
pooled = roi_align(torch.ones(1, 1, 8, 8, device=device), rois, 2)
assert pooled.eq(1).all(), pooled
"""

TORCH = """
import json, torch
from torch.utils.cpp_extension import CUDA_HOME
print(json.dumps(dict(version=torch.__version__,
    gpu=torch.cuda.is_available(), toolkit=bool(CUDA_HOME))))
"""


@dataclass(frozen=True)
class Torch:
    """The installed torch, as far as compiling against it goes.

    Attributes:
        version: Its version with the local part, such as ``2.13.0+cpu``.
        gpu: Whether it sees a CUDA device.
        toolkit: Whether the CUDA compiler is installed.
    """

    version: str
    gpu: bool
    toolkit: bool


@dataclass(frozen=True)
class Operators:
    """Puts a working build of onedl-mmcv into the environment.

    Attributes:
        pip: The environment's pip.
        python: The interpreter that the environment was made from.
        version: The pinned version of onedl-mmcv.
        store: Folder for finished wheels, shared by all clones.
        scratch: Folder for unfinished builds, of this clone.
    """

    pip: Pip
    python: Python
    version: str
    store: Path
    scratch: Path

    def ensure(self) -> None:
        """Installs a build that works with the installed torch.

        Takes the first that works of: what is installed, our own earlier
        wheel, a wheel in pip's cache, a fresh compilation.

        Raises:
            SetupError: If it has to be compiled and cannot be.
        """
        if self.works():
            return
        torch = self.torch()
        for wheel in self.earlier_wheels(torch):
            if self._try(wheel):
                self._keep(wheel, torch)
                return
            say(f'  {wheel.name} does not fit torch {torch.version}')
            self._discard(wheel)
        wheel = self.compile(torch)
        if not self._try(wheel):
            raise SetupError(
                f'{NAME} compiled but does not work with torch '
                f'{torch.version} (see {self.pip.log}); delete '
                f'{self.scratch} and run "make env" again'
            )
        self._keep(wheel, torch)
        shutil.rmtree(self.scratch)

    def works(self) -> bool:
        """Tells whether the installed operators run, by running two."""
        command = [str(self.pip.python), '-I', '-c', TRY_OUT, self.version]
        return self.pip.runner.run(command).ok

    def torch(self) -> Torch:
        """Asks the environment about its torch.

        Raises:
            SetupError: If torch cannot be imported.
        """
        command = [str(self.pip.python), '-I', '-c', TORCH]
        done = self.pip.runner.run(command)
        if not done.ok:
            raise SetupError(
                'the installed torch cannot be imported '
                f'(see {self.pip.log}); delete .venv and run "make env" again'
            )
        return Torch(**json.loads(done.lines[-1]))

    def key(self, torch: Torch) -> str:
        """Names what a build depends on."""
        device = 'gpu' if torch.gpu else 'cpu'
        return (
            f'{self.version}-torch{torch.version}-{device}-'
            f'{self.python.tag}-{self.python.machine}'
        )

    def earlier_wheels(self, torch: Torch) -> Iterator[Path]:
        """Yields wheels that may fit: our own first, then pip's."""
        yield from sorted((self.store / self.key(torch)).glob('*.whl'))
        start = f'{NAME.replace("-", "_")}-{self.version}-{self.python.tag}-'
        for wheel in self.pip.cached_wheels(NAME):
            name = wheel.name
            if name.startswith(start) and self.python.machine in name:
                yield wheel

    def compile(self, torch: Torch) -> Path:
        """Compiles a wheel, going on where an interrupted run stopped.

        Returns:
            The wheel, inside ``scratch``.

        Raises:
            SetupError: If a tool or disk space is missing, or it fails.
        """
        check_compiler(self.python)
        _check_toolkit(torch)
        check_disk(self.scratch, BUILD_GIB)
        folder = self.scratch / self.key(torch)
        source, out = folder / 'source', folder / 'wheel'
        if not source.is_dir():
            self._fetch(source)
        jobs = compile_jobs()
        say(
            f'compiling the operators of {NAME} {self.version}, {jobs} files '
            'at a time (some 9 minutes on two cores)'
        )
        self._build(source, out, jobs)
        return next(out.glob('*.whl'))

    def _fetch(self, source: Path) -> None:
        archives = source.parent / 'archive'
        self.pip.download(
            archives,
            *('--no-deps', '--no-build-isolation', '--no-binary', NAME),
            f'{NAME}=={self.version}',
        )
        unpack(next(archives.glob('*.tar.gz')), source)

    def _build(self, source: Path, out: Path, jobs: int) -> None:
        progress = CompileProgress(lambda: count_files(source))
        command = [str(self.pip.python), '-m', 'pip', 'wheel', '--verbose']
        command += ['--no-deps', '--no-build-isolation', '--no-index']
        command += ['--wheel-dir', str(out), str(source)]
        try:
            done = self.pip.runner.run(
                command, on_line=progress, env=build_environment(jobs)
            )
        finally:
            progress.close()
        if not done.ok:
            reason = ended_by_signal(done) or explain_build(done.lines)
            raise SetupError(f'{reason} (full output: {self.pip.log})')

    def _try(self, wheel: Path) -> bool:
        self.pip.install('--no-deps', '--force-reinstall', str(wheel))
        return self.works()

    def _keep(self, wheel: Path, torch: Torch) -> None:
        folder = self.store / self.key(torch)
        if wheel.parent == folder:
            return
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f'{wheel.name}.{os.getpid()}.part'
        shutil.copyfile(wheel, part)
        os.replace(part, folder / wheel.name)

    def _discard(self, wheel: Path) -> None:
        """Deletes a wheel of our own; pip's cache is left to pip."""
        if self.store in wheel.parents:
            wheel.unlink()


def unpack(archive: Path, target: Path) -> None:
    """Unpacks a source archive's only folder to ``target``, all or nothing.

    Raises:
        SetupError: If the archive is damaged.
    """
    part = target.with_name(f'{target.name}.part')
    shutil.rmtree(part, ignore_errors=True)
    try:
        with tarfile.open(archive) as tar:
            if hasattr(tarfile, 'data_filter'):
                tar.extractall(part, filter='data')
            else:
                tar.extractall(part)
    except (tarfile.TarError, EOFError, OSError) as error:
        archive.unlink(missing_ok=True)
        raise SetupError(
            f'{archive.name} could not be unpacked ({error}); {AGAIN}'
        ) from None
    (folder,) = part.iterdir()
    os.replace(folder, target)
    part.rmdir()


def count_files(source: Path) -> int:
    """Counts the files that ninja's build file compiles, 0 without one."""
    for path in source.glob('build/*/build.ninja'):
        lines = path.read_text(encoding='utf-8').splitlines()
        return sum(line.startswith('build ') for line in lines)
    return 0


def compile_jobs() -> int:
    """Returns how many files to compile at once: all cores, if memory allows.

    A file takes up to 1.5 GiB.
    """
    if 'MAX_JOBS' in os.environ:
        return int(os.environ['MAX_JOBS'])
    if hasattr(os, 'sched_getaffinity'):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    return max(1, min(cores, int(memory / 2**30 / GIB_PER_JOB)))


def build_environment(
    jobs: int, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Returns the variables that the compilation runs with."""
    flags = f'{environ.get("CFLAGS", "")} {FLAGS}'.strip()
    return {
        'CFLAGS': flags,
        'MAX_JOBS': str(jobs),
        'MMCV_WITH_OPS': '1',
        'NINJA_STATUS': '[%f/%t] ',
    }


def explain_build(lines: Sequence[str]) -> str:
    """Says in one line why the compilation failed."""
    text = '\n'.join(lines)
    if 'No space left on device' in text:
        return f'the disk filled up while compiling; make room and {AGAIN}'
    if 'Killed signal' in text or 'out of memory' in text:
        return 'memory ran out while compiling; try: MAX_JOBS=1 make env'
    errors = [line.strip() for line in lines if ' error: ' in line]
    return f'compiling {NAME} failed: {(errors or ["no reason given"])[0]}'


def _check_toolkit(torch: Torch) -> None:
    if torch.gpu and not torch.toolkit:
        raise SetupError(
            'torch sees a GPU, but the CUDA compiler (nvcc) is missing; '
            'install it and set CUDA_HOME, or run without the GPU: '
            'CUDA_VISIBLE_DEVICES= make env'
        )
