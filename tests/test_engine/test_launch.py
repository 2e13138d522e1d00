"""Tests of how a tool starts and ends."""

import argparse
import os
import signal
from pathlib import Path

import pytest
import torch.distributed as dist
from mmengine.config import Config

from mmcp.engine import launch
from mmcp.engine.config import UsageError
from mmcp.engine.hooks import TrainingInterrupted
from mmcp.engine.launch import add_shared_arguments, read_config, run_tool


def end_with(error):
    def main(argv):
        raise error

    return main


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    for name in ('RANK', 'SLURM_PROCID', 'MMCP_TRACEBACK', 'LOCAL_RANK'):
        monkeypatch.setenv(name, '')  # so that it is put back even if unset
        monkeypatch.delenv(name)
    monkeypatch.setattr('sys.argv', ['tools/train.py'])


def test_success():
    seen = []
    assert run_tool(seen.extend, ['a', 'b']) == 0
    assert seen == ['a', 'b']


def test_success_ends_the_process_group(tmp_path):
    dist.init_process_group(
        'gloo', store=dist.FileStore(str(tmp_path / 'store'), 1),
        rank=0, world_size=1,
    )  # fmt: skip
    assert run_tool(lambda argv: None, []) == 0
    assert not dist.is_initialized()


def test_explained_error_is_one_line(capsys):
    assert run_tool(end_with(UsageError('do this')), []) == 1
    assert capsys.readouterr().err == 'error: do this\n'


def test_ranks_name_themselves_after_the_first(capsys, monkeypatch):
    slept = []
    monkeypatch.setattr(launch.time, 'sleep', slept.append)
    assert run_tool(end_with(UsageError('do this')), []) == 1
    assert capsys.readouterr().err == 'error: do this\n'
    assert slept == []

    monkeypatch.setenv('RANK', '3')
    assert run_tool(end_with(UsageError('do this')), []) == 1
    assert slept == [launch.HEAD_START]
    assert capsys.readouterr().err == '[rank 3] error: do this\n'


@pytest.mark.parametrize('way', ['flag', 'variable'])
def test_traceback_on_request(way, monkeypatch):
    argv = ['--traceback'] if way == 'flag' else []
    if way == 'variable':
        monkeypatch.setenv('MMCP_TRACEBACK', '1')
    with pytest.raises(UsageError):
        run_tool(end_with(UsageError('do this')), argv)


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run_tool(end_with(ZeroDivisionError()), [])


@pytest.mark.parametrize(
    ('signum', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
@pytest.mark.parametrize(
    ('argv', 'command'),
    [
        (['c.py'], 'python tools/train.py c.py --resume'),
        (
            ['c.py', '--resume', '--work-dir', 'a b'],
            "python tools/train.py c.py --work-dir 'a b' --resume",
        ),
        (
            ['--resume', 'x.pth', 'c.py', '--amp'],
            'python tools/train.py c.py --amp --resume',
        ),
        (['c.py', '--resume=x.pth'], 'python tools/train.py c.py --resume'),
        (['c.py', '--launcher', 'pytorch'], 'the same command and --resume'),
    ],
)
def test_interruption_says_how_to_go_on(capsys, signum, code, argv, command):
    stop = TrainingInterrupted(signum, Path('w/interrupted.pth'))
    assert run_tool(end_with(stop), argv) == code
    assert capsys.readouterr().err == (
        f'Training was interrupted by {signal.Signals(signum).name}. Go on '
        f'from w/interrupted.pth with: {command}\n'
    )


def test_ctrl_c_outside_of_training(capsys):
    assert run_tool(end_with(KeyboardInterrupt()), []) == 130
    assert capsys.readouterr().err == 'Interrupted; nothing was saved.\n'


def parse(*argv):
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    add_shared_arguments(parser)
    return parser.parse_args([str(word) for word in argv])


def test_shared_arguments(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text('model = dict(a=1)\n')
    cfg = read_config(parse(path, '--cfg-options', 'model.a=2'))
    assert cfg.model.a == 2
    assert cfg.launcher == 'none'
    assert cfg.work_dir == str(Path('work_dirs') / 'mine')

    path.write_text("work_dir = 'theirs'\n")
    assert read_config(parse(path)).work_dir == 'theirs'
    cfg = read_config(parse(path, '--work-dir', 'w', '--launcher', 'slurm'))
    assert (cfg.work_dir, cfg.launcher) == ('w', 'slurm')


@pytest.mark.parametrize('flag', ['--local_rank', '--local-rank'])
@pytest.mark.parametrize('before', [None, '5'])
def test_local_rank_of_old_launchers(tmp_path, monkeypatch, flag, before):
    if before:
        monkeypatch.setenv('LOCAL_RANK', before)
    path = tmp_path / 'mine.py'
    path.write_text('a = 1\n')
    read_config(parse(path, flag, 2))
    assert os.environ['LOCAL_RANK'] == (before or '2')


def test_mistyped_key_in_the_config_is_refused(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text('optim_wraper = dict(type="OptimWrapper")\n')
    with pytest.raises(UsageError, match=r"Did you mean 'optim_wrapper'\?"):
        read_config(parse(path))


def test_launcher_is_checked_before_anything_is_built(tmp_path):
    cfg = Config(dict(launcher='pytorch', work_dir=str(tmp_path)))
    with pytest.raises(UsageError, match=r'--launcher pytorch is for'):
        launch.build_runner(cfg)
