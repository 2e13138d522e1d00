"""Tests of the processes that load data under signals."""

import multiprocessing
import os
import signal
import subprocess
import time

import pytest
from torch.utils.data import DataLoader
from toy import Numbers

from mmcp.engine import signals
from mmcp.engine.signals import protect_workers


def serve(ready, worker_id):
    loader = DataLoader(Numbers(2))
    protect_workers(loader)
    loader.worker_init_fn(worker_id)
    ready.set()
    time.sleep(60)


@pytest.fixture
def worker():
    context = multiprocessing.get_context('fork')
    ready = context.Event()
    process = context.Process(target=serve, args=(ready, 0))
    process.start()
    assert ready.wait(30)
    yield process
    process.kill()
    process.join()


@pytest.mark.parametrize('name', ['INT', 'TERM'])
def test_worker_outlives_a_signal_from_elsewhere(worker, name):
    subprocess.run(['kill', f'-{name}', str(worker.pid)], check=True)
    worker.join(0.5)
    assert worker.is_alive()


def test_worker_ends_when_its_parent_says_so(worker):
    os.kill(worker.pid, signal.SIGTERM)
    worker.join(30)
    assert worker.exitcode == 0


def test_own_initialisation_is_kept_and_protection_is_added_once():
    calls = []
    loader = DataLoader(Numbers(2), worker_init_fn=calls.append)
    protect_workers(loader)
    first = loader.worker_init_fn
    protect_workers(loader)
    assert loader.worker_init_fn is first
    assert first.args == (calls.append,)


def idle(ready):
    ready.set()
    # A signal that comes just before a sleep is handled after it.
    for _ in range(600):
        time.sleep(0.1)


def test_other_forked_children_keep_the_usual_effect():
    listener = signals.SignalListener()
    listener.start()
    try:
        context = multiprocessing.get_context('fork')
        ready = context.Event()
        process = context.Process(target=idle, args=(ready,))
        process.start()
        assert ready.wait(30)
        process.terminate()
        process.join(30)
        assert process.exitcode == -signal.SIGTERM
        assert listener.received == 0
    finally:
        listener.stop()
        process.kill()
