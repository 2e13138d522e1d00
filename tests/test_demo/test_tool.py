"""`tools/demo.py`: with stand-ins for training and testing, and for real."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from pretraining_log import log_of

from mmcp.demo.pretraining import measure_pretraining
from mmcp.engine.config import UsageError

TRAIN = """
import json, pathlib, sys
here = pathlib.Path(__file__).parent
calls = here / 'calls.txt'
with calls.open('a') as file:
    file.write(json.dumps(sys.argv[1:]) + '\\n')
folder = pathlib.Path(sys.argv[sys.argv.index('--work-dir') + 1])
folder.mkdir(parents=True, exist_ok=True)
(folder / 'last_checkpoint').write_text('/elsewhere/iter_4.pth')
sys.exit(int((here / 'status').read_text()))
"""
WAIT = """
import pathlib, signal, sys, time
here = pathlib.Path(__file__).parent
got = []
signal.signal(signal.SIGINT, lambda *_: got.append('INT'))
signal.signal(signal.SIGTERM, lambda *_: got.append('TERM'))
(here / 'ready').touch()
while not got:
    time.sleep(0.01)
time.sleep(0.2)
(here / 'got').write_text(' '.join(got))
sys.exit(130)
"""


@pytest.fixture
def clone(tmp_path, repo_root):
    """A folder that looks like the repository to the tool."""
    (tmp_path / 'tools').mkdir()
    for name in ('demo.py', 'demo_cp2.py'):
        shutil.copy(repo_root / 'tools' / name, tmp_path / 'tools')
    shutil.copytree(repo_root / 'tools/demos', tmp_path / 'tools/demos')
    (tmp_path / 'tools' / 'train.py').write_text(TRAIN)
    (tmp_path / 'tools' / 'status').write_text('0')
    config = tmp_path / 'configs' / 'demo' / 'net_1xb4-scp-1k_demo.py'
    config.parent.mkdir(parents=True)
    config.write_text('lr = 1\n')
    return tmp_path


@pytest.fixture
def load_tool(clone, monkeypatch):
    """Loads a tool of the clone, with the modules beside it."""
    monkeypatch.syspath_prepend(clone / 'tools')

    def load(name):
        path = clone / 'tools' / f'{name}.py'
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in [n for n in sys.modules if n.split('.')[0] == 'demos']:
        del sys.modules[name]


@pytest.fixture
def demo(load_tool):
    return load_tool('demo')


@pytest.fixture
def train(demo, clone):
    """Runs the training step, as main does."""

    def run(options=(), restart=False):
        config = demo.find_config()
        recipe = demo.find_recipe(config, options)
        work_dir = clone / 'work'
        return demo.train(config, work_dir, options, recipe, restart=restart)

    return run


def calls(clone):
    path = clone / 'tools' / 'calls.txt'
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def test_training_gets_config_folder_and_resume(train, clone):
    progress = train(options=['lr=2'])
    assert progress.finished
    assert calls(clone) == [
        [
            str(clone / 'configs' / 'demo' / 'net_1xb4-scp-1k_demo.py'),
            '--work-dir',
            str(clone / 'work' / 'training'),
            '--resume',
            '--cfg-options',
            'lr=2',
        ]
    ]


def test_finished_training_is_not_repeated(train, clone):
    seconds = train().seconds
    assert train().seconds == seconds > 0
    assert len(calls(clone)) == 1


def test_interrupted_training_goes_on(train, clone, capsys):
    (clone / 'tools' / 'status').write_text('130')
    with pytest.raises(SystemExit) as exit_info:
        train()
    assert exit_info.value.code == 130
    assert 'the same command goes on' in capsys.readouterr().out
    first = json.loads((clone / 'work' / 'progress.json').read_text())
    assert not first['finished']
    kept = clone / 'work' / 'training' / 'interrupted.pth'
    kept.touch()
    (clone / 'tools' / 'status').write_text('0')
    progress = train()
    assert progress.finished
    assert progress.seconds > first['seconds'] > 0
    assert kept.exists()


def test_failed_training_ends_the_demo(train, clone, capsys):
    (clone / 'tools' / 'status').write_text('1')
    with pytest.raises(SystemExit) as exit_info:
        train()
    assert exit_info.value.code == 1
    assert 'goes on' not in capsys.readouterr().out


def test_other_recipe_starts_anew(train, clone):
    train()
    stale = clone / 'work' / 'training' / 'iter_4.pth'
    stale.touch()
    train(options=['lr=2'])
    assert len(calls(clone)) == 2
    assert not stale.exists()


def test_changed_config_starts_anew(train, clone):
    train()
    config = clone / 'configs' / 'demo' / 'net_1xb4-scp-1k_demo.py'
    config.write_text('lr = 3\n')
    train()
    assert len(calls(clone)) == 2


def test_restart_starts_anew(train, clone):
    train()
    stale = clone / 'work' / 'training' / 'iter_4.pth'
    stale.touch()
    train(restart=True)
    assert len(calls(clone)) == 2
    assert not stale.exists()


def test_broken_progress_starts_anew(train, clone):
    train()
    (clone / 'work' / 'progress.json').write_text('{"recipe"')
    assert train().finished
    assert len(calls(clone)) == 2


def test_two_configs_need_a_choice(demo, clone):
    (clone / 'configs' / 'demo' / 'other_1xb4-scp-1k_demo.py').touch()
    with pytest.raises(UsageError, match='--config'):
        demo.find_config()


def test_baseline_is_not_the_default(demo, clone):
    (clone / 'configs' / 'demo' / 'net_1xb4-1k_demo.py').touch()
    assert demo.find_config().name == 'net_1xb4-scp-1k_demo.py'


@pytest.mark.parametrize(
    ('signum', 'expected'),
    [
        (signal.SIGINT, 'INT'),
        (signal.SIGTERM, 'TERM'),
        (signal.SIGHUP, 'TERM'),
    ],
)
def test_signal_reaches_the_step_once(demo, clone, signum, expected):
    (clone / 'tools' / 'wait.py').write_text(WAIT)
    before = signal.getsignal(signum)

    def interrupt():
        while not (clone / 'tools' / 'ready').exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signum)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert demo.run_step('wait.py') == 130
    thread.join()
    assert (clone / 'tools' / 'got').read_text() == expected
    assert signal.getsignal(signum) is before


@pytest.mark.slow
def test_demo_from_start_to_report(sample, tmp_path, repo_root):
    """Four iterations and six validation images, but all of the path."""
    for folder in ('tools', 'configs'):
        shutil.copytree(repo_root / folder, tmp_path / folder)
    shutil.copytree(sample, tmp_path / 'data' / 'demo')
    command = [
        sys.executable,
        'tools/demo.py',
        '--work-dir',
        'out',
        '--cfg-options',
        'train_cfg.max_iters=4',
        'train_dataloader.batch_size=2',
        'default_hooks.logger.interval=1',
        'test_dataloader.dataset.indices=6',
    ]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    out = tmp_path / 'out'
    last_line = done.stdout.splitlines()[-1]
    assert last_line == f'Report:  {out / "report.html"}'
    metrics = json.loads((out / 'metrics.json').read_text())
    assert metrics['iterations'] == 4
    assert metrics['train_seconds'] > 0
    assert len(metrics['frequent_categories']) == 7
    assert 0 <= metrics['mask_ap50_frequent'] < 0.1
    html = (out / 'report.html').read_text(encoding='utf-8')
    assert html.count('data:image/jpeg') == 12 + 2 * 6
    assert json.loads((out / 'progress.json').read_text())['finished']


@pytest.mark.slow
def test_demo_of_cp2_from_start_to_report(sample, tmp_path, repo_root):
    """Five steps: all of the path, but too few to learn."""
    for folder in ('tools', 'configs'):
        shutil.copytree(repo_root / folder, tmp_path / folder)
    shutil.copytree(sample, tmp_path / 'data' / 'demo')
    command = [
        sys.executable,
        'tools/demo_cp2.py',
        '--work-dir',
        'out',
        '--cfg-options',
        'train_cfg.max_epochs=1',
        'default_hooks.logger.interval=1',
    ]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True
    )

    assert done.returncode == 1, done.stdout + done.stderr
    assert 'Not learnt: the instance accuracy changed by' in done.stderr
    out = tmp_path / 'out'
    last_line = done.stdout.splitlines()[-1]
    assert last_line == f'Report:     {out / "report.html"}'
    assert (out / 'training' / 'epoch_1.pth').is_file()
    metrics = json.loads((out / 'metrics.json').read_text())
    assert metrics['iterations'] == 5
    assert metrics['train_seconds'] > 0
    html = (out / 'report.html').read_text(encoding='utf-8')
    # The pairs, and the maps before and after.
    assert html.count('data:image/jpeg') == 3
    assert html.count('data:image/svg') == 2


def test_a_model_that_has_learnt_ends_with_success(load_tool, capsys):
    judge = load_tool('demo_cp2').judge

    judge(measure_pretraining(log_of()))

    with pytest.raises(SystemExit) as exit_info:
        judge(measure_pretraining(log_of(std_pooled=(0.0, 0.0))))
    assert 'Not learnt: the features collapsed' in str(exit_info.value.code)
