"""Configs of LVIS: the paper's Tables 7 to 9, both stages."""

import copy
from functools import cache

import pytest
import torch
from check_configs import ROOT, find_leaves
from config_grammar import parse_name
from config_metafile import read_metafile
from config_values import flat
from mmengine.config import Config
from mmengine.runner import Runner
from reduce_config import reduce_config, train_reduced

from mmcp.engine.build_on_meta import build_on_meta

FOLDER = ROOT / 'configs' / 'lvis'
LEAVES = {
    leaf.stem: leaf for leaf in find_leaves(ROOT) if leaf.parent == FOLDER
}
SECOND = [stem for stem in LEAVES if '-cls-' in stem]
FIRST = [stem for stem in LEAVES if stem not in SECOND]
# Mask AP, APr, APc, APf and, in Table 7, box AP; without and with Copy-Paste.
TABLE_7 = {
    ('r50', 'fpn', '1024'): (
        [30.3, 22.2, 29.5, 34.7, 31.5],
        [32.3, 26.5, 31.8, 35.3, 34.3],
    ),
    ('r101', 'fpn', '1024'): (
        [31.9, 24.7, 30.5, 36.3, 33.3],
        [34.0, 27.4, 33.9, 37.2, 36.4],
    ),
    ('effb7', 'fpn', '1024'): (
        [33.7, 26.4, 33.1, 37.6, 35.5],
        [36.0, 29.7, 35.8, 38.9, 39.2],
    ),
    ('effb7', 'nasfpn', '1280'): (
        [34.7, 26.0, 33.4, 39.8, 37.2],
        [38.1, 32.1, 37.1, 41.9, 41.6],
    ),
}
# The same of EfficientNet-B7 at 640, by RFS and Copy-Paste.
TABLE_8 = {
    (False, False): [27.7, 9.7, 28.1, 35.1],
    (True, False): [28.2, 15.4, 27.8, 34.3],
    (False, True): [29.3, 12.8, 30.1, 35.7],
    (True, True): [30.1, 18.4, 30.0, 35.4],
}
TABLE_9 = {
    (False, False): [31.3, 25.0, 30.6, 34.9],
    (True, False): [30.1, 21.8, 29.7, 34.1],
    (False, True): [33.0, 27.3, 33.2, 35.7],
    (True, True): [32.0, 26.3, 31.8, 34.7],
}
TRAIN_FILE = 'data/lvis_v1/annotations/lvis_v1_train.json'
RFS = dict(type='mmcp.RepeatFactorSampler', shuffle=True, threshold=0.001)

each_leaf = pytest.mark.parametrize('stem', LEAVES)
each_first = pytest.mark.parametrize('stem', FIRST)
each_second = pytest.mark.parametrize('stem', SECOND)


@cache
def read(stem):
    return Config.fromfile(LEAVES[stem])


def load(stem):
    return copy.deepcopy(read(stem))


def words(stem):
    return set(parse_name(stem).augmentations)


def first_of(stem):
    """The first stage of a second one."""
    return stem.replace('-cls-3x_', '-180k_')


def baseline_of(stem):
    return stem.replace('-scp-', '-').replace('-rfs-', '-')


def heads_of(config):
    heads = config.model.roi_head.bbox_head
    return heads if isinstance(heads, list) else [heads]


def numbers_of(entry):
    """Numbers of a metafile's entry, in the order of the tables."""
    numbers = entry.paper.get('numbers', {})
    kinds = ('mask AP', 'mask APr', 'mask APc', 'mask APf', 'box AP')
    keys = [f'LVIS {kind}' for kind in kinds]
    assert numbers.keys() <= {*keys}
    return [numbers[key] for key in keys if key in numbers]


def test_all_rows_of_the_tables_are_there():
    small, large = [], []
    for entry in read_metafile(FOLDER / 'metafile.yml'):
        name = parse_name(entry.name)
        rfs, paste = ('rfs' in words(entry.name), 'scp' in words(entry.name))
        row = (entry.paper['table'], numbers_of(entry))
        if name.size == '640':
            small.append((name.components, rfs, paste, *row))
        else:
            key = (*name.components, name.size)
            kind = (name.algorithm, 'cls' in words(entry.name))
            large.append((kind, key, rfs, paste, *row))

    assert sorted(small) == sorted(
        (('effb7', 'fpn'), *key, table, numbers)
        for table, rows in (('Table 8', TABLE_8), ('Table 9', TABLE_9))
        for key, numbers in rows.items()
    )
    cascade = ('effb7', 'nasfpn', '1280')
    assert sorted(large) == sorted(
        (kind, key, False, bool(paste), 'Table 7', numbers)
        for paste in (0, 1)
        for kind, key, numbers in [
            *[
                (('mask-rcnn', second), key, rows[paste] if second else [])
                for key, rows in TABLE_7.items()
                for second in (False, True)
            ],
            (('cascade', False), cascade, []),
            (('cascade', True), cascade, []),
        ]
    )
    assert len(small) + len(TABLE_7) * 2 == 16


