"""Tests of the tools as a user runs them, on a tiny data set."""

import importlib.util
import json
import os
import pickle
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from checkpoint_layouts import moco_v2, random_resnet
from mmdet.visualization import DetLocalVisualizer
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader
from mmengine.visualization import Visualizer
from mmseg.visualization import SegLocalVisualizer
from payload import write_hostile
from tiny import (
    tool,
    write_coco,
    write_detector,
    write_segmentor,
    write_semantic,
)

from mmcp.engine.config import UsageError
from mmcp.engine.launch import run_tool
from mmcp.engine.signals import SIGNALS

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / 'tools').glob('*.sh'))


def load_main(name):
    """Returns the main function of a tool."""
    path = ROOT / 'tools' / f'{name}.py'
    spec = importlib.util.spec_from_file_location(f'tools_{name}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


# What mmengine keeps by the name of a run, which is unique to the second.
MANAGED = (
    DefaultScope,
    MMLogger,
    MessageHub,
    Visualizer,
    DetLocalVisualizer,
    SegLocalVisualizer,
)
TRAIN, TEST = load_main('train'), load_main('test')


@pytest.fixture(autouse=True)
def isolated(monkeypatch):
    """Undoes what a tool leaves in a process, which it expects to own."""
    schemes = dict(CheckpointLoader._schemes)
    monkeypatch.setattr(CheckpointLoader, '_schemes', schemes)
    monkeypatch.setenv('LOCAL_RANK', '0')
    handlers = {signum: signal.getsignal(signum) for signum in SIGNALS}
    yield
    for signum, handler in handlers.items():
        signal.signal(signum, handler)


def call(main, *argv):
    """Runs a tool in this process; returns its exit status."""
    for kind in MANAGED:
        kind._instance_dict.clear()
    return run_tool(main, [str(word) for word in argv])


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    write_coco(folder / 'coco')
    write_semantic(folder / 'semantic')
    return folder


@pytest.fixture(scope='module')
def trained(tmp_path_factory, data):
    """A folder with a config and the work directory of its training."""
    folder = tmp_path_factory.mktemp('trained')
    config = write_detector(folder, data / 'coco', steps=3)
    command = tool('train.py', config, '--work-dir', folder / 'work')
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (folder / 'log.txt').write_text(done.stdout)
    return folder


@pytest.mark.slow
def test_train_logs_progress_and_validates(trained):
    log = (trained / 'log.txt').read_text()
    for step in (1, 2, 3):
        line = next(s for s in log.split('\n') if f'Iter(train) [{step}/' in s)
        assert 'eta: 0:00:0' in line
        assert 'loss_mask' in line
    assert 'coco/segm_mAP:' in log
    work = trained / 'work'
    assert (work / 'last_checkpoint').read_text() == str(work / 'iter_3.pth')
    assert (work / 'detector.py').is_file()


@pytest.mark.slow
def test_test_reports_metrics_predictions_and_pictures(
    trained, tmp_path, capsys
):
    work = tmp_path / 'work'
    checkpoint = trained / 'work' / 'iter_3.pth'
    config = trained / 'detector.py'
    code = call(
        TEST, config, checkpoint, '--work-dir', work,
        '--out', tmp_path / 'out' / 'predictions.pkl', '--show-dir', 'drawn',
    )  # fmt: skip
    assert code == 0
    captured = capsys.readouterr()
    assert 'coco/segm_mAP: ' in captured.out
    assert '[8/8]    eta: 0:00:00' in captured.out + captured.err
    content = json.loads((work / 'test_metrics.json').read_text())
    assert content['config'] == str(config)
    assert content['checkpoint'] == str(checkpoint)
    assert {'coco/bbox_mAP', 'coco/segm_mAP'} <= set(content['metrics'])
    with open(tmp_path / 'out' / 'predictions.pkl', 'rb') as file:
        predictions = pickle.load(file)
    assert sorted(item['img_id'] for item in predictions) == list(range(8))
    assert {'bboxes', 'scores', 'labels', 'masks'} == set(
        predictions[0]['pred_instances']
    )
    drawn = {path.name for path in work.glob('*/drawn/*')}
    assert drawn == {f'{index:03d}.png' for index in range(8)}


@pytest.mark.slow
def test_test_time_augmentation_of_boxes(trained, tmp_path):
    options = (
        'model.roi_head.mask_head=None',
        'model.roi_head.mask_roi_extractor=None',
        'test_evaluator.metric=bbox',
    )
    words = [trained / 'detector.py', trained / 'work' / 'iter_3.pth']
    words += ['--work-dir', tmp_path, '--tta']
    assert call(TEST, *words, '--cfg-options', *options) == 0
    content = json.loads((tmp_path / 'test_metrics.json').read_text())
    assert 'coco/bbox_mAP' in content['metrics']


@pytest.mark.slow
def test_segmentor_trains_and_tests(data, tmp_path):
    config = write_segmentor(tmp_path, data / 'semantic')
    work = tmp_path / 'work'
    assert call(TRAIN, config, '--work-dir', work) == 0
    out = tmp_path / 'labels'
    words = [config, work / 'iter_2.pth', '--work-dir', work]
    pictures = ['--show-dir', tmp_path / 'drawn']
    assert call(TEST, *words, '--tta', '--out', out, *pictures) == 0
    content = json.loads((work / 'test_metrics.json').read_text())
    assert 0 < content['metrics']['mIoU'] <= 100
    assert len(list(out.glob('*.png'))) == 4
    assert len(list((tmp_path / 'drawn').glob('**/*.png'))) == 4


# The four ways in. Each gets a checkpoint that makes a folder when opened.
FULL = dict(meta=dict(epoch=0, iter=1), message_hub={})


def by_resume(folder, work, path):
    return TRAIN, [folder / 'detector.py', '--resume', path]


def by_auto_resume(folder, work, path):
    work.mkdir()
    (work / 'last_checkpoint').write_text(str(path))
    return TRAIN, [folder / 'detector.py', '--resume']


def by_load_from(folder, work, path):
    return TRAIN, [
        folder / 'detector.py', '--cfg-options', f'load_from={path}'
    ]  # fmt: skip


def by_init_cfg(folder, work, path):
    init = f"dict(type='Pretrained', checkpoint='{path}')"
    text = f'model = dict(neck=dict(init_cfg={init}))\n'
    config = work.parent / 'leaf.py'
    config.write_text(f"_base_ = '{folder / 'detector.py'}'\n{text}")
    return TRAIN, [config]


def by_test_argument(folder, work, path):
    return TEST, [folder / 'detector.py', path]


WAYS = [by_resume, by_auto_resume, by_load_from, by_init_cfg, by_test_argument]


@pytest.mark.parametrize('legacy', [False, True])
@pytest.mark.parametrize('way', WAYS)
def test_payload_does_not_run(data, tmp_path, capfd, way, legacy):
    write_detector(tmp_path, data / 'coco', steps=1)
    marker, work = tmp_path / 'marker', tmp_path / 'work'
    path = write_hostile(tmp_path / 'bad.pth', marker, legacy=legacy, **FULL)
    main, words = way(tmp_path, work, path)

    assert call(main, *words, '--work-dir', work) == 1

    assert not marker.exists()
    error = capfd.readouterr().err
    assert f'error: {path} was not opened' in error
    assert '--trust-checkpoint' in error
    assert 'Traceback' not in error


@pytest.mark.parametrize('way', [by_load_from, by_test_argument])
def test_a_file_that_would_load_nothing_is_refused(data, tmp_path, capfd, way):
    write_detector(tmp_path, data / 'coco', steps=1)
    path, work = tmp_path / 'moco.pth', tmp_path / 'work'
    torch.save(moco_v2(random_resnet()), path)
    main, words = way(tmp_path, work, path)

    assert call(main, *words, '--work-dir', work) == 1

    error = capfd.readouterr().err
    assert f'error: {path} (MoCo v1 or v2' in error
    assert 'nothing would be loaded' in error
    assert 'model.init_cfg.type=mmcp.Pretrained' in error
    assert 'Traceback' not in error
    assert not (work / 'iter_1.pth').exists()


@pytest.mark.parametrize('way', [by_load_from, by_init_cfg, by_test_argument])
def test_trusted_payload_runs(data, tmp_path, way):
    write_detector(tmp_path, data / 'coco', steps=1)
    marker, work = tmp_path / 'marker', tmp_path / 'work'
    path = write_hostile(tmp_path / 'bad.pth', marker)
    main, words = way(tmp_path, work, path)
    if main is TRAIN:
        words.append('--no-validate')
    # The payload fails when it runs a second time: its folder is there.
    options = ['--work-dir', work, '--trust-checkpoint']
    call(main, *words, *options)
    assert marker.is_dir()


@pytest.mark.slow
def test_trusted_checkpoint_is_resumed(trained, tmp_path):
    content = torch.load(trained / 'work' / 'iter_2.pth', weights_only=False)
    content['extra'] = Path('not', 'plain', 'data')
    path = tmp_path / 'mine.pth'
    torch.save(content, path)
    words = [trained / 'detector.py', '--work-dir', tmp_path / 'work']
    words += ['--no-validate', '--resume', path]
    assert call(TRAIN, *words) == 1
    assert call(TRAIN, *words, '--trust-checkpoint') == 0
    assert (tmp_path / 'work' / 'iter_3.pth').is_file()
    assert not (tmp_path / 'work' / 'iter_2.pth').exists()


@pytest.mark.slow
def test_program_in_the_meta_data_does_not_run(trained, tmp_path):
    marker = tmp_path / 'marker'
    content = torch.load(trained / 'work' / 'iter_2.pth', weights_only=False)
    content['meta']['config'] = f"import os\nos.mkdir('{marker}')\n"
    path = tmp_path / 'text.pth'
    torch.save(content, path)
    words = [trained / 'detector.py', '--work-dir', tmp_path / 'work']
    assert call(TRAIN, *words, '--no-validate', '--resume', path) == 0
    assert not marker.exists()


@pytest.mark.slow
def test_resumed_training_goes_on_with_seed_and_schedule(trained, tmp_path):
    work = tmp_path / 'work'
    words = [trained / 'detector.py', '--no-validate', '--work-dir', work]
    assert call(TRAIN, *words, '--seed', 7) == 0
    whole = torch.load(work / 'iter_3.pth', weights_only=False)
    shutil.move(work / 'iter_2.pth', tmp_path / 'two.pth')
    shutil.rmtree(work)
    assert call(TRAIN, *words, '--resume', tmp_path / 'two.pth') == 0
    again = torch.load(work / 'iter_3.pth', weights_only=False)
    for name in ('seed', 'iter', 'epoch'):
        assert again['meta'][name] == whole['meta'][name]
    assert again['meta']['seed'] == 7
    assert again['param_schedulers'] == whole['param_schedulers']
    assert (
        again['optimizer']['param_groups']
        == (whole['optimizer']['param_groups'])
    )


MISTAKES = [
    (['dtector.py'], 'Did you mean detector.py?'),
    (
        ['detector.py', '--cfg-options', 'optim_wraper.optimizer.lr=1'],
        "Did you mean 'optim_wrapper'?",
    ),
    (
        ['detector.py', '--cfg-options', 'model.type=MaskRCN'],
        "Did you mean 'MaskRCNN'?",
    ),
    (
        [
            'detector.py',
            '--cfg-options',
            'train_dataloader.dataset.pipeline.2.type=mmcp.CopyPast',
        ],
        "Did you mean 'mmcp.CopyPaste'?",
    ),
    (
        ['detector.py', '--cfg-options', 'model.backbone.frozen_stagess=1'],
        "Did you mean 'frozen_stages'?",
    ),
    (
        ['detector.py', '--cfg-options', 'model.neck.start_levl=1'],
        "FPN has no argument 'start_levl'. Did you mean 'start_level'?",
    ),
    (
        [
            'detector.py',
            '--cfg-options',
            'train_dataloader.dataset.ann_file=none.json',
        ],
        'none.json does not exist',
    ),
    (
        ['detector.py', '--cfg-options', 'train_cfg.max_iters=ten'],
        "IterBasedTrainLoop refused its arguments (max_iters='ten', ",
    ),
    (
        ['detector.py', '--cfg-options', 'optim_wrapper.optimizer.lr=abc'],
        "SGD refused its arguments (lr='abc', momentum=0.9): ",
    ),
    (
        ['detector.py', '--cfg-options', 'train_dataloader.batch_size=0'],
        'DataLoader refused its arguments: batch_size should be a positive ',
    ),
    (['detector.py', '--launcher', 'pytorch'], 'Use tools/dist_train.sh'),
    (['detector.py', '--amp'], 'needs a GPU'),
    (['detector.py', '--resume', 'none.pth'], 'none.pth does not exist'),
]


@pytest.mark.parametrize(('words', 'expected'), MISTAKES)
def test_mistakes_are_told_in_one_line(
    data, tmp_path, monkeypatch, capfd, words, expected
):
    write_detector(tmp_path, data / 'coco', steps=1)
    monkeypatch.chdir(tmp_path)
    assert call(TRAIN, *words) == 1
    captured = capfd.readouterr().err
    error = [s for s in captured.split('\n') if s.startswith('error: ')]
    assert len(error) == 1
    assert expected in error[0]
    assert 'Traceback' not in captured


def test_missing_data_are_told_before_the_runner_logs(data, tmp_path, capfd):
    config = write_detector(tmp_path, data / 'coco', steps=1)
    options = [
        f'{part}_dataloader.dataset.data_root={tmp_path}/none'
        for part in ('train', 'test')
    ]
    checkpoint = tmp_path / 'none.pth'
    for main, words in (TRAIN, [config]), (TEST, [config, checkpoint]):
        words += ['--work-dir', tmp_path / 'work', '--cfg-options', *options]
        assert call(main, *words) == 1
        captured = capfd.readouterr()
        assert captured.err.startswith(f'error: {tmp_path}/none/annotations')
        assert f'ln -s /path/to/none {tmp_path}/none)' in captured.err
        assert 'train_dataloader.dataset.data_root' in captured.err
        assert 'mmengine' not in captured.out
    assert not (tmp_path / 'work').exists()


def test_swapped_arguments(trained, capsys):
    checkpoint = trained / 'work' / 'iter_3.pth'
    assert call(TEST, checkpoint, trained / 'detector.py') == 1
    assert 'the config comes first' in capsys.readouterr().err
    assert call(TEST, trained / 'detector.py', trained / 'detector.py') == 1
    assert 'it comes second' in capsys.readouterr().err


def test_traceback_flag(trained):
    with pytest.raises(UsageError):
        call(TRAIN, trained / 'none.py', '--traceback')


@pytest.mark.parametrize(
    ('main', 'flags'),
    [
        (TRAIN, '--resume --amp --auto-scale-lr --no-validate --seed'),
        (TEST, '--out --show --show-dir --wait-time --tta'),
    ],
)
def test_help_lists_the_flags(main, flags, capsys):
    with pytest.raises(SystemExit) as caught:
        call(main, '--help')
    assert caught.value.code == 0
    text = capsys.readouterr().out
    shared = '--work-dir --cfg-options --launcher --trust-checkpoint'
    for flag in (*flags.split(), *shared.split()):
        assert f'{flag} ' in text or f'{flag}\n' in text or f'{flag}]' in text


def interrupted(config, work, *words, after, signum=signal.SIGINT):
    """Starts a training and sends a signal once a checkpoint is there."""
    command = tool('train.py', config, '--work-dir', work, *words)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not (work / after).exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signum)
    _, error = process.communicate(timeout=120)
    return process.returncode, error


