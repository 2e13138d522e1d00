"""The comparison of starts: equal arms, cells done once, honest tables."""

import contextlib
import dataclasses
import importlib.util
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmdet.visualization import DetLocalVisualizer
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import CheckpointLoader
from mmengine.visualization import Visualizer
from mmseg.visualization import SegLocalVisualizer
from tiny_segmentation import make_tiny_segmentation

from mmcp.engine.launch import run_tool
from mmcp.engine.signals import SIGNALS

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'benchmarks' / 'studies'))

import cp2_transfer as study  # noqa: E402
import training_cells  # noqa: E402
from cp2_transfer_study import cells, recipes, report, settings  # noqa: E402

ARMS, SMALL, TARGETS = settings.ARMS, settings.SMALL, settings.TARGETS
DATA = Path('DATA')
MANAGED = (
    DefaultScope,
    MMLogger,
    MessageHub,
    Visualizer,
    DetLocalVisualizer,
    SegLocalVisualizer,
)


@pytest.mark.parametrize('sizes', [SMALL, settings.Settings()])
@pytest.mark.parametrize('target', TARGETS)
def test_arms_differ_by_what_they_start_from_alone(target, sizes):
    configs = {}
    for arm in ARMS:
        start = None if arm == 'random' else Path(f'{arm}.pth')
        config = recipes.finetune_config(DATA, target, arm, start, sizes)
        configs[arm] = config.to_dict()
    starts = {
        arm: config['model'].pop('init_cfg', None)
        for arm, config in configs.items()
    }

    assert all(config == configs['random'] for config in configs.values())
    assert starts['random'] is None
    assert {arm: s['part'] for arm, s in starts.items() if s} == {
        'imagenet': 'backbone',
        'moco': 'backbone',
        'cp2': 'backbone+head',
        'cp2-backbone': 'backbone',
    }
    assert starts['cp2'] == dict(
        type='mmcp.Pretrained', checkpoint='cp2.pth', part='backbone+head'
    )


@pytest.mark.parametrize('target', TARGETS)
def test_schedule_evaluation_and_classes_belong_together(target):
    config = recipes.finetune_config(DATA, target, 'random', None, SMALL)
    described = TARGETS[target]

    assert config.train_cfg.max_iters == SMALL.steps
    assert config.train_cfg.val_interval == SMALL.steps
    assert config.param_scheduler[-1].end == SMALL.steps
    assert config.model.decode_head.num_classes == described.classes
    ignored = {
        config.model.decode_head.ignore_index,
        config.model.data_preprocessor.seg_pad_val,
        config.train_dataloader.dataset.pipeline[3].ignore_index,
        config.val_evaluator.ignore_index,
    }
    assert ignored == {described.ignore_index}
    assert 'test_cfg' not in config


@pytest.mark.parametrize('sizes', [SMALL, settings.Settings()])
def test_pretrained_and_fine_tuned_are_the_same_model(sizes):
    cp2 = recipes.pretrain_config(DATA, 'cp2', sizes).model
    moco = recipes.pretrain_config(DATA, 'moco', sizes).model
    tuned = recipes.finetune_config(DATA, 'coco', 'random', None, sizes).model
    # SyncBN gives the contrastive task away; one device has none anyway.
    for part in (tuned.backbone, tuned.decode_head):
        part.norm_cfg.type = 'BN'
    for name in ('num_classes', 'ignore_index', 'dropout_ratio'):
        del tuned.decode_head[name]
    del tuned.decode_head['loss_decode']

    assert cp2.backbone == moco.backbone == tuned.backbone
    assert cp2.decode_head == tuned.decode_head
    assert (cp2.type, moco.type) == ('mmcp.CP2', 'mmcp.MoCo')
    for model in (cp2, moco):
        assert model.projector.out_channels == recipes.EMBEDDING
        assert (model.queue_len, model.momentum, model.bn_splits) == (
            sizes.queue_len,
            sizes.momentum,
            sizes.bn_splits,
        )


def test_nothing_that_is_evaluated_is_pretrained_on():
    config = recipes.pretrain_config(DATA, 'cp2', SMALL)
    sources = config.train_dataloader.dataset.dataset.sources
    judged = [
        recipes.finetune_config(
            DATA, target, 'random', None, SMALL
        ).val_dataloader.dataset
        for target in TARGETS
    ]

    assert sources == [
        'DATA/caltech101_sub/train',
        'DATA/coco_small/train2017',
    ]
    for dataset in judged:
        folder = f'{dataset.data_root}/{dataset.data_prefix.img_path}'
        assert not any(folder.startswith(source) for source in sources)


