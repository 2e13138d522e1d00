"""Why pip failed, in one line that names the package."""

import os
import sys
from pathlib import Path

import pytest
from envsetup.pip import Pip, explain
from envsetup.shell import Finished, SetupError, Shell

AGAIN = 'run "make env" again, it goes on where it stopped'


class Canned:
    """A runner that gives one answer to everything."""

    def __init__(self, done):
        self.done = done
        self.commands = []

    def run(self, command, *, on_line=None, env=None):
        self.commands.append(command)
        for line in self.done.lines:
            on_line(line)
        return self.done


def pip_that(done):
    return Pip(Canned(done), Path('python'), Path('env.log'))


@pytest.mark.parametrize(
    ('lines', 'message'),
    [
        pytest.param(
            [
                'Collecting numpy==2.2.6',
                '  Downloading numpy-2.2.6-cp311.whl (16.8 MB)',
                'Collecting scipy==1.17.1',
                'ERROR: Could not install packages due to an OSError: '
                '[Errno 28] No space left on device',
            ],
            f'the disk is full; make room and {AGAIN}',
            id='disk',
        ),
        pytest.param(
            [
                'Collecting numpy==2.2.6',
                'WARNING: Retrying (Retry(total=0)) after connection broken by'
                " 'NewConnectionError'",
                'ERROR: No matching distribution found for numpy==2.2.6',
            ],
            f'could not download numpy==2.2.6: no connection; {AGAIN}',
            id='network before the download',
        ),
        pytest.param(
            [
                'Collecting torch==2.13.0',
                '  Downloading https://host/torch-2.13.0-cp311.whl (190 MB)',
                'ERROR: Exception:',
                'ReadTimeoutError: Read timed out.',
            ],
            'could not download torch-2.13.0-cp311.whl: no connection; '
            f'{AGAIN}',
            id='network during the download',
        ),
        pytest.param(
            ['ERROR: No matching distribution found for torch==2.13.0'],
            'pip finds no torch==2.13.0 for this Python and machine',
            id='no build',
        ),
        pytest.param(
            [
                'Collecting pycocotools==2.0.11',
                'ERROR: Failed building wheel for pycocotools',
                'ERROR: Failed to build one-more',
            ],
            'could not build pycocotools',
            id='compilation',
        ),
        pytest.param(
            [
                'Processing ./mmcp',
                'ERROR: first',
                "ERROR: Invalid requirement: 'x y'",
            ],
            "could not install ./mmcp: Invalid requirement: 'x y'",
            id='anything else',
        ),
        pytest.param(
            [],
            'could not install a package: pip gave no reason',
            id='nothing said',
        ),
    ],
)
def test_the_reason_is_one_line(lines, message):
    assert explain(lines) == message
    with pytest.raises(SetupError) as error:
        pip_that(Finished(1, lines)).install('x')
    assert str(error.value) == f'{message} (full output: env.log)'


def test_real_pip_without_a_connection(tmp_path, monkeypatch):
    """What pip prints today is still understood."""
    for name in [name for name in os.environ if name.startswith('PIP_')]:
        monkeypatch.delenv(name)
    monkeypatch.setenv('PIP_CONFIG_FILE', os.devnull)
    monkeypatch.setenv('PIP_INDEX_URL', 'http://127.0.0.1:9/simple')
    monkeypatch.setenv('PIP_RETRIES', '1')
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    log = tmp_path / 'env.log'
    pip = Pip(Shell(log), Path(sys.executable), log)

    with pytest.raises(SetupError) as error:
        pip.download(tmp_path, 'mmcp-is-not-there==1.0')
    assert str(error.value) == (
        'could not download mmcp-is-not-there==1.0: no connection; '
        f'{AGAIN} (full output: {log})'
    )


def test_downloads_are_shown_and_their_metadata_is_not(capsys):
    lines = [
        'Collecting torch==2.13.0',
        '  Downloading torch-2.13.0-cp311.whl.metadata (30 kB)',
        '  Downloading https://host/a/torch-2.13.0-cp311.whl (190.2 MB)',
        '     190.2/190.2 MB 11 MB/s',
    ]
    pip_that(Finished(0, lines)).install('torch==2.13.0')

    assert capsys.readouterr().out == (
        '  downloading torch-2.13.0-cp311.whl (190.2 MB)\n'
    )


def test_commands_are_those_of_the_environments_pip():
    pip = pip_that(Finished(0))
    pip.install('--no-deps', 'a==1')
    pip.download(Path('folder'), 'a==1')

    assert pip.runner.commands == [
        ['python', '-m', 'pip', 'install', '--no-deps', 'a==1'],
        ['python', '-m', 'pip', 'download', '--dest', 'folder', 'a==1'],
    ]


@pytest.mark.parametrize(
    ('done', 'wheels'),
    [
        (
            Finished(0, ['/c/a_b-1-py3.whl', 'WARNING: x']),
            ['/c/a_b-1-py3.whl'],
        ),
        (Finished(0, ['No locally built wheels cached.']), []),
        (Finished(1, ['ERROR: pip cache commands can not function']), []),
    ],
)
def test_wheels_in_pips_cache(done, wheels):
    pip = pip_that(done)

    assert pip.cached_wheels('a-b') == [Path(wheel) for wheel in wheels]
    assert pip.runner.commands[0][3:] == [
        *('cache', 'list', 'a_b', '--format=abspath')
    ]
