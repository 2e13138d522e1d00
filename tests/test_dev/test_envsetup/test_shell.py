"""Commands are logged, and stopped with all their children."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from envsetup import shell
from envsetup.shell import Finished, Shell

# Starts a child of its own, says both numbers and waits.
FAMILY = """
import os, signal, subprocess, sys, time
# What started the tests, nohup say, may have it ignored.
signal.signal(
    signal.SIGINT,
    signal.SIG_IGN if 'stubborn' in sys.argv else signal.SIG_DFL,
)
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
print(os.getpid(), child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def run(tmp_path):
    """Returns the method of a shell that logs into ``tmp_path``."""
    return Shell(tmp_path / 'log').run


def python(code, *arguments):
    return [sys.executable, '-c', textwrap.dedent(code), *arguments]


def test_output_and_status_are_returned_and_logged(run, tmp_path):
    command = python('import sys; print(1); sys.exit("two")')
    seen = []

    done = run(command, on_line=seen.append)

    assert sorted(done.lines) == ['1', 'two']
    assert seen == done.lines
    assert done == Finished(1, done.lines)
    assert not done.ok
    text = ' '.join(command)
    lines = '\n'.join(done.lines)
    assert (tmp_path / 'log').read_text() == (
        f'$ {text}\n{lines}\nexit status 1\n'
    )


def test_the_log_grows(run, tmp_path):
    run(['true'])
    assert run(['true']).ok
    assert (tmp_path / 'log').read_text() == '$ true\nexit status 0\n' * 2


def test_lines_come_while_the_command_runs(run):
    """It ends when the file that its line asks for is there."""
    code = """
        import pathlib, sys, time
        print('go', flush=True)
        while not pathlib.Path(sys.argv[1]).exists():
            time.sleep(0.01)
    """
    marker = Path(run.__self__._log).with_name('marker')

    done = run(python(code, str(marker)), on_line=lambda _: marker.touch())
    assert done == Finished(0, ['go'])


def test_settings_that_lead_elsewhere_are_kept_away(run, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', 'elsewhere')
    monkeypatch.setenv('PIP_TARGET', 'elsewhere')
    monkeypatch.setenv('HTTP_PROXY', 'proxy')
    code = """
        import os
        for name in ('PYTHONPATH', 'PIP_TARGET', 'HTTP_PROXY', 'PIP_NO_INPUT',
                     'MAX_JOBS'):
            print(os.environ.get(name))
    """
    done = run(python(code), env={'MAX_JOBS': '2'})

    assert done.lines == ['None', 'None', 'proxy', '1', '2']


def test_commands_get_no_input(run):
    done = run(python('import sys; print(repr(sys.stdin.read()))'))
    assert done.lines == ["''"]


def test_bytes_that_are_no_text_do_no_harm(run):
    code = 'import sys; sys.stdout.buffer.write(b"a\\xff\\n")'
    assert run(python(code)).lines == ['a\N{REPLACEMENT CHARACTER}']


@pytest.mark.parametrize(
    ('kind', 'patience', 'signals'),
    [
        ('obedient', 60, [signal.SIGINT]),
        ('stubborn', 0.5, [signal.SIGINT, signal.SIGKILL]),
    ],
)
def test_an_interruption_stops_the_children_too(
    run, monkeypatch, kind, patience, signals
):
    monkeypatch.setattr(shell, 'PATIENCE_SECONDS', patience)
    family, sent, killpg = [], [], os.killpg

    def record(group, number):
        if number:
            sent.append(number)
        killpg(group, number)

    def interrupt(line):
        family.extend(map(int, line.split()))
        monkeypatch.setattr(os, 'killpg', record)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(python(FAMILY, kind), on_line=interrupt)

    assert sent == signals
    assert len(family) == 2
    wait_until_none_runs(family)


def wait_until_none_runs(processes):
    deadline = time.monotonic() + 30
    while any(map(is_running, processes)):
        assert time.monotonic() < deadline, processes
        time.sleep(0.02)


def is_running(process):
    """Whether a process is there and not merely waiting to be reaped."""
    try:
        status = Path(f'/proc/{process}/stat').read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(')')[2].split()[0] != 'Z'


def test_a_group_of_zombies_is_not_waited_for():
    """Containers often have no init process that reaps them."""
    with subprocess.Popen(['true'], start_new_session=True) as zombie:
        wait_until_none_runs([zombie.pid])
        os.killpg(zombie.pid, 0)  # The group is there still.
        assert not shell._is_running(zombie.pid)
    assert not shell._is_running(zombie.pid)
    with subprocess.Popen(['sleep', '60'], start_new_session=True) as busy:
        assert shell._is_running(busy.pid)
        busy.kill()


def test_a_terminals_ctrl_c_does_not_reach_the_commands(run):
    """They are in a group of their own; the set-up decides."""
    done = run(python('import os; print(os.getpgrp())'))
    assert done.lines != [str(os.getpgrp())]


def test_files_kept_open_are_inherited(tmp_path):
    reading, writing = os.pipe()
    code = 'import os, sys; os.write(int(sys.argv[1]), b"here")'
    try:
        keeps = Shell(tmp_path / 'log', keep_open=[writing])
        assert keeps.run(python(code, str(writing))).ok
        assert os.read(reading, 4) == b'here'
        closes = Shell(tmp_path / 'log')
        assert not closes.run(python(code, str(writing))).ok
    finally:
        os.close(reading)
        os.close(writing)


def test_a_program_that_is_not_there_is_the_systems_error(run):
    with pytest.raises(FileNotFoundError):
        run(['no-such-program-anywhere'])


def test_an_old_python_reads_what_it_needs(tmp_path):
    """The first lines of setup_env.py run before anything can fail."""
    script = Path(__file__).parents[3] / 'tools' / 'dev' / 'setup_env.py'
    code = f"""
        import runpy, sys
        sys.version_info = (3, 8)
        sys.path.insert(0, {str(script.parent)!r})
        runpy.run_path({str(script)!r}, run_name='__main__')
    """
    done = subprocess.run(python(code), capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stderr == (
        'make env: Python 3.11 is needed; make env PYTHON=python3.11\n'
    )
