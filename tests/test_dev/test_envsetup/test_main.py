"""The set-up from start to end, on a pretended machine."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from envsetup import main as setup
from envsetup import state
from envsetup.operators import NAME
from envsetup.pins import read_pins
from envsetup.shell import Finished, SetupError
from pretend_machine import ROOT, failing, interrupt, make_wheel

FIRST_RUN = [
    'venv',
    'build tools',
    'torch',
    'rest',
    'headless',
    'headless again',
    'download',
    'compile',
    'wheel of wheel',
    'mmcp',
]


def set_up(machine):
    """Runs the set-up; returns what it did this time."""
    machine.events.clear()
    machine.commands.clear()
    setup.run(machine.places, lambda lock: machine)
    return machine.events


@pytest.fixture
def start(machine, monkeypatch):
    """Returns a function that runs ``main`` on the pretended machine."""
    handlers = {}
    monkeypatch.setattr(setup, 'default_places', lambda: machine.places)
    monkeypatch.setattr(setup, 'Shell', lambda log, keep_open: machine)
    monkeypatch.setattr(signal, 'signal', handlers.__setitem__)

    def start():
        status = setup.main()
        assert handlers == dict.fromkeys(
            (signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
            signal.default_int_handler,
        )
        return status

    return start


def test_a_bare_machine_gets_everything_once(machine, capsys):
    assert set_up(machine) == FIRST_RUN

    said = capsys.readouterr().out.splitlines()
    assert said[0] == 'making .venv with Python 3.11.7'
    assert said[-1].startswith('.venv is ready (')
    assert machine.operators == machine.torch
    assert machine.opencv == 'headless'


def test_a_second_run_does_nothing(machine, capsys):
    set_up(machine)
    capsys.readouterr()

    assert set_up(machine) == []

    assert len(machine.commands) == 1  # Does `import mmcp` still work?
    assert capsys.readouterr().out == '.venv is up to date (Python 3.11.7)\n'


def test_every_pin_is_installed_exactly_once(machine):
    pins = read_pins(ROOT / 'requirements')
    set_up(machine)

    specs = [
        word
        for command in machine.commands
        if 'install' in command and '--force-reinstall' not in command
        for word in command
        if '==' in word
    ]
    wanted = {
        f'{name}=={version}'
        for name, version in pins.items()
        if name != NAME  # a wheel that was tried out
    }
    assert set(specs) == wanted
    twice = {spec.split('==')[0] for spec in specs if specs.count(spec) > 1}
    assert twice == set(setup.BUILD_TOOLS)


def test_a_clone_beside_it_takes_the_operators_from_the_store(machine):
    set_up(machine)
    shutil.rmtree(machine.places.root / '.venv')
    shutil.rmtree(machine.places.root / '.cache')
    machine.opencv = machine.operators = None
    machine.mmcp = False

    key = '2.3.6-torch2.13.0+cpu-cpu-cp311-x86_64'
    assert set_up(machine) == [*FIRST_RUN[:6], f'wheel of {key}', 'mmcp']


@pytest.mark.parametrize('name', state.INPUTS)
def test_a_changed_input_is_gone_over_without_compiling(machine, name):
    set_up(machine)
    with (machine.places.root / name).open('a') as file:
        file.write('# a comment\n')

    assert set_up(machine) == [*FIRST_RUN[1:5], 'headless again', 'mmcp']
    assert set_up(machine) == []


def test_a_stamp_of_another_folder_is_not_trusted(machine):
    """A clone was moved: its scripts start what is no longer there."""
    set_up(machine)
    root = machine.places.root
    root.rename(root.with_name('moved'))
    machine.places = setup.Places(root.with_name('moved'), root / 'store')

    assert set_up(machine)[:2] == ['venv', 'build tools']


def test_an_environment_in_which_mmcp_fails_is_gone_over(machine):
    set_up(machine)
    machine.mmcp = False

    assert set_up(machine)[-1] == 'mmcp'


@pytest.mark.parametrize('event', FIRST_RUN)
def test_after_an_interruption_anywhere_the_next_run_ends(machine, event):
    machine.faults[event] = interrupt
    with pytest.raises(KeyboardInterrupt):
        set_up(machine)
    assert state.read_stamp(machine.places.venv) == {}

    events = set_up(machine)

    assert events[-1] == 'mmcp'
    assert ('venv' in events) == (event == 'venv')
    assert ('download' in events) == (
        FIRST_RUN.index(event) <= FIRST_RUN.index('download')
    )
    assert set_up(machine) == []


def test_a_rerun_that_is_interrupted_is_no_longer_up_to_date(machine):
    set_up(machine)
    machine.mmcp = False
    machine.faults['rest'] = interrupt
    with pytest.raises(KeyboardInterrupt):
        set_up(machine)
    machine.mmcp = True

    assert 'rest' in set_up(machine)


@pytest.mark.parametrize('left', ['pyvenv.cfg', 'bin/python', None])
def test_a_half_made_venv_is_made_anew(machine, left):
    venv = machine.places.venv
    venv.mkdir()
    if left is not None:
        venv.joinpath(left).parent.mkdir(exist_ok=True)
        venv.joinpath(left).touch()
        venv.joinpath('pyvenv.cfg').touch()

    assert set_up(machine) == FIRST_RUN


def test_a_link_is_replaced_and_its_target_kept(machine, tmp_path):
    target = tmp_path / 'elsewhere'
    target.mkdir()
    target.joinpath('kept').touch()
    machine.places.venv.symlink_to(target)

    assert set_up(machine) == FIRST_RUN
    assert not machine.places.venv.is_symlink()
    assert [path.name for path in target.iterdir()] == ['kept']


def test_what_is_no_environment_is_left_alone(machine):
    venv = machine.places.venv
    venv.mkdir()
    venv.joinpath('thesis.tex').touch()

    with pytest.raises(SetupError, match='no virtual environment; move it'):
        set_up(machine)
    assert venv.joinpath('thesis.tex').exists()


def test_what_an_interrupted_pip_left_is_removed(tmp_path):
    site = tmp_path / 'lib' / 'python3.11' / 'site-packages'
    whole, half = site / 'a-1.dist-info', site / 'b-1.dist-info'
    for folder in (whole, half, site / '~umpy', site / 'numpy'):
        folder.mkdir(parents=True)
    whole.joinpath('RECORD').touch()
    half.joinpath('METADATA').touch()

    setup.sweep(tmp_path)

    left = sorted(path.name for path in site.iterdir())
    assert left == ['a-1.dist-info', 'numpy']


def test_it_is_removed_before_pip_runs(machine):
    set_up(machine)
    machine.mmcp = False
    half = machine.places.venv / 'lib/python3.11/site-packages/b-1.dist-info'
    half.mkdir(parents=True)
    seen = []
    machine.faults['build tools'] = lambda: (
        seen.append(half.exists()) or Finished(0)
    )
    set_up(machine)

    assert seen == [False]


def test_headless_opencv_is_put_over_the_other_build(machine):
    set_up(machine)
    machine.opencv = 'with windows'
    machine.mmcp = False

    assert 'headless again' in set_up(machine)
    assert machine.opencv == 'headless'


def test_no_module_that_makes_environments(machine, start, capsys):
    machine.missing = ('ensurepip',)

    assert start() == 1
    assert capsys.readouterr().err == (
        "make env: /usr/bin/python3 has no module 'ensurepip', which makes "
        'virtual environments; install it, e.g. apt-get install '
        'python3.11-venv\n'
    )


def test_unsupported_python(machine, start, capsys, monkeypatch):
    monkeypatch.setattr(
        shutil, 'which', lambda name: name if name == sys.executable else None
    )
    machine.version = (3, 9, 2)

    assert start() == 1
    assert capsys.readouterr().err == (
        'make env: the pinned packages need one of Python 3.11, 3.12, 3.13 '
        '(found: 3.9.2); install it and run: make env PYTHON=python3.11\n'
    )


def test_too_little_disk(machine, start, capsys, disk):
    disk.free = 3 * 2**30

    assert start() == 1
    assert capsys.readouterr().err == (
        'make env: too little disk: 3.0 GiB are free at '
        f'{machine.places.root}, 8 GiB are needed; make room and run it '
        'again\n'
    )
    assert machine.events == []


def test_no_compiler(machine, start, capsys, monkeypatch):
    monkeypatch.setenv('CXX', 'no-such-compiler -m64')

    assert start() == 1
    assert capsys.readouterr().err == (
        "make env: no C++ compiler: 'no-such-compiler' is not on the path "
        '(mmcv comes as source); install one, e.g. apt-get install g++\n'
    )
    assert 'download' not in machine.events


def test_no_python_headers(machine, start, capsys):
    machine.headers.joinpath('Python.h').unlink()

    assert start() == 1
    assert capsys.readouterr().err == (
        f'make env: no Python headers: Python.h is not in {machine.headers}; '
        'install them, e.g. apt-get install python3.11-dev\n'
    )


def test_no_compiler_is_needed_for_a_kept_wheel(machine, start, monkeypatch):
    key = '2.3.6-torch2.13.0+cpu-cpu-cp311-x86_64'
    make_wheel(machine.places.store / key, machine.torch)
    monkeypatch.setenv('CXX', 'no-such-compiler')
    machine.headers.joinpath('Python.h').unlink()

    assert start() == 0


def test_download_failure_names_the_package(machine, start, capsys):
    machine.faults['rest'] = failing(
        'Collecting scipy==1.17.1',
        '  Downloading scipy-1.17.1-cp311-cp311-linux_x86_64.whl (37.7 MB)',
        'ERROR: Exception:',
        "ReadTimeoutError: HTTPSConnectionPool: Read timed out.'",
    )

    assert start() == 1
    assert capsys.readouterr().err == (
        'make env: could not download '
        'scipy-1.17.1-cp311-cp311-linux_x86_64.whl: no connection; run '
        '"make env" again, it goes on where it stopped (full output: '
        f'{machine.places.log})\n'
    )


def test_disk_full_while_compiling(machine, start, capsys):
    machine.faults['compile'] = failing(
        '[3/78] c++ -MMD nms.cpp',
        'fatal error: error writing to x.s: No space left on device',
        'error: subprocess-exited-with-error',
    )

    assert start() == 1
    assert capsys.readouterr().err == (
        'make env: the disk filled up while compiling; make room and run '
        '"make env" again, it goes on where it stopped (full output: '
        f'{machine.places.log})\n'
    )
    machine.events.clear()
    assert start() == 0
    assert 'download' not in machine.events


@pytest.mark.parametrize('event', ['rest', 'compile'])
@pytest.mark.parametrize(
    ('number', 'message'),
    [
        (signal.SIGTERM, 'stopped by SIGTERM, from outside'),
        (signal.SIGKILL, 'stopped by SIGKILL, perhaps memory ran out'),
    ],
)
def test_a_command_ended_by_a_signal(
    machine, start, capsys, event, number, message
):
    machine.faults[event] = lambda: Finished(-number, ['[3/78] c++ nms.cpp'])

    assert start() == 1
    assert capsys.readouterr().err == (
        f'make env: {message}; run "make env" again to go on (full output: '
        f'{machine.places.log})\n'
    )
    assert start() == 0


def test_venv_that_cannot_be_made(machine, start, capsys):
    machine.faults['venv'] = failing('Error: [Errno 13] Permission denied')

    assert start() == 1
    assert capsys.readouterr().err == (
        'make env: could not make .venv: Error: [Errno 13] Permission denied\n'
    )


def test_ctrl_c_says_how_to_go_on(machine, start, capsys):
    machine.faults['torch'] = interrupt

    assert start() == 130
    assert capsys.readouterr().err == (
        '\nmake env: stopped; run "make env" again to go on from here\n'
    )


def test_an_error_of_the_system_is_one_line_too(machine, start, capsys):
    machine.places.root.joinpath('setup.py').unlink()
    missing = machine.places.root / 'setup.py'

    assert start() == 1
    assert capsys.readouterr().err == (
        f"make env: [Errno 2] No such file or directory: '{missing}'\n"
    )


def test_mmcp_that_cannot_be_imported_leaves_no_stamp(machine, start, capsys):
    machine.faults['mmcp'] = lambda: Finished(0)  # pip says it is installed

    assert start() == 1
    assert capsys.readouterr().err == (
        f'make env: mmcp cannot be imported (see {machine.places.log})\n'
    )
    assert state.read_stamp(machine.places.venv) == {}


def test_opencv_that_cannot_be_imported(machine, start, capsys):
    machine.faults['headless again'] = lambda: Finished(0)

    assert start() == 1
    assert capsys.readouterr().err == (
        f'make env: cv2 cannot be imported (see {machine.places.log})\n'
    )


def test_places_are_those_of_this_clone(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    places = setup.default_places()

    assert places.root == ROOT
    assert places.python == ROOT / '.venv' / 'bin' / 'python'
    assert places.store == tmp_path / 'mmcp' / 'wheels'


def test_the_set_up_needs_the_standard_library_only():
    code = 'import sys; import envsetup.main; print(*sys.modules)'
    done = subprocess.run(
        [sys.executable, '-S', '-c', code],
        env={**os.environ, 'PYTHONPATH': str(ROOT / 'tools' / 'dev')},
        capture_output=True,
        text=True,
        check=True,
    )
    modules = {name.split('.')[0] for name in done.stdout.split()}
    assert modules - {'envsetup', '__main__'} <= sys.stdlib_module_names