@pytest.mark.slow
@pytest.mark.parametrize('by_epoch', [False, True])
def test_ctrl_c_and_resume(data, tmp_path, by_epoch):
    config = write_detector(
        tmp_path, data / 'coco', by_epoch=by_epoch, steps=500,
        extra="custom_hooks = [dict(type='EMAHook')]",
    )  # fmt: skip
    work = tmp_path / 'work'
    first = 'epoch_1.pth' if by_epoch else 'iter_2.pth'
    signum = signal.SIGTERM if by_epoch else signal.SIGINT

    code, error = interrupted(config, work, after=first, signum=signum)

    assert code == 128 + signum
    path = work / 'interrupted.pth'
    last_line = error.strip().split('\n')[-1]
    assert last_line.startswith(
        f'Training was interrupted by {signum.name}. Go on from {path} with: '
    )
    meta = torch.load(path, weights_only=False)['meta']
    assert meta['iter'] >= (4 if by_epoch else 2)

    code, error = interrupted(
        config, work, '--resume', after=f'epoch_{meta["epoch"] + 1}.pth'
        if by_epoch else f'iter_{meta["iter"] + 1}.pth',
    )  # fmt: skip
    assert code == 130
    log = max(work.glob('*/*.log')).read_text()
    assert f'iter: {meta["iter"]}' in log
    if by_epoch and meta['iter'] % 4:
        assert 'goes on after its batch' in log
    again = torch.load(path, weights_only=False)['meta']
    assert again['iter'] > meta['iter']
    assert again['seed'] == meta['seed']


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound(script):
    subprocess.run(['bash', '-n', str(script)], check=True)
    assert os.access(script, os.X_OK)
    done = subprocess.run([str(script)], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith('usage: ')
    checker = shutil.which('shellcheck')
    if checker:
        subprocess.run([checker, str(script)], check=True)


ECHO = '#!/usr/bin/env bash\nprintf "[%s]\\n" "$@" "PYTHONPATH=$PYTHONPATH"\n'


@pytest.fixture
def echo(tmp_path):
    """A stand-in for a program that prints its arguments, one a line."""
    path = tmp_path / 'bin' / 'srun'
    path.parent.mkdir()
    path.write_text(ECHO)
    path.chmod(0o755)
    return path


def printed(script, *words, **environment):
    environment = {**os.environ, **environment}
    command = [str(ROOT / 'tools' / script), *words]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    )
    return [line[1:-1] for line in done.stdout.split('\n')[:-1]]


