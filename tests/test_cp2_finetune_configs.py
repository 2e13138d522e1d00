"""Configs of fine-tuning: the paper's settings, tables and starting points."""

import copy
from functools import cache

import pytest
import torch
from check_configs import ROOT, find_leaves
from config_grammar import parse_name
from config_values import flat
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, DefaultScope
from reduce_config import reduce_config, train_reduced
from torch.utils.flop_counter import FlopCounterMode

from mmcp.checkpoints.positions import resize_positions
from mmcp.engine.build_on_meta import build_on_meta
from mmcp.engine.data_check import check_data

FOLDER = ROOT / 'configs' / 'cp2_finetune'
LEAVES = {
    leaf.stem: leaf for leaf in find_leaves(ROOT) if leaf.parent == FOLDER
}
STEMS = {leaf.stem: leaf for leaf in find_leaves(ROOT)}
BASELINES = {'r50': 'in1k-pre', 'vits16': 'dino-pre'}
ENDINGS = {
    'voc12aug': '4xb4-40k_voc12aug-512x512',
    'cityscapes': '4xb2-60k_cityscapes-512x1024',
    'ade20k': '4xb4-80k_ade20k-512x512',
}
CLASSES = {'voc12aug': 21, 'cityscapes': 19, 'ade20k': 150}
RATES = {'voc12aug': 0.003, 'cityscapes': 0.01, 'ade20k': 0.01}
HEADS = {'deeplabv3': ('aspp', 'ASPPHead'), 'fcn': ('fcn', 'FCNHead')}
MAIN = f'deeplabv3_r50-d16_cp2-820e-pre_{ENDINGS["voc12aug"]}'
# Files of other people that are fetched; all others are on disk.
DOWNLOADS = {
    'in1k-pre': 'mmcls://resnet50',
    'mocov1-200e-pre': 'moco_v1_200ep_pretrain.pth.tar',
    'mocov2-200e-pre': 'moco_v2_200ep_pretrain.pth.tar',
    'mocov2-800e-pre': 'moco_v2_800ep_pretrain.pth.tar',
    'dino-pre': 'dino_deitsmall16_pretrain.pth',
}
CHECKPOINT = ('model', 'init_cfg', 'checkpoint')
PART = ('model', 'init_cfg', 'part')
DECAY = ('optim_wrapper', 'optimizer', 'weight_decay')

each_leaf = pytest.mark.parametrize('stem', LEAVES)


@cache
def read(stem):
    return Config.fromfile(STEMS[stem])


def load(stem):
    return copy.deepcopy(read(stem))


def is_cp2(stem):
    return parse_name(stem).pretrain.startswith('cp2-')


def is_whole(stem):
    """Whether a leaf starts from CP2's head, too."""
    return is_cp2(stem) and '-bb-' not in parse_name(stem).pretrain


def baseline_of(stem):
    name = parse_name(stem)
    weights = BASELINES[name.components[0]]
    return stem.replace(f'_{name.pretrain}_', f'_{weights}_')


def pretraining_of(stem):
    """The stem of the config whose checkpoint a leaf starts from."""
    work_dirs, folder, _ = load(stem).model.init_cfg.checkpoint.split('/')
    assert work_dirs == 'work_dirs'
    return folder


def test_the_papers_tables_are_complete():
    cp2 = ['cp2-200e-pre', 'cp2-220e-pre', 'cp2-820e-pre']
    moco = ['in1k-pre', 'mocov2-200e-pre', 'mocov2-800e-pre']
    others = [
        'mocov1-200e-pre',
        'simclr-1000e-pre',
        'byol-300e-pre',
        'infomin-800e-pre',
        'insloc-400e-pre',
        'pixpro-400e-pre',
    ]
    transformers = ['dino-pre', 'cp2-820e-pre']
    rows = [
        *(('deeplabv3_r50-d16', word) for word in cp2 + moco + others),
        *(('fcn_r50-d16', word) for word in cp2 + moco),
        *(
            (f'{head}_vits16', word)
            for head in ('deeplabv3', 'fcn')
            for word in transformers
        ),
    ]
    tables_1_and_2 = {
        f'{model}_{word}_{ending}'
        for model, word in rows
        for ending in ENDINGS.values()
    }
    table_3 = {
        f'deeplabv3_{model}-bb-pre_{ENDINGS["voc12aug"]}'
        for model in (
            'r50-d16_cp2-200e',
            'r50-d16_cp2-820e',
            'vits16_cp2-820e',
        )
    }

    assert len(tables_1_and_2) == 3 * (13 - 1 + 6 + 4)
    assert LEAVES.keys() == tables_1_and_2 | table_3


