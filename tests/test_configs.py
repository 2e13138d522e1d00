"""Every config: loads, is what its name says, builds; families train."""

import copy
import json
import math
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import mmcv.ops
import numpy as np
import pytest
import torch
from check_configs import ROOT, check_all, find_leaves
from config_grammar import ConfigName, parse_name
from config_results import make_page, read_records
from mmdet.registry import TASK_UTILS
from mmengine import registry as mmengine_registries
from mmengine.config import Config
from mmengine.registry import DATASETS, TRANSFORMS, DefaultScope, Registry
from mmengine.runner import Runner, set_random_seed
from mmengine.structures import InstanceData
from reduce_config import IMAGE_SIZE, reduce_config, train_reduced
from tiny_coco import NUM_IMAGES
from torch import nn

from mmcp.datasets.sample_index import SampleIndex
from mmcp.engine.build_on_meta import build_on_meta

LEAVES = {leaf.stem: leaf for leaf in find_leaves(ROOT)}
# On MMDetection's data path, for comparison with the leaf of the same name.
COMPARED = [stem for stem in LEAVES if '-mmdet-' in stem]
# Those of CP2 and MoCo are looked at in test_cp2_configs.py, too.
# Those of LVIS have two stages; test_lvis_configs.py.
DETECTORS = [
    stem
    for stem in LEAVES
    if stem.startswith(('mask-rcnn_', 'cascade_'))
    and LEAVES[stem].parent.name != 'lvis'
]
# Those that pseudo-labels take part in; test_self_training_configs.py.
STUDENTS = [
    stem for stem in DETECTORS if LEAVES[stem].parent.name == 'self_training'
]
# Those whose test writes results for an evaluation server.
EXPORTS = [stem for stem in DETECTORS if '_cocotestdev-' in stem]
FAST = [stem for stem in DETECTORS if stem not in [*COMPARED, *STUDENTS]]
PASTED = [stem for stem in FAST if '-scp-' in stem]
# The family whose learning rate, decay and lengths are the paper's.
PAPER = [stem for stem in LEAVES if parse_name(stem).dataset == 'coco']
COCO_IMAGES = 118_287
REGISTRIES = [
    value
    for value in vars(mmengine_registries).values()
    if isinstance(value, Registry)
]
BACKBONES = {
    'r18': {'type': 'ResNet', 'depth': 18},
    'r50': {'type': 'ResNet', 'depth': 50},
    'r101': {'type': 'ResNet', 'depth': 101},
    'mobilenetv2': {'type': 'MobileNetV2'},
    'effb7': {'type': 'mmcp.EfficientNet', 'arch': 'b7'},
}
NECKS = {'fpn': {'type': 'FPN'}, 'nasfpn': {'type': 'mmcp.NASFPN'}}
ALGORITHMS = {'mask-rcnn': 'MaskRCNN', 'cascade': 'CascadeRCNN'}
JITTERS = {'ssj': (0.8, 1.25), 'lsj': (0.1, 2.0)}
NUCLEI_FLIP = dict(
    type='RandomFlip', prob=[0.3, 0.3], direction=['horizontal', 'vertical']
)

each_leaf = pytest.mark.parametrize('stem', LEAVES)
each_detector = pytest.mark.parametrize('stem', DETECTORS)
each_fast_leaf = pytest.mark.parametrize('stem', FAST)
each_paper_leaf = pytest.mark.parametrize('stem', PAPER)


@cache
def read(stem: str) -> Config:
    """Reads a leaf once."""
    return Config.fromfile(LEAVES[stem])


def load(stem: str) -> Config:
    """A copy of a leaf: building some types changes their config."""
    return copy.deepcopy(read(stem))


def dicts_of(node: Any, key: str = '') -> Iterator[tuple[str, dict]]:
    """Yields every dict in a tree with the key that it stands under."""
    if isinstance(node, dict):
        yield key, node
        for name, value in node.items():
            yield from dicts_of(value, name)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from dicts_of(value, key)


def inner_dataset(config: Config) -> dict:
    """The data set that reads images, below its wrappers."""
    dataset = config.train_dataloader.dataset
    while 'dataset' in dataset or 'labeled' in dataset:
        dataset = dataset.get('dataset') or dataset.labeled
    return dataset


