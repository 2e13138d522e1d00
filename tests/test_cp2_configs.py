"""Configs of CP2 and MoCo: the paper's settings, tables and parameters."""

import copy
import re
from functools import cache
from itertools import product

import pytest
import torch
from check_configs import ROOT, find_leaves
from config_grammar import parse_name
from config_values import flat
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from reduce_config import reduce_config, train_reduced
from torch.utils.flop_counter import FlopCounterMode
from vit_samples import random_transformer

from mmcp.datasets.file_masks import build_mask
from mmcp.engine.build_on_meta import build_on_meta
from mmcp.functional.foreground_masks import MASKS as FOREGROUND_MASKS

LEAVES = {
    leaf.stem: leaf
    for leaf in find_leaves(ROOT)
    if leaf.stem.startswith(('cp2_', 'mocov2_'))
}
CP2 = [stem for stem in LEAVES if stem.startswith('cp2_')]
PAPER = [stem for stem in LEAVES if stem.endswith('_in1k')]
PAPER_CP2 = [stem for stem in PAPER if stem in CP2]
MAIN = 'cp2_r50-aspp_mocov2-800e-pre_8xb32-20e_in1k'
MODEL_TYPES = {'cp2': 'mmcp.CP2', 'mocov2': 'mmcp.MoCo'}
PRETRAINING = {
    'mocov2-200e-pre': 'moco_v2_200ep_pretrain.pth.tar',
    'mocov2-800e-pre': 'moco_v2_800ep_pretrain.pth.tar',
    'dino-pre': 'dino_deitsmall16_pretrain.pth',
}
# What makes a leaf differ from the one without the token, and nothing else.
MASKS = {
    word: {('train_dataloader', 'dataset', 'mask', 'type'): word}
    for word in ('polygon', 'blocks', 'patches')
}
BATCH = {
    ('train_dataloader', 'dataset', 'backgrounds'): 'batch',
    ('model', 'data_preprocessor', 'backgrounds'): 'batch',
}
FAST = {
    ('train_dataloader', 'dataset', 'augment'): 'model',
    ('model', 'data_preprocessor', 'channels_last'): True,
    ('model', 'data_preprocessor', 'compile'): True,
    ('optim_wrapper', 'type'): 'AmpOptimWrapper',
    ('optim_wrapper', 'dtype'): 'bfloat16',
    ('optim_wrapper', 'loss_scale'): 1.0,
    ('compile',): True,
}
CHANGES = {
    **MASKS,
    'insonly': {('model', 'dense_weight'): 0.0},
    'denseonly': {('model', 'instance_weight'): 0.0},
    'eq2': {('model', 'dense_denominator'): 'key'},
    'batchbg': BATCH,
    'fast': FAST,
    'batchbg-fast': BATCH | FAST,
}

each_leaf = pytest.mark.parametrize('stem', LEAVES)
each_cp2 = pytest.mark.parametrize('stem', CP2)
each_paper_leaf = pytest.mark.parametrize('stem', PAPER)
each_paper_cp2 = pytest.mark.parametrize('stem', PAPER_CP2)


@cache
def read(stem):
    return Config.fromfile(LEAVES[stem])


def load(stem):
    return copy.deepcopy(read(stem))


def differences(stem, other):
    """Places where a leaf has other values than another leaf, with these."""
    own, base = (flat(load(name).to_dict()) for name in (stem, other))
    removed = {place: None for place in base if place not in own}
    return removed | {
        place: value
        for place, value in own.items()
        if place not in base or base[place] != value
    }


