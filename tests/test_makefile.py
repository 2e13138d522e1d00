"""``make`` and ``.ci/run`` do what they say."""

import os
import re
import shutil
import subprocess

import pytest
import yaml
from pretend_machine import ROOT

SCRIPTS = ['.ci/run', *(path.name for path in ROOT.glob('tools/*.sh'))]
TARGETS = {
    *('help', 'env', 'demo', 'demo-cp2', 'test', 'test-configs'),
    *('lint', 'format', 'bench'),
}

needs_make = pytest.mark.skipif(
    shutil.which('make') is None, reason='make is not installed'
)


def make(*arguments):
    # The tests may run under `make test`, whose flags must not count here.
    outer = ('MAKEFLAGS', 'MAKELEVEL', 'MFLAGS', 'MAKEOVERRIDES', 'PYTHON')
    done = subprocess.run(
        ['make', *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if k not in outer},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_make
@pytest.mark.parametrize('arguments', [['help'], []])
def test_help_lists_every_target_with_what_it_does(arguments):
    lines = make(*arguments).splitlines()

    described = dict(line.split(maxsplit=2)[1:] for line in lines)
    assert set(described) == TARGETS
    assert all(described.values())
    phony = re.search(
        r'^\.PHONY: (.*)$', (ROOT / 'Makefile').read_text(), re.M
    )
    assert set(phony[1].split()) == TARGETS


@needs_make
@pytest.mark.parametrize('target', sorted(TARGETS - {'help'}))
def test_every_target_begins_with_the_environment(target):
    steps = make('--dry-run', target, 'PYTHON=some-python').splitlines()

    assert steps[0] == 'some-python tools/dev/setup_env.py'
    assert all('.venv/bin/' in step for step in steps[1:])


@needs_make
def test_lint_runs_every_check():
    checks = [
        step.removeprefix('.venv/bin/')
        for step in make('--dry-run', 'lint').splitlines()[1:]
    ]
    assert checks == [
        'ruff check .',
        'ruff format --check .',
        'mypy mmcp',
        'codespell',
        'python tools/dev/check_docstring_defaults.py',
        'python tools/dev/check_configs.py',
    ]


@needs_make
@pytest.mark.parametrize('target', sorted(TARGETS - {'help', 'env'}))
def test_scripts_that_targets_run_are_there(target):
    named = re.findall(r'\S+\.py', make('--dry-run', target))

    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize('name', SCRIPTS)
def test_shell_scripts_can_be_run_and_read(name):
    path = ROOT / name if '/' in name else ROOT / 'tools' / name

    assert os.access(path, os.X_OK)
    done = subprocess.run(['bash', '-n', path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, '')


@pytest.fixture
def ci(tmp_path):
    """Returns a function that runs ``.ci/run`` with a ``make`` that notes.

    It takes the stage that fails; returns the status and the stages.
    """
    script = tmp_path / 'clone' / '.ci' / 'run'
    script.parent.mkdir(parents=True)
    shutil.copy(ROOT / '.ci' / 'run', script)
    binaries = tmp_path / 'bin'
    binaries.mkdir()
    fake = binaries / 'make'
    fake.write_text(
        '#!/bin/sh\necho "$PWD $*" >> "$NOTES"\n[ "$1" != "$FAILING" ]\n'
    )
    fake.chmod(0o755)

    def run(failing=''):
        notes = tmp_path / 'notes'
        notes.unlink(missing_ok=True)
        environ = {
            **os.environ,
            'PATH': f'{binaries}:{os.environ["PATH"]}',
            'NOTES': str(notes),
            'FAILING': failing,
        }
        done = subprocess.run(
            [script], cwd=tmp_path, env=environ, capture_output=True
        )
        stages = [line.split() for line in notes.read_text().splitlines()]
        assert {folder for folder, _ in stages} == {str(tmp_path / 'clone')}
        return done.returncode, [stage for _, stage in stages]

    return run


def test_ci_makes_the_environment_then_lints_and_tests(ci):
    assert ci() == (0, ['env', 'lint', 'test'])


def test_ci_stops_at_the_first_failure(ci):
    assert ci('lint') == (1, ['env', 'lint'])


def test_pre_commit_runs_what_lint_runs_and_downloads_nothing():
    config = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())
    (repository,) = config['repos']
    hooks = {hook['id']: hook for hook in repository['hooks']}

    assert repository['repo'] == 'local'
    assert {hook['language'] for hook in hooks.values()} == {'system'}
    assert {
        *('ruff', 'ruff-format', 'mypy', 'codespell'),
        *('docstring-defaults', 'configs'),
    } <= set(hooks)
    for hook in hooks.values():
        assert hook['entry'].startswith('.venv/bin/'), hook['id']