@each_first
def test_first_stages_differ_by_what_their_names_say(stem):
    found = flat(load(stem).to_dict())
    expected = load(baseline_of(stem))
    loader = expected.train_dataloader
    assert loader.dataset.prob == 0
    loader.dataset.prob = float('scp' in words(stem))
    assert loader.sampler.type == 'mmcp.InfiniteSampler'
    if 'rfs' in words(stem):
        loader.sampler = RFS
    assert found == flat(expected.to_dict())


@each_second
def test_second_stages_differ_by_pasting_and_their_start(stem):
    found = load(stem)
    expected = load(baseline_of(stem))
    expected.train_dataloader.dataset.prob = float('scp' in words(stem))
    first = first_of(stem)
    steps = load(first).train_cfg.max_iters
    expected.load_from = f'work_dirs/{first}/iter_{steps}.pth'
    assert flat(found.to_dict()) == flat(expected.to_dict())
    assert found.train_dataloader.sampler.type == 'mmcp.InfiniteSampler'
    # What tools/train.py leaves there.
    assert load(first).default_hooks.checkpoint.by_epoch is False


@each_second
def test_second_stages_have_the_model_of_the_first(stem):
    second, first = load(stem), load(first_of(stem))
    for head in heads_of(second):
        assert head.loss_cls == dict(
            type='mmcp.ClassBalancedCrossEntropy',
            ann_file=TRAIN_FILE,
            beta=0.999,
            background_weight=1.0,
        )
        head.loss_cls = heads_of(first)[0].loss_cls
    cascade = parse_name(stem).algorithm == 'cascade'
    kinds = (second.model.type, second.model.roi_head.type)
    assert len(heads_of(second)) == (3 if cascade else 1)
    assert kinds == (
        'mmcp.ClassifierFineTuner',
        'mmcp.ClassifierSingleMaskCascadeRoIHead'
        if cascade
        else 'mmcp.ClassifierRoIHead',
    )
    second.model.type = first.model.type
    second.model.roi_head.type = first.model.roi_head.type
    assert flat(second.model.to_dict()) == flat(first.model.to_dict())


def without_classes(model):
    """A model's values, but those that the number of classes is in."""
    return {
        place: value
        for place, value in flat(model.to_dict()).items()
        if 'num_classes' not in place and 'bbox_head' not in place
    }


@each_first
def test_models_and_pipelines_are_those_of_coco(stem):
    name = parse_name(stem)
    config = load(baseline_of(stem))
    coco = Config.fromfile(
        ROOT / f'configs/_base_/datasets/coco-{name.size}_lsj.py'
    )
    coco.train_dataloader.batch_size = name.per_gpu
    for one in (config, coco):
        datasets = [
            one.train_dataloader.dataset.dataset,
            one.val_dataloader.dataset,
        ]
        for dataset in datasets:
            for key in ('type', 'data_root', 'ann_file', 'data_prefix'):
                del dataset[key]
    assert config.train_dataloader == coco.train_dataloader
    assert config.val_dataloader == coco.val_dataloader
    fragment = '_'.join(
        [
            {'mask-rcnn': 'mask-rcnn', 'cascade': 'cascade-mask-rcnn'}[
                name.algorithm
            ],
            name.components[0].replace('r101', 'r50'),
            name.components[1],
        ]
    )
    base = Config.fromfile(ROOT / f'configs/_base_/models/{fragment}.py').model
    base.test_cfg.rcnn.update(score_thr=0.0, max_per_img=300)
    if name.components[0] == 'r101':
        base.backbone.depth = 101
    assert without_classes(config.model) == without_classes(base)