def test_dist_train_passes_everything_on(echo):
    words = printed(
        'dist_train.sh', 'a b.py', '4', '--work-dir', 'c d', '--amp',
        PYTHON=str(echo), NNODES='2', NODE_RANK='1', PORT='1234',
        MASTER_ADDR='host', PYTHONPATH='mine',
    )  # fmt: skip
    assert words == [
        '-m', 'mmcp.engine.distribute', '--nnodes=2', '--node_rank=1',
        '--master_addr=host', '--master_port=1234', '--nproc_per_node=4',
        str(ROOT / 'tools' / 'train.py'), 'a b.py', '--launcher', 'pytorch',
        '--work-dir', 'c d', '--amp', f'PYTHONPATH={ROOT}:mine',
    ]  # fmt: skip


def test_dist_test_passes_everything_on(echo):
    words = printed('dist_test.sh', 'a b.py', 'x.pth', '2', PYTHON=str(echo))
    assert words[2:-1] == [
        '--nnodes=1', '--node_rank=0', '--master_addr=127.0.0.1',
        '--master_port=29500', '--nproc_per_node=2',
        str(ROOT / 'tools' / 'test.py'), 'a b.py', 'x.pth',
        '--launcher', 'pytorch',
    ]  # fmt: skip


@pytest.mark.parametrize('extra', ['', '--time=1 --qos=low'])
def test_slurm_train_passes_everything_on(echo, extra):
    path = f'{echo.parent}:{os.environ["PATH"]}'
    words = printed(
        'slurm_train.sh', 'gpu', 'job', 'a b.py', 'c d', '--amp',
        PATH=path, GPUS='4', CPUS_PER_TASK='3', PYTHON='py', SRUN_ARGS=extra,
    )  # fmt: skip
    assert words[:-1] == [
        '--partition=gpu', '--job-name=job', '--gres=gpu:4', '--ntasks=4',
        '--ntasks-per-node=4', '--cpus-per-task=3', '--kill-on-bad-exit=1',
        *extra.split(), 'py', '-u', str(ROOT / 'tools' / 'train.py'),
        'a b.py', '--work-dir', 'c d', '--launcher', 'slurm', '--amp',
    ]  # fmt: skip