def test_the_papers_tables_are_complete():
    backbones = {
        'r50': ('', 'mocov2-200e-pre_', 'mocov2-800e-pre_'),
        'vits16': ('dino-pre_',),
    }
    table_1_and_2 = {
        f'cp2_{depth}-{head}_{start}8xb32-{"20e" if start else "200e"}_in1k'
        for depth, starts in backbones.items()
        for head, start in product(('aspp', 'fcn'), starts)
    }
    words = ('nocp', 'dinomask', 'polygon', 'blocks', 'patches')
    table_4 = {
        f'cp2_{start}_8xb32-{word}-20e_in1k'
        for start in ('r50-aspp_mocov2-800e-pre', 'vits16-aspp_dino-pre')
        for word in words
    }
    tables_5_and_6 = {
        f'cp2_r50-aspp_mocov2-800e-pre_8xb32-{word}_in1k'
        for word in ('10e', '20e', '40e', 'insonly-20e', 'denseonly-20e')
    }
    baselines = {f'mocov2_r50_8xb32-{n}e_in1k' for n in (200, 800)}
    wanted = table_1_and_2 | table_4 | tables_5_and_6 | baselines

    assert len(wanted) == 24
    assert wanted - LEAVES.keys() == set()


@each_paper_cp2
def test_settings_are_the_papers(stem):
    config = load(stem)
    model = config.model
    augmentations = parse_name(stem).augmentations
    weights = [
        0 if {'insonly', 'nocp'} & set(augmentations) else 0.2,
        0 if 'denseonly' in augmentations else 1,
    ]

    assert model.queue_len == 65536
    assert model.momentum == 0.999
    assert (model.temperature, model.dense_temperature) == (0.2, 1)
    assert [model.dense_weight, model.get('instance_weight', 1)] == weights
    assert model.dense_denominator == (
        'key' if 'eq2' in augmentations else 'query'
    )
    assert model.projector.out_channels == 128
    assert model.projector.hidden_channels == model.decode_head.channels
    assert config.train_dataloader.dataset.size == 224


@each_paper_leaf
def test_optimisation_is_the_papers(stem):
    config = load(stem)
    (schedule,) = config.param_scheduler
    transformer = 'vits16' in parse_name(stem).components
    expected = (
        dict(type='AdamW', lr=5e-5, betas=(0.9, 0.999), weight_decay=0.01)
        if transformer
        else dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4)
    )

    assert config.optim_wrapper.optimizer == expected
    assert config.auto_scale_lr.base_batch_size == 256
    assert (schedule.type, schedule.begin) == ('CosineAnnealingLR', 0)
    assert schedule.T_max == schedule.end == config.train_cfg.max_epochs
    assert schedule.by_epoch


@each_leaf
def test_model_is_that_of_the_name(stem):
    model = load(stem).model
    name = parse_name(stem)
    backbone, *head = name.components
    kinds = {
        'r50': ('ResNet', 50),
        'r18': ('ResNet', 18),
        'vits16': ('VisionTransformer', None),
    }

    assert model.type == MODEL_TYPES[name.algorithm]
    assert (model.backbone.type, model.backbone.get('depth')) == kinds[
        backbone
    ]
    heads = {'aspp': 'ASPPHead', 'fcn': 'FCNHead'}
    found = [model.decode_head.type] if 'decode_head' in model else []
    assert found == [heads[word] for word in head]
    weights = model.backbone.get('init_cfg')
    assert (weights is not None) == (name.pretrain is not None)
    if weights is not None:
        assert weights.type == 'mmcp.Pretrained'
        assert weights.checkpoint.endswith('/' + PRETRAINING[name.pretrain])


@each_leaf
def test_batches_are_whole_and_samples_know_their_place(stem):
    loader = load(stem).train_dataloader

    assert loader.drop_last
    assert loader.sampler == dict(type='mmcp.EpochSampler', shuffle=True)
    assert loader.collate_fn == dict(type='default_collate')


@each_leaf
def test_backgrounds_of_data_and_preprocessor_agree(stem):
    config = load(stem)
    data = config.train_dataloader.dataset
    preprocessor = config.model.data_preprocessor

    if data.mask is not None:
        assert data.backgrounds == preprocessor.get('backgrounds', 'dataset')


@each_leaf
def test_masks_are_those_of_the_name(stem):
    mask = load(stem).train_dataloader.dataset.mask
    words = [*MASKS, 'dinomask', 'nocp']
    found = [w for w in words if w in parse_name(stem).augmentations]

    if 'nocp' in found or stem not in CP2:
        assert mask is None
    elif found == ['dinomask']:
        assert mask.type == 'file'
    else:
        (kind,) = found or ['rectangle']
        assert type(build_mask(mask)) is FOREGROUND_MASKS[kind]
        assert tuple(mask.area) == (0.5, 0.8)


