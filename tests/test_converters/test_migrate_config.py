"""The translation of whole configs, and the tool that does it."""

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from migrate_config import check, main, migrate, plain, read
from migration.datasets import all_types
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import Runner
from tiny import write_coco, write_detector

from mmcp.engine.config import UsageError

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools' / 'converters' / 'migrate_config.py'
SCP = sorted((ROOT / 'configs').glob('*/*-scp-*.py'))
# On MMDetection's path, for comparison.
STOCK = [path for path in SCP if '-mmdet-' in path.stem]

LOAD = dict(type='LoadAnnotations', with_bbox=True, with_mask=True)
FAST_LOAD = dict(LOAD, type='mmcp.LoadAnnotations')
GEOMETRY = [
    dict(
        type='RandomResize',
        scale=(64, 64),
        ratio_range=(0.5, 1.5),
        keep_ratio=True,
    ),
    dict(
        type='RandomCrop',
        crop_size=(64, 64),
        recompute_bbox=True,
        allow_negative_crop=True,
    ),
    dict(
        type='FilterAnnotations',
        min_gt_bbox_wh=(0.01, 0.01),
        keep_empty=False,
    ),
    dict(type='RandomFlip', prob=0.5),
]
PAD = dict(type='Pad', size=(64, 64), pad_val=dict(img=(104, 116, 124)))
JITTER = dict(
    type='mmcp.ScaleJitter',
    size=64,
    ratio_range=(0.5, 1.5),
    recompute_bbox=True,
)
PACK, FAST_PACK = dict(type='PackDetInputs'), dict(type='mmcp.PackDetInputs')
IMAGE = dict(type='LoadImageFromFile')
SAMPLER = dict(type='InfiniteSampler', shuffle=True)


def coco(*pipeline, **extra):
    return dict(type='CocoDataset', pipeline=list(pipeline), **extra)


def mixed(*pipeline, dataset=None, **extra):
    dataset = dataset or coco(IMAGE, LOAD, *GEOMETRY, PAD)
    return dict(
        type='MultiImageMixDataset',
        dataset=dataset,
        pipeline=list(pipeline),
        **extra,
    )


def config(dataset, sampler=SAMPLER, **extra):
    loader = dict(batch_size=2, sampler=sampler, dataset=dataset)
    return dict(default_scope='mmdet', train_dataloader=loader, **extra)


def translated(dataset, **options):
    """The new data set, and the report."""
    before = repr(dataset)
    migration = migrate(config(dataset), **options)
    assert repr(dataset) == before
    return migration.after['train_dataloader']['dataset'], migration.report


def left(report):
    return ' '.join(text for _, text in report.left)


def pasting(dataset=None, pipeline=(FAST_PACK,), **extra):
    dataset = dataset or coco(IMAGE, FAST_LOAD, JITTER)
    return dict(
        type='mmcp.CopyPasteDataset',
        dataset=dataset,
        **extra,
        pipeline=list(pipeline),
    )


def test_wrapper_loading_jitter_and_packing():
    paste = dict(type='CopyPaste', max_num_pasted=20)
    after, report = translated(mixed(paste, PACK))
    assert after == pasting(copy_paste=dict(max_num_pasted=20))
    assert report.left == []
    assert 'differs from MMDetection' in report.notes[0][1]


@pytest.mark.parametrize(
    ('wrapper', 'options', 'expected'),
    [
        (mixed(dict(type='CopyPaste'), PACK), {}, pasting()),
        (
            mixed(dict(type='mmdet.CopyPaste', selected=False), PACK),
            dict(compat=True),
            pasting(copy_paste=dict(selected=False, compat='mmdet')),
        ),
        (
            mixed(dict(type='mmcp.CopyPaste', prob=0.5, deny=[1]), PACK),
            dict(compat=True),
            pasting(prob=0.5, copy_paste=dict(deny=[1])),
        ),
        (
            mixed(
                dict(type='CopyPaste'),
                dict(type='PhotoMetricDistortion'),
                dict(PACK, meta_keys=('img_id',)),
                max_refetch=9,
            ),
            {},
            pasting(
                pipeline=[
                    dict(type='PhotoMetricDistortion'),
                    dict(FAST_PACK, meta_keys=('img_id',)),
                ]
            ),
        ),
    ],
)
def test_arguments_of_the_wrapper(wrapper, options, expected):
    after, report = translated(wrapper, **options)
    assert after == expected
    assert report.left == []