def test_missing_data_are_named(tmp_path):
    (tmp_path / 'camvid' / 'images' / 'train').mkdir(parents=True)
    with pytest.raises(FileNotFoundError) as caught:
        settings.check_data(tmp_path)

    text = str(caught.value)
    assert 'coco_small/voc21_semseg/val2017.txt' in text
    assert settings.IMAGENET in text
    assert 'camvid/images/train' not in text
    assert 'camvid/images/val' in text


LINE = (
    'Loaded backbone 306 of 306 tensors (100 %), head 6 of 6 tensors (100 %) '
    'from {folder}transfer-cp2_20260101-0a1b2c3d.pth, MMSegmentation. Left as '
    'initialised: conv_seg.bias.'
)


def test_line_of_what_was_loaded_is_found_without_folders():
    log = (
        f'x - INFO - {LINE.format(folder="old/").replace("306", "300")}\n'
        f'01/01 10:00:00 - mmengine - INFO - {LINE.format(folder="/a/b/")}\n'
        'loss: 3\n'
    )

    assert cells.loaded_line(log, 'cp2') == LINE.format(folder='')
    assert cells.loaded_line('loss: 3\n', 'random') == ''


@pytest.mark.parametrize(
    ('arm', 'log'),
    [
        ('cp2', ''),
        ('cp2', 'Loaded backbone 306 of 306 tensors (100 %) from x.pth, y.'),
        ('cp2', LINE.replace('6 of 6', '5 of 6')),
        ('cp2-backbone', LINE),
        ('random', LINE),
    ],
)
def test_weights_that_were_not_all_loaded_are_no_measurement(arm, log):
    with pytest.raises(RuntimeError, match=f"'{arm}' must load all of"):
        cells.loaded_line(log, arm)


def _cell(target='camvid', arm='random', seed=0, value=10.0, steps=9):
    metrics = dict.fromkeys(cells.METRICS, value)
    loaded = '' if arm == 'random' else f'Loaded {arm}.'
    return cells.FineTuning(target, arm, seed, steps, 1.5, metrics, loaded)


def _pretraining(method='cp2'):
    names = set(cells.MONITORS)
    if method == 'moco':
        names -= {'loss_dense', 'acc_dense', 'cos_fg_fg', 'cos_fg_bg'}
    monitors = {name: [1.0, 2.5] for name in names}
    return cells.Pretraining(method, 4, 40, 2.0, monitors)


def _results():
    values = {
        ('random', 0): 10.0,
        ('random', 1): 12.0,
        ('moco', 0): 14.0,
        ('moco', 1): 17.0,
        ('cp2', 1): 20.0,
    }
    curve = [(1, 1.0), (40, 2.5)]
    pretrainings = {m: _pretraining(m) for m in settings.PRETRAININGS}
    return report.Results(
        pretrainings,
        [_cell('camvid', *key, value) for key, value in values.items()],
        {
            name: dict.fromkeys(p.monitors, curve)
            for name, p in pretrainings.items()
        },
    )


def test_table_has_every_seed_means_and_differences_of_shared_seeds():
    assert report.make_table(_results(), 'camvid').splitlines() == [
        '| start | seed 0 | seed 1 | mean ± std | minus random |',
        '| --- | ---: | ---: | ---: | ---: |',
        '| random weights | 10.00 | 12.00 | **11.00 ± 1.41** |  |',
        '| MoCo v2 | 14.00 | 17.00 | **15.50 ± 2.12** | +4.50 |',
        '| CP2 |  | 20.00 | **20.00** | +8.00 |',
    ]


def test_monitors_of_both_pretrainings_stand_side_by_side():
    lines = report.monitor_table(_results()).splitlines()

    assert lines[0] == (
        '|  | CP2, start | CP2, end | MoCo v2, start | MoCo v2, end |'
    )
    assert lines[2] == '| instance loss | 1.000 | 2.500 | 1.000 | 2.500 |'
    assert lines[4] == '| dense loss, times 0.2 | 1.000 | 2.500 |  |  |'
    assert len(lines) == 2 + len(cells.MONITORS)


def test_chart_names_arms_data_and_means():
    chart = report.chart(_results())

    assert chart == report.chart(_results())
    for text in ('random weights', 'MoCo v2', 'CP2', 'CamVid: mIoU (%)'):
        assert f'<!-- {text} -->' in chart
    assert '<!-- 15.5 -->' in chart
    assert 'coco_small' not in chart