@each_leaf
def test_several_gpus_need_nothing_else(stem):
    config = load(stem)
    norms = [
        value
        for place, value in flat(config.model.to_dict()).items()
        if place[-2:] == ('norm_cfg', 'type')
    ]

    # SyncBN would give the answer of the contrastive task away.
    assert set(norms) <= {'BN', 'LN'}
    assert not config.get('find_unused_parameters', False)
    # On one GPU, parts of the batch stand for several.
    name = parse_name(stem)
    parts = {256: 8, 24: 2}[name.per_gpu] if name.gpus == 1 else 1
    assert config.model.get('bn_splits', 1) == parts


@each_leaf
def test_monitors_watch(stem):
    hooks = [hook['type'] for hook in load(stem).custom_hooks]
    maps = ['mmcp.SimilarityMapHook'] if stem in CP2 else []

    assert hooks == [
        'mmcp.CP2CheckHook',
        'mmcp.MidEpochResumeHook',
        'mmcp.UnreadableImagesHook',
        'mmcp.ComposedPairsHook',
        *maps,
        'mmcp.CollapseHook',
        'mmcp.CurvesHook',
    ]


@pytest.mark.parametrize(
    ('stem', 'word'),
    [
        (stem, word)
        for stem in PAPER_CP2
        if (word := '-'.join(parse_name(stem).augmentations)) in CHANGES
        and '_8xb' in stem
    ],
)
def test_a_variant_differs_by_what_its_name_says(stem, word):
    assert differences(stem, stem.replace(f'-{word}-', '-')) == CHANGES[word]


def test_a_start_differs_by_its_checkpoint():
    place = ('model', 'backbone', 'init_cfg', 'checkpoint')

    for head in ('aspp', 'fcn'):
        short, long = (
            f'cp2_r50-{head}_mocov2-{n}e-pre_8xb32-20e_in1k'
            for n in (200, 800)
        )
        assert differences(short, long).keys() == {place}


def test_one_gpu_differs_from_eight_by_batch_and_parts():
    stem = 'cp2_r50-aspp_mocov2-800e-pre_1xb256-fast-20e_in1k'

    assert differences(stem, stem.replace('1xb256', '8xb32')) == {
        ('model', 'bn_splits'): 8,
        ('train_dataloader', 'batch_size'): 256,
        ('train_dataloader', 'num_workers'): 16,
    }


@cache
def _build(stem):
    return build_on_meta(load(stem))


def _millions(module):
    return sum(p.numel() for p in module.parameters()) / 1e6


@pytest.mark.parametrize(
    ('stem', 'backbone', 'head'),
    [
        # Convolutions and norms added up by hand.
        ('cp2_r50-aspp_8xb32-200e_in1k', 23.508, 42.211),
        ('cp2_r50-fcn_8xb32-200e_in1k', 23.508, 5.309),
        ('cp2_vits16-aspp_dino-pre_8xb32-20e_in1k', 21.666, 17.504),
        ('mocov2_r50_8xb32-200e_in1k', 23.508, None),
    ],
)
def test_parameters_are_those_of_the_papers_models(stem, backbone, head):
    model = _build(stem)

    for encoder in (model.encoder_q, model.encoder_k):
        assert _millions(encoder.backbone) == pytest.approx(backbone, abs=1e-3)
        if head is not None:
            found = _millions(encoder.decode_head)
            assert found == pytest.approx(head, abs=1e-3)


@pytest.mark.parametrize(
    ('stem', 'giga', 'grid'),
    [
        ('cp2_r50-aspp_8xb32-200e_in1k', 14.3, 14),
        ('cp2_r50-fcn_8xb32-200e_in1k', 7.3, 14),
        ('mocov2_r50_8xb32-200e_in1k', 4.09, 1),
    ],
)
def test_multiply_adds_of_a_view(stem, giga, grid):
    encoder = _build(stem).encoder_q

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        maps = encoder.eval()(torch.empty((1, 3, 224, 224), device='meta'))

    assert maps.shape == (1, 128, grid, grid)
    found = counter.get_total_flops() / 2 / 1e9
    assert found == pytest.approx(giga, rel=0.01)