def test_every_wrapper_and_every_data_set_is_looked_at():
    inner = coco(IMAGE, LOAD, *GEOMETRY, PAD, PACK)
    after, report = translated(
        dict(
            type='ConcatDataset',
            datasets=[
                dict(type='RepeatDataset', times=3, dataset=inner),
                mixed(dict(type='mmcp.CopyPaste'), PACK),
            ],
        )
    )
    fast = coco(IMAGE, FAST_LOAD, JITTER, FAST_PACK)
    assert after['datasets'] == [
        dict(type='RepeatDataset', times=3, dataset=fast),
        pasting(),
    ]
    places = {place for place, _ in report.done}
    assert 'train_dataloader.dataset.datasets[0].dataset.pipeline' in places
    assert 'ConcatDataset stands around' in report.notes[-1][1]


@pytest.mark.parametrize(
    ('words', 'dataset'),
    [
        (
            'Mosaic and MixUp in the pipeline of MultiImageMixDataset',
            mixed(dict(type='Mosaic'), dict(type='MixUp'), PACK),
        ),
        (
            'must be the first transform',
            mixed(dict(type='RandomFlip'), dict(type='CopyPaste'), PACK),
        ),
        (
            'must be the first transform',
            mixed(dict(type='CopyPaste'), dict(type='CopyPaste'), PACK),
        ),
        (
            'skip_type_keys',
            mixed(dict(type='CopyPaste'), PACK, skip_type_keys=['Pad']),
        ),
        (
            'the argument dynamic_scale',
            mixed(dict(type='CopyPaste'), PACK, dynamic_scale=(1, 2)),
        ),
        (
            'poly2mask=False',
            coco(IMAGE, dict(LOAD, poly2mask=False), *GEOMETRY, PAD, PACK),
        ),
        (
            "box_type='qbox'",
            coco(IMAGE, dict(LOAD, box_type='qbox'), *GEOMETRY, PAD, PACK),
        ),
        (
            'keypoints',
            coco(IMAGE, dict(LOAD, with_keypoints=True), *GEOMETRY, PACK),
        ),
        (
            'LoadPanopticAnnotations, which has no counterpart',
            coco(IMAGE, dict(LOAD, type='LoadPanopticAnnotations'), PACK),
        ),
    ],
)
def test_what_stays_as_a_whole_and_why(words, dataset):
    after, report = translated(dataset)
    assert after == dataset
    assert words in left(report)


def test_parts_that_stay():
    nested = dict(type='RandomApply', transforms=[GEOMETRY[3]])
    after, report = translated(coco(IMAGE, LOAD, nested, PACK))
    assert after == coco(IMAGE, FAST_LOAD, nested, FAST_PACK)
    assert 'inside of RandomApply are not looked at' in left(report)
    boxes = dict(type='LoadAnnotations', with_bbox=True)
    after, _ = translated(coco(IMAGE, boxes, *GEOMETRY, PAD, PACK))
    assert after['pipeline'][1:3] == [boxes, JITTER]


def test_another_default_scope():
    cfg = config(mixed(dict(type='CopyPaste'), PACK))
    cfg['default_scope'] = 'mmyolo'
    assert not migrate(cfg).changed
    cfg = config(coco(dict(LOAD, type='mmdet.LoadAnnotations')))
    cfg['default_scope'] = 'mmyolo'
    after = migrate(cfg).after['train_dataloader']['dataset']
    assert after['pipeline'] == [FAST_LOAD]


@pytest.mark.parametrize(
    ('sampler', 'extra', 'expected', 'words'),
    [
        (SAMPLER, {}, dict(SAMPLER, type='mmcp.InfiniteSampler'), None),
        (dict(type='DefaultSampler'), {}, None, None),
        (dict(SAMPLER, odd=1), {}, None, 'arguments that are unknown'),
        (
            SAMPLER,
            dict(batch_sampler=dict(type='AspectRatioBatchSampler')),
            dict(SAMPLER, type='mmcp.InfiniteSampler'),
            None,
        ),
    ],
)
def test_sampler(sampler, extra, expected, words):
    cfg = config(mixed(dict(type='mmcp.CopyPaste'), PACK), sampler)
    cfg['train_dataloader'].update(extra)
    migration = migrate(cfg)
    after = migration.after['train_dataloader']
    assert after['sampler'] == (expected or sampler)
    assert (words or '') in left(migration.report)
    notes = [text for _, text in migration.report.notes]
    assert any('follow the workers' in t for t in notes) == (expected is None)