def transform_of(config: Config, name: str) -> dict:
    """The only transform of that type in the loading pipeline."""
    (found,) = [t for t in inner_dataset(config).pipeline if t.type == name]
    return found


def leaf_like(**parts: Any) -> str:
    """The first leaf whose name has these parts."""
    for stem in LEAVES:
        name = parse_name(stem)
        if all(getattr(name, part) == value for part, value in parts.items()):
            return stem
    raise LookupError(parts)


def test_names_docstrings_metafiles_and_tables_agree():
    assert check_all(ROOT) == []


def test_every_leaf_is_in_the_record_of_reduced_trainings():
    path = ROOT / 'docs' / 'results' / 'configs.json'
    records = read_records(path)

    # After adding or renaming a config: make test-configs.
    assert sorted(records) == sorted(LEAVES)
    assert path.with_suffix('.md').read_text() == make_page(records)


def test_the_papers_matrix_is_complete():
    models = (('r50', '1024'), ('r101', '1024'), ('r101', '1280'))
    lengths = {
        ('8xb8', 'ssj'): '270k',
        ('8xb8', 'lsj'): '270k',
        ('64xb4', 'ssj'): '96e',
        ('64xb4', 'lsj'): '576e',
    }
    wanted = {
        f'mask-rcnn_{depth}_fpn_{start}{batch}-{jitter}{paste}-{length}'
        f'_coco-{size}'
        for (depth, size), start, paste in product(
            models, ('', 'in1k-pre_'), ('', '-scp')
        )
        for (batch, jitter), length in lengths.items()
    }

    assert len(wanted) == 48
    assert wanted - LEAVES.keys() == set()
    large = {
        *(f'mask-rcnn_effb7_fpn_64xb4-lsj-576e_coco-{n}' for n in (640, 1024)),
        'mask-rcnn_effb7_fpn_64xb4-lsj-576e_coco-1280',
        'cascade_effb7_fpn_64xb4-lsj-180k_coco-1280',
        'cascade_effb7_nasfpn_ns-pre_64xb4-lsj-180k_coco-1280',
    }
    wanted = large | {stem.replace('-lsj-', '-lsj-scp-') for stem in large}
    assert wanted - LEAVES.keys() == set()


@each_leaf
def test_length_is_that_of_the_last_scheduler_and_of_the_name(stem):
    config = load(stem)
    name = parse_name(stem)
    by_epoch = config.train_cfg.get('max_iters') is None
    length = config.train_cfg['max_epochs' if by_epoch else 'max_iters']
    schedulers = config.param_scheduler

    assert schedulers[-1].end == length
    assert schedulers[-1].get('by_epoch', True) == by_epoch
    assert all(s.begin < s.end <= length for s in schedulers)
    assert length == _length_in_name(name, by_epoch)


def _length_in_name(name: ConfigName, by_epoch: bool) -> int:
    count, unit = int(name.schedule[:-1]), name.schedule[-1]
    if unit == 'e' and not by_epoch:
        assert name.dataset.startswith('coco')
        # Half of a student's batch is labelled.
        labelled = name.batch_size / (1 + ('st' in name.augmentations))
        return math.ceil(count * COCO_IMAGES / labelled)
    if unit == 'x':
        return math.ceil(count * 90_000 * 16 / name.batch_size)
    return count * {'i': 1, 'k': 1000, 'e': 1}[unit]


@each_leaf
def test_batch_is_that_of_the_name(stem):
    config = load(stem)
    name = parse_name(stem)

    assert config.train_dataloader.batch_size == name.per_gpu
    assert config.auto_scale_lr.base_batch_size == name.batch_size


@each_detector
def test_model_is_that_of_the_name(stem):
    model = load(stem).model.to_dict()
    name = parse_name(stem)
    backbone, neck = name.components
    weights = model['backbone'].get('init_cfg')

    assert BACKBONES[backbone].items() <= model['backbone'].items()
    assert NECKS[neck].items() <= model['neck'].items()
    assert model['type'] == ALGORITHMS[name.algorithm]
    assert (weights is not None) == (name.pretrain is not None)
    if weights is not None:
        assert set(weights) == {'type', 'checkpoint'}