def test_a_transformers_grid_is_that_of_its_patches():
    stem = 'cp2_vits16-fcn_dino-pre_8xb32-20e_in1k'

    with torch.no_grad():
        maps = _build(stem).encoder_q(
            torch.empty((2, 3, 224, 224), device='meta')
        )

    assert maps.shape == (2, 128, 14, 14)


def _moco_checkpoint(path, resnet):
    """Writes a file of the layout that MoCo's release has."""
    weights = {
        f'module.encoder_q.{name}': torch.rand(value.shape)
        if value.is_floating_point()
        else torch.tensor(7)
        for name, value in resnet.state_dict().items()
    }
    others = {
        'module.encoder_q.fc.0.weight': torch.rand(4, 4),
        'module.queue': torch.rand(4, 8),
    }
    others |= {
        name.replace('encoder_q', 'encoder_k'): value + 1
        for name, value in weights.items()
    }
    content = dict(epoch=800, arch='resnet50', state_dict=weights | others)
    # The file format of torch in 2020.
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return weights


def _start(config, folder, write):
    """A config's model, started from what ``write`` makes.

    It gets a path and the backbone and returns the weights that it wrote.
    """
    start = config.backbone.pop('init_cfg')
    with DefaultScope.overwrite_default_scope('mmseg'):
        backbone = MODELS.build(copy.deepcopy(config)).encoder_q.backbone
        start.checkpoint = str(folder / 'start.pth')
        weights = write(folder / 'start.pth', backbone)
        config.backbone.init_cfg = start
        model = MODELS.build(config)
    model.init_weights()
    return model, weights


def test_quick_tuning_starts_from_every_tensor_of_mocos_file(tmp_path):
    config = load(MAIN)
    start = config.model.backbone.init_cfg
    small = reduce_config(config, tmp_path).model
    small.backbone.init_cfg = start
    model, weights = _start(small, tmp_path, _moco_checkpoint)

    for encoder in (model.encoder_q, model.encoder_k):
        found = encoder.backbone.state_dict()
        assert len(found) == len(weights)
        for name, value in found.items():
            expected = weights[f'module.encoder_q.{name}']
            assert torch.equal(value, expected), name


def _dino_checkpoint(path, backbone):
    weights = random_transformer(384, len(backbone.layers), 14, 16, 4 * 384)
    torch.save(weights, path)
    return weights


TIMM_NAMES = (
    (r'^ln1\.', 'norm.'),
    (r'projection', 'proj'),
    (r'ln(\d)', r'norm\1'),
    (r'attn\.attn\.in_proj_', 'attn.qkv.'),
    (r'attn\.attn\.out_proj', 'attn.proj'),
    (r'ffn\.layers\.0\.0', 'mlp.fc1'),
    (r'ffn\.layers\.1', 'mlp.fc2'),
    (r'^layers', 'blocks'),
)


def test_quick_tuning_starts_from_every_tensor_of_dinos_file(tmp_path):
    config = load('cp2_vits16-fcn_dino-pre_8xb32-20e_in1k').model
    # The width tells the number of heads, so only the depth is reduced.
    config.backbone.num_layers = 2
    model, weights = _start(config, tmp_path, _dino_checkpoint)

    for encoder in (model.encoder_q, model.encoder_k):
        found = encoder.backbone.state_dict()
        assert len(found) == len(weights)
        for name, value in found.items():
            for ours, theirs in TIMM_NAMES:
                name = re.sub(ours, theirs, name)
            assert torch.equal(value, weights[name]), name


def _family(stem):
    model = load(stem).model
    head = model.get('decode_head', {}).get('type')
    return model.type, model.backbone.type, head


@pytest.mark.parametrize(
    'stem', {_family(stem): stem for stem in PAPER}.values()
)
def test_family_trains_two_steps(stem, tmp_path):
    steps = train_reduced(reduce_config(load(stem), tmp_path))

    assert len(steps.losses) == 2
    assert all(0 < loss < 20 for loss in steps.losses)
    assert steps.changed == 1