@pytest.mark.parametrize('pack', [PACK, dict(PACK, meta_keys=('img_id',))])
def test_copy_paste_is_added(pack):
    fast = dict(pack, type='mmcp.PackDetInputs')
    after, report = translated(
        coco(IMAGE, LOAD, *GEOMETRY, pack), add_copy_paste=True
    )
    assert after == pasting(pipeline=[fast])
    assert 'padded' in report.notes[0][1]
    # Around other wrappers, in place of an idle one.
    wrapped = dict(
        type='RepeatDataset',
        times=2,
        dataset=coco(IMAGE, LOAD, *GEOMETRY, PAD, pack),
    )
    after, _ = translated(wrapped, add_copy_paste=True)
    bare = coco(IMAGE, FAST_LOAD, JITTER)
    repeated = dict(type='RepeatDataset', times=2, dataset=bare)
    assert after == pasting(repeated, [fast])
    after, _ = translated(mixed(pack), add_copy_paste=True)
    assert after == pasting(pipeline=[fast])


def test_a_baseline_keeps_its_wrapper():
    after, report = translated(mixed(PACK))
    inner = coco(IMAGE, FAST_LOAD, JITTER)
    assert after == mixed(FAST_PACK, dataset=inner)
    assert report.left == []


@pytest.mark.parametrize(
    ('words', 'dataset'),
    [
        ('is there already', mixed(dict(type='mmcp.CopyPaste'), PACK)),
        (
            'loads no masks',
            coco(IMAGE, dict(type='LoadAnnotations', with_bbox=True), PACK),
        ),
        (
            'could not be translated',
            coco(IMAGE, dict(LOAD, poly2mask=False), PACK),
        ),
        ('does not end with PackDetInputs', coco(IMAGE, LOAD, *GEOMETRY)),
        (
            'leaves masks behind',
            coco(IMAGE, LOAD, dict(type='MixUp'), PACK),
        ),
        ('Mosaic in the pipeline', mixed(dict(type='Mosaic'), PACK)),
        (
            'different meta_keys',
            dict(
                type='ConcatDataset',
                datasets=[
                    coco(IMAGE, LOAD, PACK),
                    coco(IMAGE, LOAD, dict(PACK, meta_keys=('img_id',))),
                ],
            ),
        ),
    ],
)
def test_where_copy_paste_cannot_be_added(words, dataset):
    after, report = translated(dataset, add_copy_paste=True)
    assert after == translated(dataset, pad=True)[0]
    assert words in left(report)


def test_hooks_that_replace_the_pipeline():
    hooks = [dict(type='EMAHook'), dict(type='PipelineSwitchHook')]
    dataset = coco(IMAGE, LOAD, PACK)
    migration = migrate(
        config(dataset, custom_hooks=hooks), add_copy_paste=True
    )
    after = migration.after['train_dataloader']['dataset']
    assert after == coco(IMAGE, FAST_LOAD, FAST_PACK)
    assert 'PipelineSwitchHook would replace' in left(migration.report)


@pytest.mark.parametrize(
    ('preprocessor', 'expected'),
    [
        (None, None),
        (dict(mean=[1.2, 2, 3.7], bgr_to_rgb=True), (4, 2, 1)),
        (dict(mean=[1.2, 2, 3.7]), (1, 2, 4)),
        (dict(mean=[123.675, 116.28, 103.53], bgr_to_rgb=True), None),
    ],
)
def test_padding_is_the_mean_of_the_normalisation(preprocessor, expected):
    model = dict(type='A', data_preprocessor=preprocessor)
    cfg = config(coco(IMAGE, LOAD, *GEOMETRY, PACK), model=model)
    after = migrate(cfg, pad=True).after['train_dataloader']['dataset']
    assert after['pipeline'][2].get('pad_val') == expected


def test_nothing_to_train_on():
    with pytest.raises(UsageError, match='no train_dataloader'):
        migrate(dict(model=dict()))