@each_fast_leaf
def test_augmentation_is_that_of_the_name(stem):
    config = load(stem)
    name = parse_name(stem)
    jitter = transform_of(config, 'mmcp.ScaleJitter')

    assert name.size is None or jitter.size == int(name.size)
    # test_ablation_configs.py looks at what is pasted, and how.
    mixes = [w for w in name.augmentations if w.startswith(('scp', 'mixup'))]
    assert config.train_dataloader.dataset.prob == float(len(mixes))
    for word in JITTERS.keys() & set(name.augmentations):
        assert jitter.ratio_range == JITTERS[word]


@each_fast_leaf
def test_training_takes_the_fast_path(stem):
    loader = load(stem).train_dataloader.to_dict()
    wrapper = loader['dataset']
    steps = [t['type'] for t in wrapper['dataset']['pipeline']]
    flips = ['RandomFlip'] if 'dsb2018' in stem else []

    assert loader['sampler'] == dict(type='mmcp.InfiniteSampler', shuffle=True)
    # Samples are of one size, so nothing is to be grouped by shape.
    assert 'batch_sampler' not in loader
    assert wrapper['type'] == 'mmcp.CopyPasteDataset'
    assert wrapper['pipeline'] == [dict(type='mmcp.PackDetInputs')]
    assert steps == [
        'LoadImageFromFile',
        'mmcp.LoadAnnotations',
        *flips,
        'mmcp.ScaleJitter',
    ]


def test_nuclei_are_flipped_before_they_are_padded():
    config = load(leaf_like(dataset='dsb2018'))

    assert transform_of(config, 'RandomFlip') == NUCLEI_FLIP
    assert transform_of(config, 'mmcp.ScaleJitter').flip_prob == 0


def test_one_leaf_keeps_the_path_of_mmdetection():
    (stem,) = COMPARED
    loader = load(stem).train_dataloader.to_dict()
    types = [node['type'] for _, node in dicts_of(loader) if 'type' in node]

    assert loader['dataset']['type'] == 'MultiImageMixDataset'
    assert [t for t in types if '.' in t] == ['mmcp.CopyPaste']
    # tests/test_converters: translated, it is the leaf that it belongs to.
    twin = load(stem.replace('-mmdet-', '-')).to_dict()
    whole = load(stem).to_dict()
    del twin['train_dataloader'], whole['train_dataloader']
    assert whole == twin


@each_leaf
def test_every_type_resolves(stem):
    config = load(stem)
    unknown = [
        f'{key}: {node["type"]}'
        for key, node in dicts_of(config.to_dict())
        # Kinds of foreground masks are in no registry; test_cp2_configs.py.
        if isinstance(node.get('type'), str)
        and key != 'mask'
        and not _resolves(node['type'], config.default_scope)
    ]

    assert unknown == []


@cache
def _resolves(type_name: str, scope: str) -> bool:
    # RoIAlign and nms are looked up in mmcv.ops, not in a registry.
    return hasattr(mmcv.ops, type_name) or any(
        found.get(type_name) is not None for found in _registries(scope)
    )


@cache
def _registries(scope: str) -> list[Registry]:
    children = []
    for registry in REGISTRIES:
        with registry.switch_scope_and_registry(scope) as child:
            child.import_from_location()
            children.append(child)
    return children


def test_unknown_types_do_not_resolve():
    assert not _resolves('mmcp.CopyPast', 'mmdet')
    assert not _resolves('CopyPast', 'mmdet')


@cache
def _build(stem: str) -> nn.Module:
    return build_on_meta(load(stem))


@each_detector
def test_model_builds_on_the_meta_device(stem):
    name = parse_name(stem)
    # Names with equal models share one build.
    twin = leaf_like(algorithm=name.algorithm, components=name.components)
    if load(twin).model != load(stem).model:
        twin = stem
    model = _build(twin)

    assert {p.device.type for p in model.parameters()} == {'meta'}
    classes = inner_dataset(load(stem)).get('metainfo', {}).get('classes')
    num_classes = 80 if classes is None else len(classes)
    for head in (*_box_heads(model), model.roi_head.mask_head):
        assert head.num_classes == num_classes


