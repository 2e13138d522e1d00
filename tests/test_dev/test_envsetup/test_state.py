"""The lock and the stamp."""

import shutil
import subprocess
import sys
import threading

import pytest
from envsetup import state
from pretend_machine import make_clone


def test_a_second_run_waits_for_the_first(tmp_path, capsys):
    path = tmp_path / 'new' / 'env.lock'
    order = []

    def second():
        with state.locked(path):
            order.append('second')

    with state.locked(path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        order.append('first')
    thread.join(30)

    assert order == ['first', 'second']
    assert capsys.readouterr().out == (
        'another "make env" is at work here; waiting for it\n'
    )


def test_one_run_after_another_does_not_wait(tmp_path, capsys):
    for _ in range(2):
        with state.locked(tmp_path / 'env.lock'):
            pass

    assert capsys.readouterr().out == ''


def test_the_lock_holds_as_long_as_a_command_that_inherited_it(tmp_path):
    """The set-up is killed, its compiler goes on for a moment."""
    path = tmp_path / 'env.lock'
    with state.locked(path) as lock:
        child = subprocess.Popen(
            [sys.executable, '-c', 'input()'],
            stdin=subprocess.PIPE,
            pass_fds=[lock],
        )
    taken = threading.Event()

    def take():
        with state.locked(path):
            taken.set()

    thread = threading.Thread(target=take)
    thread.start()
    assert not taken.wait(0.3)
    child.communicate(b'\n')
    assert taken.wait(30)
    thread.join()


def test_a_stamp_is_read_as_written(tmp_path):
    state.write_stamp(tmp_path, {'fingerprint': 'f', 'python': '3.11.7'})

    assert state.read_stamp(tmp_path) == {
        'fingerprint': 'f',
        'python': '3.11.7',
    }
    assert [path.name for path in tmp_path.iterdir()] == [state.STAMP]

    state.drop_stamp(tmp_path)
    assert state.read_stamp(tmp_path) == {}
    state.drop_stamp(tmp_path)  # Nothing there is fine, too.


@pytest.mark.parametrize('text', ['', '{"fingerprint": ', '[]', 'null'])
def test_a_damaged_stamp_is_none(tmp_path, text):
    tmp_path.joinpath(state.STAMP).write_text(text)
    assert state.read_stamp(tmp_path) == {}


def test_the_fingerprint_is_that_of_the_inputs_and_the_place(tmp_path):
    root = make_clone(tmp_path / 'clone').root
    before = state.fingerprint(root)
    assert state.fingerprint(root) == before

    other = shutil.copytree(root, tmp_path / 'other')
    assert state.fingerprint(other) != before

    seen = {before}
    for name in state.INPUTS:
        with (root / name).open('a') as file:
            file.write('\n')
        seen.add(state.fingerprint(root))
    assert len(seen) == len(state.INPUTS) + 1