def _keep(folder, measurement):
    folder.mkdir(parents=True)
    text = json.dumps(dataclasses.asdict(measurement))
    (folder / 'measurement.json').write_text(text)


def test_finished_cells_are_collected(tmp_path):
    _keep(tmp_path / 'cp2', _pretraining())
    _keep(tmp_path / 'camvid_cp2_seed0', _cell(arm='cp2'))
    (tmp_path / 'coco_cp2_seed0').mkdir()

    results = report.collect(tmp_path)

    assert results.pretrainings == {'cp2': _pretraining()}
    assert results.finetunings == [_cell(arm='cp2')]
    assert results.targets() == ['camvid']


def test_cells_that_do_not_compare_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='no fine-tuning is finished'):
        report.collect(tmp_path)
    _keep(tmp_path / 'a', _cell())
    _keep(tmp_path / 'b', _cell(seed=1, steps=8))
    with pytest.raises(ValueError, match=r'fine-tunings of \[8, 9\] steps'):
        report.collect(tmp_path)


def test_record_keeps_what_stands_around_the_figures(tmp_path):
    page = tmp_path / 'cp2_transfer.md'
    page.write_text(f'before\n\n{report.BEGIN}\nold\n{report.END}\n\nafter\n')
    for _ in range(2):
        report.write_record(_results(), SMALL, tmp_path)
    text = page.read_text()
    record = json.loads((tmp_path / 'cp2_transfer.json').read_text())

    assert text == (
        f'before\n\n{report.BEGIN}\n\n{report.figures(_results())}\n\n'
        f'{report.END}\n\nafter\n'
    )
    assert report.make_table(_results(), 'camvid') in text
    assert 'moco: Loaded moco.\ncp2: Loaded cp2.' in text
    assert record['settings']['steps'] == SMALL.steps
    assert record['summary']['camvid']['moco']['mean'] == 15.5
    assert record['finetunings'][4]['metrics']['mIoU'] == 20.0
    assert (tmp_path / 'cp2_transfer_curves.png').stat().st_size > 1000


def test_page_without_markers_is_refused_and_a_missing_one_is_made(tmp_path):
    report.write_record(_results(), SMALL, tmp_path)
    page = tmp_path / 'cp2_transfer.md'
    assert report.figures(_results()) in page.read_text()

    page.write_text('nothing\n')
    with pytest.raises(ValueError, match='are needed'):
        report.write_record(_results(), SMALL, tmp_path)


TINY = dataclasses.replace(
    SMALL,
    view=64,
    pretrain_batch=4,
    epochs=1,
    queue_len=4,
    head_channels=8,
    scale=(64, 48),
    crop=32,
    batch=2,
    steps=1,
)


@pytest.fixture
def tiny_data(tmp_path):
    """All that the study reads, in small."""
    data = tmp_path / 'data'
    for target in TARGETS.values():
        for part in (target.train, target.val):
            make_tiny_segmentation(part, data)
    rng = np.random.default_rng(0)
    for split in ('train', 'val'):
        for label in ('ant', 'bee'):
            folder = data / settings.LABELLED / split / label
            folder.mkdir(parents=True)
            for index in range(10):
                pixels = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
                cv2.imwrite(str(folder / f'{index}.jpg'), pixels)
    with DefaultScope.overwrite_default_scope('mmseg'):
        config = recipes.pretrain_config(data, 'moco', TINY).model.backbone
        backbone = MODELS.build(config)
    weights = recipes.imagenet_checkpoint(data)
    weights.parent.mkdir()
    state = {f'backbone.{k}': v for k, v in backbone.state_dict().items()}
    torch.save(dict(state_dict=state), weights)
    return data


@pytest.fixture
def tools_in_process(monkeypatch):
    """Runs the study's subprocesses here; gives what was run."""
    ran = []

    def run(command, *, stdout, **_):
        tool, argv = ROOT / command[1], command[2:]
        ran.append((tool.stem, argv))
        for kind in MANAGED:
            kind._instance_dict.clear()
        spec = importlib.util.spec_from_file_location(tool.stem, tool)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.syspath_prepend(str(tool.parent))
        spec.loader.exec_module(module)
        with (
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(stdout),
        ):
            status = run_tool(module.main, argv)
        return subprocess.CompletedProcess(command, status or 0)

    schemes = dict(CheckpointLoader._schemes)
    monkeypatch.setattr(CheckpointLoader, '_schemes', schemes)
    monkeypatch.setenv('LOCAL_RANK', '0')
    # mmengine, too, starts processes: theirs stay as they are.
    pretended = SimpleNamespace(run=run, STDOUT=subprocess.STDOUT)
    for module in (cells, training_cells):
        monkeypatch.setattr(module, 'subprocess', pretended)
    handlers = {signum: signal.getsignal(signum) for signum in SIGNALS}
    yield ran
    for signum, handler in handlers.items():
        signal.signal(signum, handler)