def _box_heads(model: nn.Module) -> list[nn.Module]:
    head = model.roi_head.bbox_head
    return list(head) if isinstance(head, nn.ModuleList) else [head]


@each_fast_leaf
def test_padding_is_the_normalisation_mean(stem):
    config = load(stem)
    preprocessor = config.model.data_preprocessor
    # OpenCV reads BGR and the preprocessor swaps the channels later.
    assert preprocessor.bgr_to_rgb
    gray = tuple(round(value) for value in reversed(preprocessor.mean))

    jitter = TRANSFORMS.build(transform_of(config, 'mmcp.ScaleJitter'))
    assert tuple(jitter.pad_val['img']) == gray


@pytest.mark.parametrize(
    'stem', [stem for stem in DETECTORS if stem not in EXPORTS]
)
def test_validation_and_test_are_the_same(stem):
    config = load(stem)

    assert config.test_dataloader == config.val_dataloader
    assert config.test_evaluator == config.val_evaluator
    data = config.val_dataloader.dataset
    assert config.val_evaluator.ann_file == data.data_root + data.ann_file


@pytest.mark.parametrize('stem', EXPORTS)
def test_results_for_a_server_are_the_only_difference(stem):
    export = load(stem).to_dict()
    twin = load(stem.replace('_cocotestdev-', '_coco-')).to_dict()
    dataset, evaluator = (
        export['test_dataloader']['dataset'],
        export['test_evaluator'],
    )

    assert dataset.pop('ann_file') == (
        'annotations/image_info_test-dev2017.json'
    )
    assert dataset.pop('data_prefix') == dict(img='test2017/')
    assert evaluator.pop('ann_file') == (
        'data/coco/annotations/image_info_test-dev2017.json'
    )
    assert evaluator.pop('format_only') is True
    assert evaluator.pop('outfile_prefix') == 'work_dirs/coco_testdev'
    del twin['test_dataloader']['dataset']['ann_file']
    del twin['test_dataloader']['dataset']['data_prefix']
    del twin['test_evaluator']['ann_file']
    assert export == twin


@pytest.mark.parametrize('stem', EXPORTS)
def test_results_for_a_server_are_written_without_annotations(stem, tmp_path):
    small = reduce_config(load(stem), tmp_path)
    data = tmp_path / 'data'
    content = json.loads((data / 'instances.json').read_text())
    del content['annotations']
    (data / 'info.json').write_text(json.dumps(content))
    small.test_dataloader.dataset.ann_file = 'info.json'
    small.test_evaluator.ann_file = str(data / 'info.json')
    small.test_evaluator.outfile_prefix = str(tmp_path / 'new' / 'results')

    assert Runner.from_cfg(small).test() == {}

    images = {image['id'] for image in content['images']}
    for kind, key in (('bbox', 'bbox'), ('segm', 'segmentation')):
        path = tmp_path / 'new' / f'results.{kind}.json'
        results = json.loads(path.read_text())
        assert {result['image_id'] for result in results} == images
        assert all(key in result for result in results)


@each_leaf
def test_ranks_do_not_share_a_seed(stem):
    assert load(stem).randomness.diff_rank_seed is True


@pytest.mark.parametrize('stem', PASTED)
def test_copy_paste_is_the_only_difference_to_the_baseline(stem):
    pasted = load(stem).to_dict()
    baseline = load(stem.replace('-scp-', '-')).to_dict()

    assert pasted['train_dataloader']['dataset'].pop('prob') == 1
    assert baseline['train_dataloader']['dataset'].pop('prob') == 0
    assert pasted == baseline


def test_lsj_and_ssj_differ_by_the_ratio_only():
    for size in ('1024', '1280'):
        parts = {'size': size, 'schedule': '270k', 'dataset': 'coco'}
        large, small = (
            load(leaf_like(augmentations=(jitter,), **parts)).copy()
            for jitter in ('lsj', 'ssj')
        )
        assert large.to_dict() != small.to_dict()
        for config in (large, small):
            del transform_of(config, 'mmcp.ScaleJitter')['ratio_range']
        assert large.to_dict() == small.to_dict()


