"""Tests of what the flags of tools/test.py do to a config."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import LoggerHook

from mmcp.engine import testing
from mmcp.engine.config import UsageError

PACK = dict(type='PackDetInputs', meta_keys=('img_id', 'flip'))


def make(scope='mmdet', **options):
    pipeline = [dict(type='LoadImageFromFile'), PACK]
    dataset = dict(dataset=dict(type='CocoDataset', pipeline=pipeline))
    content = dict(
        default_scope=scope,
        model=dict(type='FasterRCNN', roi_head=dict(type='H')),
        test_dataloader=dict(dataset=dataset),
        test_cfg=dict(),
        test_evaluator=dict(type='CocoMetric', metric='bbox'),
    )
    return Config({**content, **options})


def test_incomplete_config():
    testing.require_testing(make())
    with pytest.raises(UsageError, match='has no test_cfg, test_evaluator'):
        testing.require_testing(make(test_cfg=None, test_evaluator=None))


def draw(cfg, *, show=False, show_dir=None):
    testing.enable_drawing(cfg, show=show, show_dir=show_dir, wait_time=3.0)
    return cfg.default_hooks.visualization


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg'])
def test_pictures_to_a_folder(scope):
    kind = scope[2:].capitalize()
    cfg = make(scope)
    hook = draw(cfg, show_dir='here')
    folder = dict(test_out_dir='here') if scope == 'mmdet' else {}
    assert hook == dict(type=f'{kind}VisualizationHook', draw=True, **folder)
    assert cfg.visualizer.type == f'{kind}LocalVisualizer'
    assert cfg.visualizer.get('save_dir') == (
        'here' if scope == 'mmseg' else None
    )


def test_own_hook_and_visualizer_are_kept():
    cfg = make(
        default_hooks=dict(visualization=dict(type='Mine', score_thr=0.7)),
        visualizer=dict(type='MyVisualizer'),
    )
    assert draw(cfg, show_dir='x') == dict(
        type='Mine', score_thr=0.7, draw=True, test_out_dir='x'
    )
    assert cfg.visualizer == dict(type='MyVisualizer')


def test_window_needs_a_screen(monkeypatch):
    monkeypatch.setattr(testing.sys, 'platform', 'linux')
    monkeypatch.delenv('DISPLAY', raising=False)
    monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
    with pytest.raises(UsageError, match='--show-dir'):
        draw(make(), show=True)
    monkeypatch.setenv('DISPLAY', ':0')
    hook = draw(make(), show=True)
    assert (hook.show, hook.wait_time) == (True, 3.0)


def test_flips_of_a_detector():
    cfg = make()
    testing.enable_tta(cfg)
    assert cfg.model.type == 'DetTTAModel'
    assert cfg.model.module == dict(type='FasterRCNN', roi_head=dict(type='H'))
    flips = [dict(type='RandomFlip', prob=p) for p in (1.0, 0.0)]
    keys = ('img_id', 'flip', 'flip_direction')
    assert cfg.test_dataloader.dataset.dataset.pipeline == [
        dict(type='LoadImageFromFile'),
        dict(
            type='TestTimeAug',
            transforms=[flips, [dict(type='PackDetInputs', meta_keys=keys)]],
        ),
    ]


def test_own_tta_is_kept():
    own = dict(tta_model=dict(type='Mine'), tta_pipeline=[dict(type='Load')])
    cfg = make('mmseg', **own)
    testing.enable_tta(cfg)
    assert cfg.model.type == 'Mine'
    assert cfg.test_dataloader.dataset.dataset.pipeline == [dict(type='Load')]


@pytest.mark.parametrize(
    'model',
    [
        dict(roi_head=dict(mask_head=dict(type='FCNMaskHead'))),
        dict(mask_head=dict(type='SOLOHead')),
    ],
)
def test_masks_cannot_be_averaged(model):
    with pytest.raises(UsageError, match='averages boxes only'):
        testing.enable_tta(make(model=model))
    without = make(model=dict(roi_head=dict(mask_head=None)))
    testing.enable_tta(without)


def test_tta_of_a_segmentor_must_be_configured():
    with pytest.raises(UsageError, match='no tta_model and no tta_pipeline'):
        testing.enable_tta(make('mmseg'))


@pytest.mark.parametrize(
    ('evaluator', 'before'),
    [
        (dict(type='A'), [dict(type='A')]),
        ([dict(type='A')], [dict(type='A')]),
        (dict(metrics=dict(type='A')), [dict(type='A')]),
        (dict(metrics=[dict(type='A')]), [dict(type='A')]),
    ],
)
@pytest.mark.parametrize('scope', ['mmdet', 'mmseg'])
def test_predictions_to_a_file(tmp_path, evaluator, before, scope):
    cfg = make(scope, test_evaluator=evaluator)
    out = str(tmp_path / 'new' / 'p.pkl')
    testing.save_predictions(cfg, out)
    metrics = cfg.test_evaluator
    if isinstance(metrics, dict):
        metrics = metrics.metrics
    kind = 'DumpDetResults' if scope == 'mmdet' else 'DumpResults'
    assert metrics == [*before, dict(type=kind, out_file_path=out)]
    assert (tmp_path / 'new').is_dir()


def test_label_images_to_a_folder():
    cfg = make('mmseg', test_evaluator=dict(type='IoUMetric'))
    testing.save_predictions(cfg, 'folder')
    assert cfg.test_evaluator == [
        dict(type='IoUMetric', output_dir='folder', keep_results=True)
    ]
    with pytest.raises(UsageError, match=r'must end in \.pkl'):
        testing.save_predictions(make(), 'folder')


@pytest.mark.parametrize(
    ('batches', 'interval', 'expected'),
    [(5, 50, 1), (400, 50, 20), (5000, 50, 50), (100, 2, 2)],
)
def test_progress_is_shown_about_20_times(batches, interval, expected):
    hook = LoggerHook(interval=interval)
    loop = SimpleNamespace(dataloader=range(batches))
    testing.show_progress(SimpleNamespace(test_loop=loop, hooks=[hook]))
    assert hook.interval == expected


def test_metrics_file(tmp_path, capsys):
    metrics = dict(
        mAP=0.5,
        f=np.float32(0.25),
        per_class=np.arange(2),
        t=torch.tensor([1]),
        other={1},
    )
    testing.write_metrics(
        metrics, str(tmp_path), config='a.py', checkpoint='b.pth'
    )
    content = json.loads((tmp_path / 'test_metrics.json').read_text())
    assert content == dict(
        config='a.py',
        checkpoint='b.pth',
        metrics=dict(mAP=0.5, f=0.25, per_class=[0, 1], t=[1], other='{1}'),
    )
    assert 'mAP: 0.5\n' in capsys.readouterr().out
