"""Tests of other lengths and data for a training, and of their tool."""

import argparse
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from check_configs import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from mmcp.engine.config import UsageError
from mmcp.engine.options import OptionsAction, merge_options
from mmcp.engine.training_length import (
    annotation_options,
    length_options,
    steps_of,
)

FOLDER = ROOT / 'configs' / 'copy_paste'
LSJ = FOLDER / 'mask-rcnn_r50_fpn_64xb4-lsj-576e_coco-1024.py'
SMALL = (
    FOLDER / 'mask-rcnn_mobilenetv2_fpn_in1k-pre_1xb4-scp-100i_cocosmall.py'
)
SCHEDULE = ROOT / 'configs/_base_/schedules/576e_b256.py'
CP2 = ROOT / 'configs/cp2/cp2_r50-aspp_8xb32-200e_in1k.py'


def run(capsys, *options):
    """What the tool prints, merged into the config as training does it."""
    main = runpy.run_path(str(ROOT / 'tools' / 'training_length.py'))['main']
    main([str(option) for option in options])
    (line,) = capsys.readouterr().out.splitlines()
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction)
    words = ['--cfg-options', *line.split()]
    cfg = Config.fromfile(options[0])
    merge_options(cfg, parser.parse_args(words).cfg_options)
    return cfg, line


def check_shares(cfg, steps):
    warm_up, decay = cfg.param_scheduler
    assert cfg.train_cfg.max_iters == decay.end == steps
    assert (warm_up.begin, warm_up.end) == (0, 1000)
    for milestone, share in zip(
        decay.milestones, (0.9, 0.95, 0.975), strict=True
    ):
        # Those of the config are rounded, too.
        assert milestone == pytest.approx(share * steps, abs=1, rel=4e-6)


def test_epochs_of_coco(capsys):
    cfg, line = run(capsys, LSJ, '--epochs', 48)
    assert line == (
        'train_cfg.max_iters=22179 param_scheduler.1.end=22179 '
        'param_scheduler.1.milestones=19961,21070,21624'
    )
    check_shares(cfg, 22179)


def test_a_shell_gets_nothing_but_the_options():
    tool = [sys.executable, str(ROOT / 'tools' / 'training_length.py')]
    done = subprocess.run(
        [*tool, str(LSJ), '--steps', '2000'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (
        'train_cfg.max_iters=2000 param_scheduler.1.end=2000 '
        'param_scheduler.1.milestones=1800,1900,1950\n'
    )
    assert '2,000 steps of 256 images' in done.stderr


def test_its_own_length_changes_nothing(capsys):
    before = Config.fromfile(LSJ)
    cfg, _ = run(capsys, LSJ, '--epochs', 576)
    assert cfg.to_dict() == before.to_dict()


@settings(max_examples=20, deadline=None)
@given(steps=st.integers(1001, 10**6))
def test_any_number_of_steps(steps):
    schedule = Config.fromfile(SCHEDULE)
    merge_options(schedule, length_options(schedule, steps))
    check_shares(schedule, steps)


def write_fraction(tmp_path, images=30):
    path = tmp_path / 'a_10pct.json'
    content = dict(images=[{}] * images, annotations=[{}] * 99)
    path.write_text(json.dumps(content))
    return path


def test_a_fraction_of_the_data(tmp_path, capsys):
    path = write_fraction(tmp_path)
    before = Config.fromfile(LSJ)

    cfg, line = run(capsys, LSJ, '--ann-file', path)

    assert line == f'train_dataloader.dataset.dataset.ann_file={path}'
    reader = cfg.train_dataloader.dataset.dataset
    assert reader.ann_file == str(path)
    reader.ann_file = before.train_dataloader.dataset.dataset.ann_file
    # Nothing else, not even the length.
    assert cfg.to_dict() == before.to_dict()


def test_epochs_of_a_fraction(tmp_path, capsys):
    path = write_fraction(tmp_path, images=2561)
    cfg, _ = run(capsys, LSJ, '--ann-file', path, '--epochs', 200)
    assert cfg.train_dataloader.dataset.dataset.ann_file == str(path)
    check_shares(cfg, 2001)


def test_files_are_found_below_the_data_root(tmp_path):
    write_fraction(tmp_path, images=41)
    cfg = Config.fromfile(SMALL)
    cfg.train_dataloader.dataset.dataset.data_root = f'{tmp_path}/'
    assert steps_of(cfg, 3, 'a_10pct.json') == 31
    with pytest.raises(FileNotFoundError):
        steps_of(cfg, 3)


def test_a_source_of_its_own_gets_the_same_file():
    cfg = Config.fromfile(LSJ)
    dataset = cfg.train_dataloader.dataset
    dataset.source = dict(dataset.dataset)
    assert annotation_options(cfg, 'x.json') == {
        'train_dataloader.dataset.dataset.ann_file': 'x.json',
        'train_dataloader.dataset.source.ann_file': 'x.json',
    }
    dataset.source.ann_file = 'other.json'
    with pytest.raises(UsageError, match='on 2 annotation files'):
        annotation_options(cfg, 'x.json')


def test_what_cannot_be_is_told(tmp_path, capsys):
    with pytest.raises(UsageError, match='over before the warm-up'):
        length_options(Config.fromfile(LSJ), 1000)
    with pytest.raises(UsageError, match='trained by epochs'):
        length_options(Config.fromfile(CP2), 1000)
    with pytest.raises(UsageError, match='on 0 annotation files'):
        annotation_options(Config.fromfile(CP2), 'x.json')
    empty = Path(tmp_path / 'x.json')
    for text, message in (('{}', 'has no images'), ('[]', 'no JSON object')):
        empty.write_text(text)
        with pytest.raises(UsageError, match=message):
            steps_of(Config.fromfile(LSJ), 1, str(empty))
    for options in ((), ('--steps', '0'), ('--steps', '5', '--epochs', '5')):
        with pytest.raises(SystemExit):
            run(capsys, LSJ, *options)