@each_leaf
def test_schedule_is_the_papers(stem):
    config = load(stem)
    name = parse_name(stem)
    resnet = 'r50' in name.components
    expected = (
        dict(
            type='SGD',
            lr=RATES[name.dataset],
            momentum=0.9,
            weight_decay=0 if is_whole(stem) else 5e-4,
        )
        if resnet
        else dict(type='AdamW', lr=5e-5, betas=(0.9, 0.999), weight_decay=0.01)
    )
    (poly,) = config.param_scheduler

    assert config.optim_wrapper.optimizer == expected
    assert (poly.type, poly.power, poly.begin) == ('PolyLR', 0.9, 0)
    assert poly.eta_min == (1e-4 if resnet else 0)
    assert poly.eta_min < config.optim_wrapper.optimizer.lr
    # A checkpoint after each evaluation, so that the best one can be kept.
    interval = config.default_hooks.checkpoint.interval
    assert config.train_cfg.val_interval == interval
    assert config.train_cfg.max_iters % interval == 0


@each_leaf
def test_crops_are_those_of_the_name(stem):
    config = load(stem)
    name = parse_name(stem)
    size = tuple(map(int, name.size.split('x')))
    crops = [
        value
        for place, value in flat(_by_index(config.to_dict())).items()
        if place[-1] == 'crop_size'
    ]

    assert set(crops) == {size}
    assert config.model.data_preprocessor.size == size
    assert config.model.backbone.get('img_size', size) == size
    assert config.test_dataloader == config.val_dataloader
    assert config.test_evaluator == config.val_evaluator


