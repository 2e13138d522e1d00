"""mmcv's operators: candidates in order, resumed compilation, messages."""

import subprocess
import sys
import tarfile
from importlib import metadata

import pytest
from envsetup import operators
from envsetup.operators import NAME, TRY_OUT, Operators
from envsetup.pip import Pip
from envsetup.preflight import probe
from envsetup.shell import SetupError
from pretend_machine import SOURCE, WHEEL, make_wheel

KEY = '2.3.6-torch2.13.0+cpu-cpu-cp311-x86_64'
OLD = '2.4.0+cpu'
COMPILED = ['download', 'compile', 'wheel of wheel']


@pytest.fixture
def ensure(machine):
    """Returns a function that gets the operators; it returns the events."""
    places = machine.places

    def ensure():
        machine.events.clear()
        Operators(
            pip=Pip(machine, places.python, places.log),
            python=probe(machine, 'python3'),
            version='2.3.6',
            store=places.store,
            scratch=places.cache / 'operators',
        ).ensure()
        return machine.events

    return ensure


def files_below(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob('*')
        if path.is_file()
    }


def test_installed_operators_that_work_are_kept(machine, ensure):
    machine.operators = machine.torch

    assert ensure() == []
    assert not machine.places.store.exists()


def test_compiled_when_there_is_nothing_and_kept(machine, ensure):
    assert ensure() == COMPILED
    assert machine.operators == machine.torch
    assert files_below(machine.places.store) == {
        f'{KEY}/{WHEEL}': machine.torch
    }
    assert files_below(machine.places.cache) == {}


def test_our_store_comes_before_pips_cache(machine, ensure, tmp_path):
    make_wheel(machine.places.store / KEY, machine.torch)
    machine.pip_cache = [make_wheel(tmp_path / 'pip', machine.torch)]

    assert ensure() == [f'wheel of {KEY}']


def test_pips_cache_comes_before_compiling_and_is_kept(
    machine, ensure, tmp_path
):
    machine.pip_cache = [make_wheel(tmp_path / 'pip', machine.torch)]

    assert ensure() == ['wheel of pip']
    assert files_below(machine.places.store) == {
        f'{KEY}/{WHEEL}': machine.torch
    }


@pytest.mark.parametrize(
    'name',
    [
        'onedl_mmcv-2.3.5-cp311-cp311-linux_x86_64.whl',
        'onedl_mmcv-2.3.6-cp312-cp312-linux_x86_64.whl',
        'onedl_mmcv-2.3.6-cp311-cp311-linux_aarch64.whl',
    ],
)
def test_wheels_of_another_kind_are_not_tried(machine, ensure, tmp_path, name):
    machine.pip_cache = [make_wheel(tmp_path / 'pip', machine.torch, name)]

    assert ensure() == COMPILED


def test_wheels_that_do_not_fit_are_dropped_and_compiled_anew(
    machine, ensure, tmp_path, capsys
):
    machine.operators = OLD
    ours = make_wheel(machine.places.store / KEY, OLD)
    cached = make_wheel(tmp_path / 'pip', OLD)
    machine.pip_cache = [cached]

    assert ensure() == [f'wheel of {KEY}', 'wheel of pip', *COMPILED]
    assert machine.operators == machine.torch
    assert ours.read_text() == machine.torch
    assert cached.read_text() == OLD  # pip's own business
    said = capsys.readouterr().out
    assert said.count(f'{WHEEL} does not fit torch 2.13.0+cpu') == 2


def test_a_dropped_wheel_does_not_come_back(machine, ensure):
    ours = make_wheel(machine.places.store / KEY, OLD)
    machine.stop_compiling_after = 0
    with pytest.raises(KeyboardInterrupt):
        ensure()

    assert not ours.exists()
    assert ensure() == ['compile', 'wheel of wheel']


def test_every_torch_has_a_wheel_of_its_own(machine, ensure):
    first = machine.torch
    ensure()
    machine.torch = OLD

    assert ensure() == COMPILED
    machine.torch = first
    assert ensure() == [f'wheel of {KEY}']


def test_a_build_that_does_not_work_is_told(machine, ensure):
    machine.compiled_for = OLD

    with pytest.raises(
        SetupError,
        match=r'compiled but does not work with torch 2\.13\.0\+cpu',
    ):
        ensure()
    assert not machine.places.store.exists()


def test_torch_that_cannot_be_imported(machine, ensure):
    machine.torch = None

    with pytest.raises(
        SetupError, match=r'cannot be imported .* delete \.venv and run'
    ):
        ensure()


def test_gpu_without_its_compiler(machine, ensure):
    machine.gpu = True
    with pytest.raises(SetupError, match=r'nvcc\) is missing; install it'):
        ensure()

    machine.toolkit = True
    assert ensure() == COMPILED
    (folder,) = machine.places.store.iterdir()
    assert folder.name == KEY.replace('-cpu-', '-gpu-')


def test_too_little_disk_to_compile(machine, ensure, disk):
    disk.free = 2**29

    with pytest.raises(SetupError, match=r'0\.5 GiB .* 1 GiB are needed'):
        ensure()


