"""Tests of starting several processes."""

import signal
import socket
import subprocess
import sys
import time
from textwrap import dedent

import pytest

pytestmark = pytest.mark.dist


def start(tmp_path, script):
    path = tmp_path / 'script.py'
    path.write_text('import os, sys, time, signal\n' + dedent(script))
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    words = ['--nproc_per_node=2', f'--master_port={port}', str(path)]
    return subprocess.Popen(
        [sys.executable, '-m', 'mmcp.engine.distribute', *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


RANK = "rank = int(os.environ['RANK'])\n"


@pytest.mark.parametrize(
    ('script', 'status', 'said'),
    [
        ('pass', 0, ''),
        ('sys.exit(rank and 3)', 3, 'Rank 1 failed (status 3)'),
        ('sys.exit(143)', 143, ''),
        (
            'os.kill(os.getpid(), signal.SIGKILL) if rank else time.sleep(60)',
            137,
            'Rank 1 failed (signal 9)',
        ),
    ],
)
def test_status_is_that_of_the_first_to_fail(tmp_path, script, status, said):
    process = start(tmp_path, RANK + script)
    _, error = process.communicate(timeout=120)
    assert process.returncode == status
    assert said in error
    assert ('see what it said above' in error) is bool(said)
    assert 'Traceback' not in error


@pytest.mark.parametrize('signum', [signal.SIGINT, signal.SIGTERM])
def test_signal_is_passed_on(tmp_path, signum):
    script = """
        def end(signum, frame):
            open(f'{folder}/{rank}', 'w').write(str(signum))
            sys.exit(0)
        signal.signal(signal.SIGINT, end)
        signal.signal(signal.SIGTERM, end)
        open(f'{folder}/ready{rank}', 'w')
        time.sleep(60)
    """
    folder = f'folder = {str(tmp_path)!r}\n'
    process = start(tmp_path, RANK + folder + dedent(script))
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob('ready*'))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signum)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + signum
    assert [(tmp_path / rank).read_text() for rank in '01'] == (
        [str(int(signum))] * 2
    )
    assert 'Traceback' not in error


@pytest.mark.slow
def test_error_of_all_ranks_is_told_once(tmp_path):
    script = """
        from mmcp.engine.config import UsageError
        from mmcp.engine.launch import run_tool
        def main(argv):
            raise UsageError('do this')
        sys.exit(run_tool(main, []))
    """
    process = start(tmp_path, dedent(script))
    _, error = process.communicate(timeout=120)
    assert process.returncode == 1
    assert error.count('error: do this') == 1
    assert 'Traceback' not in error