def _by_index(node):
    """Lists as dicts from index to value."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    if isinstance(node, dict):
        return {key: _by_index(value) for key, value in node.items()}
    return node


@each_leaf
def test_model_is_that_of_the_name(stem):
    model = load(stem).model
    name = parse_name(stem)
    kind = {'r50': 'ResNet', 'vits16': 'VisionTransformer'}

    assert model.decode_head.type == HEADS[name.algorithm][1]
    assert model.decode_head.num_classes == CLASSES[name.dataset]
    assert model.backbone.type == kind[name.components[0]]
    assert model.get('auxiliary_head') is None
    assert model.init_cfg.type == 'mmcp.Pretrained'
    assert 'init_cfg' not in model.backbone


@each_leaf
def test_leaves_differ_by_their_start_only(stem):
    own, base = (flat(load(s).to_dict()) for s in (stem, baseline_of(stem)))
    changed = {place for place in own if own[place] != base.get(place)}
    expected = set()
    if stem != baseline_of(stem):
        expected = {CHECKPOINT}
    if is_whole(stem):
        expected |= {PART}
        expected |= {DECAY} if 'r50' in stem else set()

    assert own.keys() == base.keys()
    assert changed == expected
    assert own[PART] == ('backbone+head' if is_whole(stem) else 'backbone')


@each_leaf
def test_weights_are_those_of_the_name(stem):
    checkpoint = load(stem).model.init_cfg.checkpoint
    pretrain = parse_name(stem).pretrain

    if pretrain in DOWNLOADS:
        assert checkpoint.endswith(DOWNLOADS[pretrain])
    elif is_cp2(stem):
        assert is_whole(stem) or pretrain.endswith('e-bb-pre')
        _check_epochs(stem, checkpoint, pretrain)
    else:
        method, epochs, _ = pretrain.split('-')
        assert checkpoint == f'data/weights/{method}_r50_{epochs}.pth'


def _check_epochs(stem, checkpoint, pretrain):
    source = pretraining_of(stem)
    start = parse_name(source).pretrain or 'none-0e-pre'
    epochs = load(source).train_cfg.max_epochs
    # DINO trained its ViT-S for as long as MoCo v2 its longer ResNet.
    before = 800 if start == 'dino-pre' else int(start.split('-')[1][:-1])

    assert checkpoint.endswith(f'/epoch_{epochs}.pth')
    assert pretrain.split('-')[1] == f'{before + epochs}e'
    assert 'mocov2' in start or start in ('dino-pre', 'none-0e-pre')


@pytest.mark.parametrize('stem', [*filter(is_cp2, LEAVES)])
def test_the_model_is_that_of_the_pretraining(stem):
    model, other = load(stem).model, load(pretraining_of(stem)).model
    added = {'dropout_ratio', 'loss_decode', 'num_classes'}

    for part, more in (('backbone', {'img_size'}), ('decode_head', added)):
        ours, theirs = (dict(m[part]) for m in (model, other))
        for key in more | {'norm_cfg', 'init_cfg'}:
            ours.pop(key, None)
            theirs.pop(key, None)
        assert ours == theirs
    if 'r50' in stem:
        assert model.backbone.norm_cfg.type == 'SyncBN'
    assert model.decode_head.norm_cfg.type == 'SyncBN'


def _train_cp2(stem, folder):
    """A checkpoint of a reduced pretraining, and its model."""
    small = reduce_config(load(stem), folder)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(small.model)
    path = folder / 'epoch_20.pth'
    meta = dict(cfg=small.pretty_text)
    torch.save(dict(meta=meta, state_dict=model.state_dict()), path)
    return path, model.encoder_q


@pytest.mark.parametrize('backbone', ['r50-d16', 'vits16'])
@pytest.mark.parametrize('algorithm', ['deeplabv3', 'fcn'])
def test_every_tensor_of_a_pretraining_is_loaded(
    algorithm, backbone, tmp_path
):
    stem = f'{algorithm}_{backbone}_cp2-820e-pre_{ENDINGS["cityscapes"]}'
    config = load(stem)
    init = config.model.init_cfg
    init.checkpoint, source = _train_cp2(pretraining_of(stem), tmp_path)
    init.checkpoint = str(init.checkpoint)
    small = reduce_config(config, tmp_path / 'finetune').model
    small.init_cfg = init
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(small)
    model.init_weights()

    for part in ('backbone', 'decode_head'):
        ours = getattr(model, part).state_dict()
        theirs = getattr(source, part).state_dict()
        theirs.pop('conv_seg.weight', None)
        theirs.pop('conv_seg.bias', None)
        names = {n for n in ours if not n.startswith('conv_seg.')}
        assert names == theirs.keys()
        for name in names - {'pos_embed'}:
            assert torch.equal(ours[name], theirs[name]), name
        if 'pos_embed' in names:
            expected = resize_positions(theirs['pos_embed'], (4, 8))
            assert torch.equal(ours['pos_embed'], expected)
    # The head's own, not what any file has.
    assert model.decode_head.conv_seg.weight.detach().std() < 0.02


def test_backbone_only_leaves_the_head_at_random(tmp_path):
    stem = MAIN.replace('820e', '820e-bb')
    config = load(stem)
    init = config.model.init_cfg
    path, source = _train_cp2(pretraining_of(stem), tmp_path)
    init.checkpoint = str(path)
    small = reduce_config(config, tmp_path / 'finetune').model
    small.init_cfg = init
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(small)
    model.init_weights()

    for part, same in (('backbone', True), ('decode_head', False)):
        ours = getattr(model, part).state_dict()
        theirs = getattr(source, part).state_dict()
        kernels = [n for n in theirs if theirs[n].ndim == 4]
        assert kernels
        assert all(
            torch.equal(ours[name], theirs[name]) is same for name in kernels
        )


@pytest.mark.parametrize(
    ('model', 'backbone', 'head'),
    [
        # Those of the pretraining and a classifier of 21 classes.
        ('deeplabv3_r50-d16_in1k', 23.508, 42.211 + 0.010773),
        ('fcn_r50-d16_in1k', 23.508, 5.309 + 0.005397),
        # 32x32 positions instead of 14x14.
        ('deeplabv3_vits16_dino', 21.666 + 0.317952, 17.504 + 0.010773),
    ],
)
def test_parameters_are_those_of_the_pretraining(model, backbone, head):
    segmentor = build_on_meta(load(f'{model}-pre_{ENDINGS["voc12aug"]}'))

    for part, expected in (('backbone', backbone), ('decode_head', head)):
        parameters = getattr(segmentor, part).parameters()
        millions = sum(p.numel() for p in parameters) / 1e6
        assert millions == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    'model', ['deeplabv3_r50-d16_in1k', 'fcn_vits16_dino']
)
def test_output_stride_is_16(model):
    config = load(f'{model}-pre_{ENDINGS["voc12aug"]}')
    config.model.decode_head.norm_cfg.type = 'BN'
    if 'norm_cfg' in config.model.backbone and 'r50' in model:
        config.model.backbone.norm_cfg.type = 'BN'
    segmentor = build_on_meta(config).eval()

    with FlopCounterMode(display=False), torch.no_grad():
        out = segmentor(torch.empty((1, 3, 512, 512), device='meta'))

    assert out.shape == (1, 21, 32, 32)


@pytest.mark.parametrize(
    ('model', 'dataset'),
    # make test-configs does the same with every leaf.
    [
        ('deeplabv3_r50-d16_in1k', 'voc12aug'),
        ('deeplabv3_r50-d16_in1k', 'cityscapes'),
        ('deeplabv3_r50-d16_in1k', 'ade20k'),
        ('fcn_r50-d16_in1k', 'voc12aug'),
        ('deeplabv3_vits16_dino', 'cityscapes'),
        ('fcn_vits16_dino', 'ade20k'),
    ],
)
def test_family_trains_and_is_evaluated_in_the_real_layout(
    model, dataset, tmp_path
):
    small = reduce_config(load(f'{model}-pre_{ENDINGS[dataset]}'), tmp_path)
    # In one process mmengine makes ordinary normalisation of it.
    small.model.decode_head.norm_cfg.type = 'SyncBN'
    check_data(small, ['train', 'val', 'test'])

    steps = train_reduced(small)

    assert len(steps.losses) == 2
    assert all(0 < loss < 20 for loss in steps.losses)
    # None is without gradient, so many GPUs need no other setting.
    assert steps.changed == 1
    for name in ('mIoU', 'aAcc', 'mAcc'):
        assert 0 <= steps.metrics[f'val/{name}'] <= 100


def _link_real(shared, kind, home):
    """Puts the few real files where the data set's config looks for them."""
    if kind == 'voc12aug':
        source = shared / 'voc_labelme3'
        names = [path.stem for path in source.glob('JPEGImages/*.jpg')]
        lists = home / 'ImageSets' / 'Segmentation'
        lists.mkdir(parents=True)
        for part in ('train', 'aug', 'val'):
            text = ''.join(f'{name}\n' for name in sorted(names))
            (lists / f'{part}.txt').write_text(text)
        for folder in ('JPEGImages', 'SegmentationClass'):
            (home / folder).symlink_to(source / folder)
        target = home / 'SegmentationClassAug'
        target.symlink_to(source / 'SegmentationClass')
        return
    source = shared / 'ade20k_samples'
    for folder in ('images', 'annotations'):
        (home / folder).mkdir(parents=True)
        for part in ('training', 'validation'):
            (home / folder / part).symlink_to(source / folder)


@pytest.mark.parametrize('kind', ['voc12aug', 'ade20k'])
def test_real_files_are_found_and_read(kind, shared_data, tmp_path):
    config = load(f'fcn_r50-d16_in1k-pre_{ENDINGS[kind]}')
    loaders = [config.train_dataloader, config.val_dataloader]
    _link_real(shared_data, kind, tmp_path / 'home')
    for loader in loaders:
        for dataset in loader.dataset.get('datasets', [loader.dataset]):
            dataset.data_root = str(tmp_path / 'home')
    check_data(config, ['train', 'val'])
    labels = set()
    with DefaultScope.overwrite_default_scope('mmseg'):
        for loader in loaders:
            dataset = DATASETS.build(loader.dataset)
            assert len(dataset) in (3, 6)
            for sample in dataset:
                seg_map = sample['data_samples'].gt_sem_seg.data
                labels |= set(seg_map.unique().tolist())

    assert 255 in labels
    labels.remove(255)
    assert len(labels) > 2
    assert max(labels) < CLASSES[kind]