@each_leaf
def test_data_and_evaluation_are_those_of_lvis(stem):
    config = load(stem)
    train = config.train_dataloader.dataset.dataset
    assert (train.type, config.val_dataloader.dataset.type) == (
        'mmcp.LVISDataset',
        'mmcp.LVISDataset',
    )
    assert train.data_root + train.ann_file == TRAIN_FILE
    assert 'filter_cfg' not in train
    val = config.val_dataloader.dataset
    assert config.val_evaluator == dict(
        type='mmcp.LVISMetric',
        ann_file=val.data_root + val.ann_file,
        metric=['bbox', 'segm'],
    )
    assert config.test_dataloader == config.val_dataloader
    assert config.test_evaluator == config.val_evaluator
    assert config.model.test_cfg.rcnn.score_thr == 0
    assert config.model.test_cfg.rcnn.max_per_img == 300
    numbers = [head.num_classes for head in heads_of(config)]
    assert {*numbers, config.model.roi_head.mask_head.num_classes} == {1203}


@each_leaf
def test_optimisation_is_the_papers(stem):
    config = load(stem)
    steps = 16_875 if '-cls-' in stem else 180_000
    warm_up, decay = config.param_scheduler
    assert config.train_cfg.max_iters == steps
    # Evaluated at the end.
    assert steps % config.train_cfg.val_interval == 0
    assert config.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.32, momentum=0.9, weight_decay=4e-5
    )
    assert (warm_up.start_factor, warm_up.end) == (0.01, 1000)
    assert (decay.gamma, decay.end) == (0.1, steps)
    exact = [0.9 * steps, 0.95 * steps, 0.975 * steps]
    assert decay.milestones == pytest.approx(exact, abs=0.5)


# One leaf of each pair of equal models.
MODELS = {str(read(stem).model): stem for stem in SECOND}


@pytest.mark.parametrize('stem', MODELS.values())
def test_the_second_stage_loads_all_of_the_first(stem):
    shapes = []
    for one in (stem, first_of(stem)):
        model = build_on_meta(load(one))
        shapes.append({k: v.shape for k, v in model.state_dict().items()})
    assert shapes[0] == shapes[1]
    heads = [key for key in shapes[0] if key.endswith('fc_cls.weight')]
    assert model.roi_head.bbox_head is not None
    assert [shapes[0][key][0] for key in heads] == [1204] * len(heads)


def one_of(**parts):
    """The only leaf whose name has these parts."""
    (stem,) = [
        stem
        for stem in LEAVES
        if all(
            getattr(parse_name(stem), part) == value
            for part, value in parts.items()
        )
    ]
    return stem


SECOND_STEPS = {
    'mask-rcnn': ['bbox_head'],
    'cascade': [f'bbox_head.{stage}' for stage in range(3)],
}


@pytest.mark.parametrize('algorithm', SECOND_STEPS)
def test_the_second_stage_trains_the_last_layer_alone(algorithm, tmp_path):
    stem = one_of(
        algorithm=algorithm,
        components=('effb7', 'nasfpn'),
        augmentations=('lsj', 'scp', 'cls'),
    )
    runner = Runner.from_cfg(reduce_config(load(stem), tmp_path))
    # The runner does it once more, which changes nothing.
    runner.model.init_weights()
    before = copy.deepcopy(runner.model.state_dict())
    runner.train()
    after = runner.model.state_dict()

    changed = [
        key for key in after if not torch.equal(after[key], before[key])
    ]
    assert changed == [
        f'roi_head.{head}.fc_cls.{kind}'
        for head in SECOND_STEPS[algorithm]
        for kind in ('weight', 'bias')
    ]
    assert any('running_mean' in key for key in after)


@pytest.mark.parametrize('components', [('r50', 'fpn'), ('effb7', 'fpn')])
def test_the_first_stage_trains_two_steps(components, tmp_path):
    augmentations = ['lsj', 'rfs', 'scp']
    if components[0] == 'r50':
        augmentations.remove('rfs')
    stem = one_of(
        algorithm='mask-rcnn',
        components=components,
        augmentations=tuple(augmentations),
        size='1024' if components[0] == 'r50' else '640',
    )
    steps = train_reduced(reduce_config(load(stem), tmp_path))

    assert len(steps.losses) == 2
    assert all(0 < loss < 20 for loss in steps.losses)
    assert steps.changed > 0.9
    assert {'val/lvis/bbox_AP', 'val/lvis/segm_APr'} <= steps.metrics.keys()


def test_counts_of_a_reduced_loss_stand_for_the_file(tmp_path):
    small = reduce_config(load(SECOND[0]), tmp_path)
    for head in heads_of(small):
        assert 'ann_file' not in head.loss_cls
        assert len(head.loss_cls.counts) == head.num_classes