MMDET = 'mmdet::'
SIMPLE = (
    'simple_copy_paste/mask-rcnn_r50_fpn_rpn-2conv_4conv1fc_syncbn-all_32xb2-'
)
LSJ = 'mask_rcnn/mask-rcnn_r50_fpn_8xb8-amp-lsj-200e_coco.py'
STRONG = (
    'strong_baselines/mask-rcnn_r50_fpn_rpn-2conv_4conv1fc_syncbn-all_'
    'lsj-100e_coco.py'
)
MASK2FORMER = 'mask2former/mask2former_r50_8xb2-lsj-50e_coco.py'
FASTER = 'faster_rcnn/faster-rcnn_r50_fpn_8xb8-amp-lsj-200e_coco.py'
LOADED = {'LoadAnnotations', 'PackDetInputs'}
PASTED = {'ScaleJitter', 'CopyPasteDataset', *LOADED}
INFINITE = {'InfiniteSampler'}


@pytest.mark.parametrize(
    ('name', 'options', 'expected'),
    [
        (f'{SIMPLE}ssj-scp-90k_coco.py', {}, PASTED | INFINITE),
        (
            f'{SIMPLE}ssj-scp-270k_coco.py',
            dict(compat=True),
            PASTED | INFINITE,
        ),
        (f'{SIMPLE}ssj-270k_coco.py', {}, LOADED | INFINITE),
        (
            f'{SIMPLE}ssj-270k_coco.py',
            dict(pad=True),
            LOADED | INFINITE | {'ScaleJitter'},
        ),
        (LSJ, {}, LOADED),
        (LSJ, dict(add_copy_paste=True), PASTED),
        (STRONG, {}, LOADED),
        (MASK2FORMER, dict(add_copy_paste=True), PASTED),
        ('mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', {}, LOADED),
        (FASTER, dict(pad=True), {'ScaleJitter', 'PackDetInputs'}),
    ],
)
def test_configs_of_mmdetection(name, options, expected):
    migration = migrate(plain(read(MMDET + name)), **options)
    check(migration, migration.text(MMDET + name, name))
    types = set(all_types(migration.after['train_dataloader']))
    ours = {kind.removeprefix('mmcp.') for kind in types if 'mmcp.' in kind}
    assert ours == expected
    if 'ScaleJitter' in expected:
        assert not types & {'RandomResize', 'RandomCrop', 'RandomFlip', 'Pad'}
    if 'CopyPasteDataset' in expected:
        assert not types & {'MultiImageMixDataset', 'CopyPaste'}
        assert 'LoadAnnotations' not in types


@pytest.mark.parametrize(
    'name',
    [
        'yolox/yolox_s_8xb8-300e_coco.py',
        'rtmdet/rtmdet-ins_s_8xb32-300e_coco.py',
        'panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py',
        'soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-'
        'coco.py',
    ],
)
def test_configs_of_mmdetection_that_stay(name):
    migration = migrate(plain(read(MMDET + name)), add_copy_paste=True)
    assert not migration.changed
    assert migration.report.left


@pytest.mark.parametrize('path', STOCK, ids=lambda path: path.stem)
def test_our_config_on_the_stock_path_becomes_its_twin(path):
    migration = migrate(plain(read(str(path))))
    check(migration, migration.text(str(path), path.name))
    twin = plain(read(str(path).replace('-mmdet-', '-')))
    wrapper = twin['train_dataloader']['dataset']
    # RandomCrop makes all boxes from masks.
    wrapper['dataset']['pipeline'][-1]['recompute_bbox'] = True
    # The wrapper's default, written out because the baseline has 0.
    assert wrapper.pop('prob') == 1
    assert migration.after == twin
    # Once translated, there is nothing more to translate.
    assert not migrate(migration.after).changed


@pytest.mark.parametrize(
    'path', sorted({*SCP} - {*STOCK}), ids=lambda path: path.stem
)
def test_our_other_configs_are_on_the_fast_path(path):
    assert not migrate(plain(read(str(path)))).changed


def test_a_config_that_loads_as_something_else_is_noticed():
    migration = migrate(config(mixed(dict(type='mmcp.CopyPaste'), PACK)))
    with pytest.raises(RuntimeError, match='does not load as what'):
        check(migration, "default_scope = 'mmdet'\n")


@pytest.fixture
def detector(tmp_path):
    """A config with Copy-Paste as MMDetection's documentation has it."""
    write_coco(tmp_path / 'coco', images=4)
    wrapper = f"""
train_dataloader['dataset'] = dict(
    type='MultiImageMixDataset',
    dataset=dict(
        train_dataloader['dataset'],
        pipeline={[IMAGE, LOAD, *GEOMETRY, PAD]!r},
    ),
    pipeline=[dict(type='CopyPaste'), dict(type='PackDetInputs')],
)
"""
    return write_detector(tmp_path, tmp_path / 'coco', steps=2, extra=wrapper)