@each_paper_leaf
def test_optimisation_is_the_papers(stem):
    config = load(stem)
    batch = parse_name(stem).batch_size
    steps = config.train_cfg.max_iters
    optimizer = config.optim_wrapper.optimizer
    warm_up, decay = config.param_scheduler

    assert optimizer.lr == pytest.approx(0.32 * batch / 256)
    assert (optimizer.type, optimizer.momentum) == ('SGD', 0.9)
    assert optimizer.weight_decay == 4e-5
    assert (warm_up.type, warm_up.begin, warm_up.end) == ('LinearLR', 0, 1000)
    assert warm_up.start_factor == pytest.approx(0.0032 / 0.32)
    assert not warm_up.by_epoch
    assert (decay.type, decay.gamma) == ('MultiStepLR', 0.1)
    assert decay.milestones == [round(f * steps) for f in (0.9, 0.95, 0.975)]


@each_paper_leaf
def test_all_layers_are_trained_with_synchronised_norms(stem):
    model = load(stem).model
    # Its number of frozen stages; ResNet counts from the stem.
    none = 0 if model.backbone.type == 'mmcp.EfficientNet' else -1
    heads = model.roi_head.bbox_head

    assert model.backbone.get('frozen_stages', 0) == none
    assert model.backbone.get('norm_eval', False) is False
    assert model.backbone.norm_cfg.type == 'SyncBN'
    assert model.neck.norm_cfg.type == 'SyncBN'
    for head in heads if isinstance(heads, list) else [heads]:
        assert head.norm_cfg.type == 'MMSyncBN'
    assert model.roi_head.mask_head.norm_cfg.type == 'MMSyncBN'


@each_paper_leaf
def test_all_images_of_coco_are_used(stem):
    dataset = inner_dataset(load(stem))

    assert dataset.ann_file == 'annotations/instances_train2017.json'
    assert 'filter_cfg' not in dataset
    assert 'indices' not in dataset
    # An image that a crop left without objects can still be pasted into.
    filters = [t for t in dataset.pipeline if t.type == 'FilterAnnotations']
    assert not any(t.keep_empty for t in filters)


@each_detector
def test_crowds_train_as_background(stem):
    train_cfg = load(stem).model.train_cfg
    crowd = InstanceData(bboxes=torch.tensor([[100.0, 0.0, 200.0, 100.0]]))
    objects = InstanceData(
        bboxes=torch.tensor([[0.0, 0.0, 50.0, 50.0]]),
        labels=torch.tensor([0]),
    )
    inside_crowd = torch.tensor([[120.0, 20.0, 180.0, 80.0]])
    priors = InstanceData(priors=torch.cat([objects.bboxes, inside_crowd]))

    rcnn = (
        train_cfg.rcnn
        if isinstance(train_cfg.rcnn, list)
        else [train_cfg.rcnn]
    )
    for stage in (train_cfg.rpn, *rcnn):
        assigner = stage.assigner
        # What the README of copy_paste says one can set to ignore them.
        for threshold, expected in ((None, [1, 0]), (0.5, [1, -1])):
            if threshold is not None:
                assigner = {**assigner, 'ignore_iof_thr': threshold}
            assigned = TASK_UTILS.build(assigner).assign(
                priors, objects, crowd
            )
            assert assigned.gt_inds.tolist() == expected


def _family(stem: str) -> tuple[str, ...]:
    """The types that make up a leaf's model."""
    model = load(stem).model.to_dict()
    return tuple(
        node['type']
        for key, node in dicts_of(model)
        if 'type' in node and key != 'init_cfg'
    )


# The last leaf of each family, one with Copy-Paste where there is one.
FAMILIES = {
    _family(stem): stem
    for stem in sorted(DETECTORS, key=lambda stem: ('-scp-' in stem, stem))
}


@pytest.mark.parametrize('stem', FAMILIES.values())
def test_family_trains_two_steps(stem, tmp_path):
    small = reduce_config(load(stem), tmp_path)

    steps = train_reduced(small)

    assert len(steps.losses) == 2
    assert all(0 < loss < 20 for loss in steps.losses)
    # One branch may get no gradient (unused classes), never most of them.
    assert steps.changed > 0.9