def test_an_interrupted_compilation_goes_on(machine, ensure, capsys):
    machine.stop_compiling_after = 22
    with pytest.raises(KeyboardInterrupt):
        ensure()
    assert '  compiling operators 20/78, ' in capsys.readouterr().out

    assert ensure() == ['compile', 'wheel of wheel']

    lines = capsys.readouterr().out.splitlines()
    shown = [line for line in lines if line.startswith('  compiling')]
    assert shown[0].startswith('  compiling operators 23/78, ')
    assert shown[-1] == '  compiling operators 78/78, linking'
    assert machine.operators == machine.torch


def test_the_compilation_runs_with_our_flags(machine, ensure, monkeypatch):
    monkeypatch.setenv('CFLAGS', '-march=native')
    ensure()

    index = next(
        index
        for index, command in enumerate(machine.commands)
        if 'wheel' in command
    )
    assert machine.environments[index] == {
        'CFLAGS': '-march=native -O2 -g0',
        'MAX_JOBS': '2',
        'MMCV_WITH_OPS': '1',
        'NINJA_STATUS': '[%f/%t] ',
    }
    assert '--no-build-isolation' in machine.commands[index]


def test_jobs_are_limited_by_memory_and_by_cores(monkeypatch):
    monkeypatch.delenv('MAX_JOBS', raising=False)
    monkeypatch.setattr(operators.os, 'sched_getaffinity', lambda _: range(8))
    gib = {'SC_PHYS_PAGES': 2**30, 'SC_PAGE_SIZE': 7}
    monkeypatch.setattr(operators.os, 'sysconf', gib.get)
    assert operators.compile_jobs() == 4

    gib['SC_PAGE_SIZE'] = 1
    assert operators.compile_jobs() == 1

    gib['SC_PAGE_SIZE'] = 64
    assert operators.compile_jobs() == 8

    monkeypatch.setenv('MAX_JOBS', '3')
    assert operators.compile_jobs() == 3


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        (
            'fatal error: x.o: No space left on device',
            'the disk filled up while compiling; make room and run '
            '"make env" again, it goes on where it stopped',
        ),
        (
            'c++: fatal error: Killed signal terminated program cc1plus',
            'memory ran out while compiling; try: MAX_JOBS=1 make env',
        ),
        (
            '  nms.cpp:3:1: error: expected unqualified-id',
            'compiling onedl-mmcv failed: nms.cpp:3:1: error: expected '
            'unqualified-id',
        ),
        ('all is well', 'compiling onedl-mmcv failed: no reason given'),
    ],
)
def test_why_the_compilation_failed(line, message):
    lines = ['[1/78] c++ -MMD nms.cpp', line, '2 errors generated.']
    assert operators.explain_build(lines) == message


def test_a_damaged_archive_is_removed(tmp_path):
    archive = tmp_path / 'archive.tar.gz'
    archive.write_bytes(b'half of it')

    with pytest.raises(SetupError, match=r'archive\.tar\.gz could not be'):
        operators.unpack(archive, tmp_path / 'source')
    assert not archive.exists()
    assert not (tmp_path / 'source').exists()


def test_a_half_unpacked_archive_is_unpacked_anew(tmp_path):
    tree = tmp_path / SOURCE
    tree.mkdir()
    tree.joinpath('setup.py').write_text('whole')
    with tarfile.open(tmp_path / 'a.tar.gz', 'w:gz') as tar:
        tar.add(tree, SOURCE)
    half = tmp_path / 'source.part' / SOURCE
    half.mkdir(parents=True)
    half.joinpath('setup.py').write_text('wh')
    half.joinpath('stale.cpp').touch()

    operators.unpack(tmp_path / 'a.tar.gz', tmp_path / 'source')

    assert files_below(tmp_path / 'source') == {'setup.py': 'whole'}
    assert not (tmp_path / 'source.part').exists()


def test_files_are_counted_in_ninjas_file(tmp_path):
    assert operators.count_files(tmp_path) == 0

    build = tmp_path / 'build' / 'temp.linux-x86_64-cpython-311'
    build.mkdir(parents=True)
    build.joinpath('build.ninja').write_text(
        'rule compile\n  command = c++\n\n'
        'build a.o: compile a.cpp\nbuild b.o: compile b.cpp\n'
    )
    assert operators.count_files(tmp_path) == 2


def test_the_try_out_passes_here_and_refuses_another_version():
    """The one test with the real operators."""
    try:
        version = metadata.version(NAME)
    except metadata.PackageNotFoundError:
        pytest.skip(f'{NAME} is not installed: the stack is of the other line')
    code = f"""
import sys
exec({TRY_OUT!r})
print('works')
sys.argv[1] = '0'
exec({TRY_OUT!r})
"""
    done = subprocess.run(
        [sys.executable, '-I', '-c', code, version],
        capture_output=True,
        text=True,
    )
    assert done.stdout == 'works\n', done.stderr
    assert done.stderr.splitlines()[-1] == f'AssertionError: {version}'