def test_the_tool_writes_a_small_config_that_trains(detector, capsys):
    main([str(detector)])
    shown = capsys.readouterr().out
    out = detector.with_name('detector_mmcp.py')
    text = out.read_text()
    assert text.splitlines()[5] == "_base_ = 'detector.py'"
    assert '_delete_' not in text
    assert 'data_root' not in text
    assert "-        type='MultiImageMixDataset'," in shown
    assert "+        type='mmcp.CopyPasteDataset'," in shown
    assert 'RandomResize, RandomCrop, RandomFlip, Pad -> mmcp' in shown
    assert f'Wrote {out}' in shown
    cfg = Config.fromfile(str(out))
    cfg.work_dir = str(detector.parent / 'work')
    cfg.experiment_name = cfg.visualizer.name = 'migrated'
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 2


def test_old_and_new_samples_are_alike(detector, capsys):
    main([str(detector)])
    init_default_scope('mmdet')
    found = []
    for name in ('detector.py', 'detector_mmcp.py'):
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        cfg = Config.fromfile(str(detector.with_name(name)))
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        samples = [dataset[i % 4] for i in range(200)]
        assert {sample['inputs'].shape for sample in samples} == {(3, 64, 64)}
        instances = [s['data_samples'].gt_instances for s in samples]
        assert all(len(i.masks) == len(i.bboxes) for i in instances)
        means = [s['inputs'].float().mean().item() for s in samples]
        areas = [sum(map(float, i.masks.areas)) for i in instances]
        found.append([means, [len(i) for i in instances], areas])
    old, new = np.array(found)
    # MMDetection pastes crowd too (there is none here) and never all.
    scale = np.sqrt((old.var(1) + new.var(1)) / 200)
    assert (np.abs(old.mean(1) - new.mean(1)) < 5 * scale).all()


def test_dry_run_writes_nothing(detector, capsys):
    before = sorted(detector.parent.iterdir())
    main([str(detector), '--dry-run', '--out', str(detector.parent / 'x.py')])
    assert sorted(detector.parent.iterdir()) == before
    assert 'x.py would be:\n\n"""detector.py on mmcp\'s' in (
        capsys.readouterr().out
    )


def test_nothing_is_overwritten(detector, capsys):
    with pytest.raises(UsageError, match='detector.py exists; choose'):
        main([str(detector), '--out', str(detector)])
    text = detector.read_text()
    assert 'CopyPasteDataset' not in text


def test_paths_of_bases(detector, capsys, monkeypatch):
    out = detector.parent / 'new' / 'deep' / 'leaf.py'
    main([str(detector), '--out', str(out)])
    assert "_base_ = '../../detector.py'" in out.read_text()
    assert Config.fromfile(str(out)).train_dataloader.batch_size == 2
    monkeypatch.chdir(detector.parent)
    name = f'{SIMPLE}ssj-scp-90k_coco'
    main([f'{MMDET}{name}.py'])
    written = Path(f'{Path(name).name}_mmcp.py')
    assert f"_base_ = '{MMDET}{name}.py'" in written.read_text()
    loaded = Config.fromfile(str(written)).train_dataloader.dataset
    assert loaded.type == 'mmcp.CopyPasteDataset'


def test_nothing_to_do(tmp_path, capsys):
    path = tmp_path / 'done.py'
    dataset = coco(IMAGE, FAST_LOAD, JITTER, FAST_PACK)
    path.write_text(f'train_dataloader = dict(dataset={dataset!r})\n')
    main([str(path)])
    assert 'Nothing was translated' in capsys.readouterr().out
    assert sorted(tmp_path.iterdir()) == [path]


def test_configs_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match='does not exist'):
        read(str(tmp_path / 'gone.py'))
    with pytest.raises(UsageError, match='There is no config mmdet::'):
        read('mmdet::mask_rcnn/gone.py')
    style = tmp_path / 'style.py'
    (tmp_path / 'base.py').write_text('a = 1\n')
    style.write_text(
        'from mmengine.config import read_base\n'
        'with read_base():\n    from .base import *\n'
    )
    with pytest.raises(UsageError, match='pure Python style'):
        read(str(style))


def test_errors_are_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, str(TOOL), str(tmp_path / 'gone.py')],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith('error: Config ')
    assert 'Traceback' not in done.stderr