def _names(ran):
    """Folders of trainings, and tools that are no training."""
    return [
        Path(argv[argv.index('--work-dir') + 1]).name
        if '--work-dir' in argv
        else tool
        for tool, argv in ran
    ]


@pytest.mark.slow
def test_study_from_images_to_report_runs_every_cell_once(
    tiny_data, tools_in_process, tmp_path, monkeypatch
):
    monkeypatch.setattr(study, 'SMALL', TINY)
    out, work_dir = tmp_path / 'out', tmp_path / 'work'
    argv = ['--small', '--data', str(tiny_data), '--seeds', '0']
    argv += ['--arms', 'cp2', '--targets', 'camvid']
    argv += ['--out', str(out), '--work-dir', str(work_dir)]

    study.main(argv)
    first = (out / 'cp2_transfer.json').read_text()
    study.main(argv)
    study.main([*argv, '--report-only'])

    assert _names(tools_in_process) == [
        'cp2',
        'publish_model',
        'camvid_cp2_seed0',
    ]
    assert (out / 'cp2_transfer.json').read_text() == first
    record = json.loads(first)
    (cell,) = record['finetunings']
    assert re.search(r'backbone (\d+) of \1 tensors', cell['loaded'])
    assert re.search(r'head (\d+) of \1 tensors', cell['loaded'])
    assert 0 <= cell['metrics']['mIoU'] <= 100
    assert set(record['pretrainings']['cp2']['monitors']) == {*cells.MONITORS}


def test_every_arm_starts_from_its_own_file(tmp_path):
    names = {}
    for method in settings.PRETRAININGS:
        folder = tmp_path / method / 'published'
        folder.mkdir(parents=True)
        names[method] = folder / f'transfer-{method}_20260101-0a1b2c3d.pth'
        names[method].touch()
    done = cells.Study(DATA, tmp_path, TINY)

    assert {arm: done.checkpoint(arm) for arm in ARMS} == {
        'random': None,
        'imagenet': DATA / settings.IMAGENET,
        'moco': names['moco'],
        'cp2': names['cp2'],
        'cp2-backbone': names['cp2'],
    }


def test_cells_of_a_seed_are_done_before_the_next(monkeypatch, tmp_path):
    ran = []

    def run_cell(folder, config, seed, measure, *, keep_predictions):
        ran.append((folder.name, config.name, seed, keep_predictions))
        kept = _cell(seed=seed) if '_' in folder.name else _pretraining()
        return dataclasses.asdict(kept)

    monkeypatch.setattr(cells, 'run_cell', run_cell)
    done = cells.Study(DATA, tmp_path, TINY)
    results = done.run(['camvid', 'coco'], ['random', 'imagenet'], [0, 3])

    assert ran == [
        ('camvid_random_seed0', 'transfer-camvid-random.py', 0, False),
        ('camvid_imagenet_seed0', 'transfer-camvid-imagenet.py', 0, False),
        ('coco_random_seed0', 'transfer-coco-random.py', 0, False),
        ('coco_imagenet_seed0', 'transfer-coco-imagenet.py', 0, False),
        ('camvid_random_seed3', 'transfer-camvid-random.py', 3, False),
        ('camvid_imagenet_seed3', 'transfer-camvid-imagenet.py', 3, False),
        ('coco_random_seed3', 'transfer-coco-random.py', 3, False),
        ('coco_imagenet_seed3', 'transfer-coco-imagenet.py', 3, False),
    ]
    assert [cell.seed for cell in results] == [0] * 4 + [3] * 4


def test_cell_of_other_sizes_is_refused(tmp_path):
    folder = tmp_path / 'camvid_random_seed0'
    folder.mkdir()
    (folder / 'config.sha256').write_text('that of another config')
    with pytest.raises(ValueError, match='a run of another config'):
        cells.Study(DATA, tmp_path, TINY).finetune('camvid', 'random', 0)