@pytest.fixture(scope='module')
def samples(tmp_path_factory):
    """Sixteen training samples of the LSJ + Copy-Paste recipe, small."""
    stem = leaf_like(augmentations=('lsj', 'scp'), dataset='coco')
    small = reduce_config(load(stem), tmp_path_factory.mktemp('samples'))
    set_random_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(small.train_dataloader.dataset)
        return [dataset[i % len(dataset)] for i in range(16)]


def test_samples_are_full_size_uint8(samples):
    for sample in samples:
        assert sample['inputs'].shape == (3, IMAGE_SIZE, IMAGE_SIZE)
        assert sample['inputs'].dtype == torch.uint8


def test_samples_keep_crowd_regions_as_ignored(samples):
    ignored = [len(s['data_samples'].ignored_instances) for s in samples]

    assert max(ignored) == 1
    assert min(ignored) == 0


def test_samples_have_the_same_rows_everywhere(samples):
    for sample in samples:
        for objects in (
            sample['data_samples'].gt_instances,
            sample['data_samples'].ignored_instances,
        ):
            count = len(objects.labels)
            assert objects.bboxes.shape == (count, 4)
            bitmaps = objects.masks.to_ndarray()
            assert bitmaps.shape == (count, IMAGE_SIZE, IMAGE_SIZE)
            assert bitmaps.any((1, 2)).all()


def test_padding_of_samples_is_gray_and_unlabelled(tmp_path):
    stem = leaf_like(augmentations=('lsj',), dataset='coco')
    small = reduce_config(load(stem), tmp_path)
    set_random_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(small.train_dataloader.dataset).dataset
    padded = 0
    for index in range(16):
        sample = dataset[index % len(dataset)]
        height, width = sample['ori_shape']
        scale_x, scale_y = sample['scale_factor']
        used = round(height * scale_y), round(width * scale_x)
        for axis, length in enumerate(used):
            image = np.moveaxis(sample['img'], axis, 0)[length:]
            masks = np.moveaxis(sample['gt_masks'].to_ndarray(), 1 + axis, 0)
            assert (image == [104, 116, 124]).all()
            assert not masks[length:].any()
            padded += image.size
    assert padded > 0


def _train_data(tmp_path, *augmentations):
    stem = leaf_like(augmentations=augmentations, dataset='coco')
    small = reduce_config(load(stem), tmp_path)
    with DefaultScope.overwrite_default_scope('mmdet'):
        return DATASETS.build(small.train_dataloader.dataset)


def test_a_baseline_gives_empty_images_as_they_are(tmp_path):
    sample = _train_data(tmp_path, 'lsj')[NUM_IMAGES - 1]['data_samples']

    assert sample.img_id == NUM_IMAGES
    assert len(sample.gt_instances) == 0


def test_a_baseline_trains_on_the_images_that_copy_paste_pastes_on(tmp_path):
    baseline = _train_data(tmp_path, 'lsj')
    pasted = _train_data(tmp_path, 'lsj', 'scp')
    changed = 0
    for position in range(12):
        index = SampleIndex(position % NUM_IMAGES, position, seed=5)
        before, after = baseline[index], pasted[index]
        objects = after['data_samples'].gt_instances.masks.to_ndarray()
        other = (before['inputs'] != after['inputs']).any(0).numpy()

        assert not (other & ~objects.any(0)).any()
        changed += bool(other.any())
    assert changed > 3


def test_the_wrapper_leaves_a_baseline_sample_alone(tmp_path):
    dataset = _train_data(tmp_path, 'lsj')
    for index in range(2):
        set_random_seed(index)
        inner = dataset.dataset[index]
        set_random_seed(index)
        mixed = dataset[index]

        assert np.array_equal(
            mixed['inputs'].numpy().transpose(1, 2, 0), inner['img']
        )
        masks = mixed['data_samples'].gt_instances.masks
        expected = inner['gt_masks'][~inner['gt_ignore_flags']]
        assert np.array_equal(masks.to_ndarray(), expected.to_ndarray())
