"""What is checked before anything is downloaded."""

import platform
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from envsetup import preflight
from envsetup.preflight import GIB, Python, choose_python
from envsetup.shell import Finished, SetupError, Shell

PYTHON = Python('/usr/bin/python3.11', (3, 11, 7), (), 'x86_64', '/include')
OLD = replace(PYTHON, executable='old', version=(3, 10, 12))
BARE = replace(PYTHON, executable='bare', missing=('ensurepip',))
NEW = replace(PYTHON, executable='new', version=(3, 13, 1))


def test_names_of_a_python():
    assert (NEW.name, NEW.tag, NEW.dotted) == ('python3.13', 'cp313', '3.13.1')


@pytest.mark.parametrize(
    ('candidates', 'chosen'),
    [
        ([PYTHON, NEW], PYTHON),
        ([NEW, PYTHON], NEW),
        ([OLD, BARE, NEW], NEW),
        (iter([OLD, PYTHON]), PYTHON),
    ],
)
def test_the_first_that_will_do_is_chosen(candidates, chosen):
    assert choose_python(candidates) is chosen


def test_versions_that_were_found_are_named():
    beyond = replace(PYTHON, version=(3, 14, 0))

    with pytest.raises(SetupError, match=r'\(found: 3\.10\.12, 3\.14\.0\)'):
        choose_python([OLD, beyond])
    with pytest.raises(SetupError, match=r'\(found: none\)'):
        choose_python([])


def test_a_missing_module_is_named():
    with pytest.raises(
        SetupError, match=r"bare has no module 'ensurepip', .*python3\.11-venv"
    ):
        choose_python([OLD, BARE])


def test_this_interpreter_describes_itself(tmp_path):
    """In a virtual environment, too, it names the one below."""
    python = preflight.probe(Shell(tmp_path / 'log'), sys.executable)

    assert python.version == sys.version_info[:3]
    assert python.machine == platform.machine()
    assert python.missing == ()
    base = Path(python.executable).resolve()
    assert base == Path(sys.executable).resolve()
    assert Path(sys.base_prefix).resolve() in base.parents


@pytest.mark.parametrize(
    'done', [Finished(1, ['No module named json']), Finished(0), None]
)
def test_what_does_not_answer_is_no_python(done):
    class Runner:
        def run(self, command, **kwargs):
            if done is None:
                raise PermissionError(command)
            return done

    assert preflight.probe(Runner(), 'python3') is None


def test_what_answers_nonsense_is_no_python(tmp_path):
    assert preflight.probe(Shell(tmp_path / 'log'), '/bin/echo') is None


def test_candidates_are_this_one_then_the_supported_on_the_path(
    machine, monkeypatch
):
    here = {sys.executable, 'python3.13'}
    monkeypatch.setattr(
        preflight.shutil, 'which', lambda name: name if name in here else None
    )

    assert len([*preflight.candidates(machine)]) == 2
    probed = [command[0] for command in machine.commands]
    assert probed == [sys.executable, 'python3.13']


def test_disk_is_looked_at_where_the_folder_will_be(tmp_path):
    asked = []

    def free(path):
        asked.append(path)
        return 2 * GIB

    preflight.check_disk(tmp_path / 'not' / 'yet', 2.0, free)
    assert asked == [tmp_path]

    with pytest.raises(SetupError) as error:
        preflight.check_disk(tmp_path, 2.5, free)
    assert str(error.value) == (
        f'too little disk: 2.0 GiB are free at {tmp_path}, 2.5 GiB are '
        'needed; make room and run it again'
    )


@pytest.mark.parametrize(
    ('environ', 'compiler'),
    [({}, 'c++'), ({'CXX': ''}, 'c++'), ({'CXX': 'ccache g++'}, 'ccache')],
)
def test_the_compiler_is_the_one_that_will_be_used(
    tmp_path, environ, compiler
):
    tmp_path.joinpath('Python.h').touch()
    python = replace(PYTHON, headers=str(tmp_path))

    preflight.check_compiler(python, environ, {compiler: 'found'}.get)
    with pytest.raises(SetupError, match='no C[+][+] compiler') as error:
        preflight.check_compiler(python, environ, {}.get)
    assert repr(compiler) in str(error.value)
