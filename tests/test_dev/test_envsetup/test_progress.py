"""What a person sees while ninja compiles."""

import io
import os
import shutil

import pytest
from envsetup.progress import CompileProgress, minutes


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    """Tells a minute more every time it is asked."""

    def __init__(self):
        self.seconds = -60

    def __call__(self):
        self.seconds += 60
        return self.seconds


def show(lines, total, stream=None):
    stream = stream or io.StringIO()
    progress = CompileProgress(lambda: total, stream, Clock())
    for line in lines:
        progress(line)
    progress.close()
    return stream.getvalue()


def ninja(count):
    return [f'[{number}/{count}] c++ -MMD' for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ('seconds', 'text'),
    [(0, '0 s'), (59, '59 s'), (60, 'about 1 min'), (400, 'about 7 min')],
)
def test_durations_as_people_say_them(seconds, text):
    assert minutes(seconds) == text


def test_a_pipe_gets_a_line_every_ten_files():
    assert show(ninja(12), 12) == (
        '  compiling operators 1/12, about 11 min left\n'
        '  compiling operators 10/12, 24 s left\n'
        '  compiling operators 12/12, linking\n'
    )


def test_files_of_an_earlier_run_count():
    assert show(ninja(3), 78) == (
        '  compiling operators 76/78, about 2 min left\n'
        '  compiling operators 78/78, linking\n'
    )


def test_without_ninjas_file_its_own_number_counts():
    assert show(ninja(1), 0) == '  compiling operators 1/1, linking\n'


def test_the_number_of_files_is_asked_once():
    asked = []
    progress = CompileProgress(lambda: asked.append(1) or 3, io.StringIO())
    for line in ninja(3):
        progress(line)

    assert asked == [1]


def test_other_lines_show_nothing():
    lines = ['building extension', 'In file [3/4] included', '']
    assert show(lines, 78) == ''


def test_a_terminal_gets_one_line_that_changes(monkeypatch):
    size = os.terminal_size((30, 24))
    monkeypatch.setattr(shutil, 'get_terminal_size', lambda: size)

    assert show(ninja(2), 2, Terminal()) == (
        '\r  compiling operators 1/2, ab\r  compiling operators 2/2, li\n'
    )


def test_a_terminal_without_progress_gets_no_empty_line():
    assert show([], 78, Terminal()) == ''
