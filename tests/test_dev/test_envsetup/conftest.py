"""A clone on a pretended machine that has all that the set-up needs."""

import shutil
import sys
from types import SimpleNamespace

import pytest
from pretend_machine import Machine, make_clone

GIB = 2**30


@pytest.fixture
def disk(monkeypatch):
    """The free space, which a test may change."""
    disk = SimpleNamespace(free=100 * GIB)
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: disk)
    return disk


@pytest.fixture
def machine(tmp_path, monkeypatch, disk):
    """A machine with Python 3.11, its headers, a compiler and disk space."""
    monkeypatch.setenv('CXX', sys.executable)  # any program that is there
    monkeypatch.setenv('MAX_JOBS', '2')
    monkeypatch.delenv('CFLAGS', raising=False)
    machine = Machine(make_clone(tmp_path / 'clone'))
    machine.headers.mkdir()
    machine.headers.joinpath('Python.h').touch()
    return machine
