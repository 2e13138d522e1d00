"""Configs of transfer to PASCAL VOC: Tables 5 and 6 of Copy-Paste."""

import copy
from functools import cache

import pytest
import torch
from check_configs import ROOT, find_leaves
from checkpoint_layouts import moco_v2, random_resnet
from config_grammar import parse_name
from config_metafile import read_metafile
from config_values import flat
from mmdet.datasets import VOCDataset
from mmdet.registry import TASK_UTILS
from mmdet.structures.bbox import get_box_tensor
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.registry import DATASETS, MODELS, DefaultScope
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from reduce_config import STEPS, reduce_config

from mmcp.checkpoints import MismatchError
from mmcp.engine.build_on_meta import build_on_meta
from mmcp.engine.data_check import check_data
from mmcp.engine.starting_point import check_init_weights

STEMS = {leaf.stem: leaf for leaf in find_leaves(ROOT)}
FOLDER = ROOT / 'configs' / 'transfer'
LEAVES = [stem for stem, leaf in STEMS.items() if leaf.parent == FOLDER]
DETECTORS = [stem for stem in LEAVES if '_voc0712' in stem]
SEGMENTORS = [stem for stem in LEAVES if '_voc12-' in stem]
# One of the two that differ by the checkpoint only.
FAMILIES = [stem for stem in LEAVES if '_coco-scp-pre_' in stem]
PAPER = {
    ('voc0712', 'coco-pre'): ('Table 5', [88.6, 75.0]),
    ('voc0712', 'coco-scp-pre'): ('Table 5', [89.3, 76.5]),
    ('voc12', 'coco-pre'): ('Table 6', [83.9]),
    ('voc12', 'coco-scp-pre'): ('Table 6', [86.6]),
}
CHECKPOINT = ('model', 'init_cfg', 'checkpoint')

each_leaf = pytest.mark.parametrize('stem', LEAVES)
each_family = pytest.mark.parametrize('stem', FAMILIES)
each_detector = pytest.mark.parametrize('stem', DETECTORS)
each_segmentor = pytest.mark.parametrize('stem', SEGMENTORS)


@cache
def read(stem):
    return Config.fromfile(STEMS[stem])


def load(stem):
    return copy.deepcopy(read(stem))


def source_of(stem):
    """The stem of the config whose checkpoint a leaf starts from."""
    return load(stem).model.init_cfg.checkpoint.split('/')[1]


def leaf_like(*words):
    (stem,) = [s for s in FAMILIES if all(word in s for word in words)]
    return stem


def build(config):
    scope = config.default_scope
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(config.model)


class Snapshot(Hook):
    """Keeps the weights that training starts with."""

    def before_train(self, runner):
        state = runner.model.state_dict()
        self.state = {name: value.clone() for name, value in state.items()}


@pytest.fixture(scope='module')
def pretrained(tmp_path_factory):
    """Makes the reduced checkpoint that a leaf starts from, once."""

    @cache
    def make(source):
        folder = tmp_path_factory.mktemp('source')
        small = reduce_config(load(source), folder)
        model = build(small)
        generator = torch.Generator().manual_seed(1)
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                # About the identity of a norm and the spread of a kernel.
                value.normal_(0, 0.05, generator=generator)
                if value.ndim == 1 and name.endswith(('weight', 'var')):
                    value.add_(1).abs_()
        path = folder / 'iter.pth'
        classes = DATASETS.get('mmdet.CocoDataset').METAINFO['classes']
        meta = dict(dataset_meta=dict(classes=classes))
        torch.save(dict(meta=meta, state_dict=model.state_dict()), path)
        return str(path), model

    return make


def reduced(stem, folder, checkpoint):
    """A leaf made small, with its own kind of start."""
    config = load(stem)
    small = reduce_config(config, folder)
    small.model.init_cfg = config.model.init_cfg
    small.model.init_cfg.checkpoint = checkpoint
    return small


def test_both_tables_are_there_with_both_models():
    found = {(parse_name(s).components, *_row(s)) for s in LEAVES}

    assert found == {
        (components, *row)
        for components in (('r50', 'fpn'), ('effb7', 'nasfpn'))
        for row in PAPER
    }
    for entry in read_metafile(FOLDER / 'metafile.yml'):
        table, numbers = PAPER[_row(entry.name)]
        assert entry.paper['table'] == table
        assert list(entry.paper['numbers'].values()) == numbers
        wanted = 'w/ Copy-Paste' in entry.paper['row']
        assert wanted == ('coco-scp-pre' in entry.name)
        assert ('differs' in entry.paper) == ('_r50_' in entry.name)


def _row(stem):
    name = parse_name(stem)
    return name.dataset, name.pretrain


@each_family
def test_pairs_differ_by_the_checkpoint_only(stem):
    own, other = (
        flat(load(s).to_dict()) for s in (stem, stem.replace('-scp-', '-'))
    )

    assert own.keys() == other.keys()
    assert {p for p in own if own[p] != other[p]} == {CHECKPOINT}


@each_leaf
def test_checkpoints_are_the_last_ones_of_configs_on_coco(stem):
    source = source_of(stem)
    steps = load(source).train_cfg.max_iters
    name, other = parse_name(stem), parse_name(source)

    assert STEMS[source].parent.name == 'copy_paste'
    assert load(stem).model.init_cfg.checkpoint == (
        f'work_dirs/{source}/iter_{steps}.pth'
    )
    assert other.components == name.components
    pasted = 'scp' in other.augmentations
    assert pasted == (name.pretrain == 'coco-scp-pre')
    if stem in DETECTORS:
        assert other.size == name.size


@each_detector
def test_detectors_are_those_of_the_pretraining_less_masks(stem):
    ours, theirs = (load(s).model.to_dict() for s in (stem, source_of(stem)))
    heads = [_as_list(m['roi_head'].pop('bbox_head')) for m in (ours, theirs)]

    for own, other in zip(*heads, strict=True):
        assert (own.pop('num_classes'), other.pop('num_classes')) == (20, 80)
        assert own == other
    for key in ('mask_head', 'mask_roi_extractor'):
        assert ours['roi_head'].pop(key) is None
        theirs['roi_head'].pop(key)
    # One mask head for all stages, or none.
    for model in (ours, theirs):
        model['roi_head'].pop('type')
    # A start from ImageNet's weights is the detector's, not ours.
    for part in ('backbone', 'neck', 'rpn_head', 'test_cfg'):
        theirs[part].pop('init_cfg', None)
        ours[part].pop('init_cfg', None)
        assert ours[part] == theirs[part]
    assert ours['roi_head'] == theirs['roi_head']


def _as_list(node):
    return node if isinstance(node, list) else [node]


@each_detector
def test_classes_are_those_of_the_data(stem):
    config = load(stem)
    (base, *_) = config.train_dataloader.dataset.dataset.datasets

    assert config.model.init_cfg.classes == f'mmdet.{base.type}'
    assert len(VOCDataset.METAINFO['classes']) == 20


@each_detector
def test_difficult_objects_are_neither_objects_nor_background(stem):
    train_cfg = load(stem).model.train_cfg
    difficult = InstanceData(bboxes=torch.tensor([[100.0, 0, 200, 100]]))
    objects = InstanceData(
        bboxes=torch.tensor([[0.0, 0, 50, 50]]), labels=torch.tensor([0])
    )
    inside = torch.tensor([[120.0, 20, 180, 80]])
    priors = InstanceData(priors=torch.cat([objects.bboxes, inside]))

    stages = [train_cfg.rpn, *_as_list(train_cfg.rcnn)]
    for stage in stages:
        with DefaultScope.overwrite_default_scope('mmdet'):
            assigner = TASK_UTILS.build(stage.assigner)
        assigned = assigner.assign(priors, objects, difficult)
        assert assigned.gt_inds.tolist() == [1, -1]


@each_segmentor
def test_backbone_and_neck_are_those_of_the_pretraining(stem):
    ours, theirs = (load(s).model for s in (stem, source_of(stem)))
    assert ours.decode_head.num_classes == 21
    if 'effb7' in stem:
        theirs.backbone.pop('init_cfg', None)
        assert ours.backbone == theirs.backbone
        assert ours.neck == theirs.neck
        return
    segmentor, detector = (
        build_on_meta(load(s)) for s in (stem, source_of(stem))
    )
    for part in ('backbone', 'neck'):
        own, other = (
            {n: v.shape for n, v in getattr(m, part).state_dict().items()}
            for m in (segmentor, detector)
        )
        assert own == other


@each_segmentor
def test_all_levels_are_merged(stem):
    model = load(stem).model
    preprocessor = load(source_of(stem)).model.data_preprocessor

    assert model.decode_head.type == 'mmcp.SumMergeHead'
    assert model.decode_head.in_index == list(range(5))
    assert model.decode_head.in_channels == [model.neck.out_channels] * 5
    ours = model.data_preprocessor
    assert ours.test_cfg.size_divisor == preprocessor.pad_size_divisor
    assert (ours.mean, ours.std) == (preprocessor.mean, preprocessor.std)
    assert ours.bgr_to_rgb


def _expected(name, needed, theirs):
    """A tensor of a detector that starts from one of COCO's 80 classes."""
    if needed.shape == theirs[name].shape:
        return theirs[name]
    coco = DATASETS.get('mmdet.CocoDataset').METAINFO['classes']
    spelled = {
        'aeroplane': 'airplane',
        'diningtable': 'dining table',
        'motorbike': 'motorcycle',
        'pottedplant': 'potted plant',
        'sofa': 'couch',
        'tvmonitor': 'tv',
    }
    labels = [
        coco.index(spelled.get(one, one))
        for one in VOCDataset.METAINFO['classes']
    ]
    if '.fc_cls.' in name:
        return theirs[name][[*labels, 80]]
    rows = [4 * label + row for label in labels for row in range(4)]
    return theirs[name][rows]


@each_family
def test_training_starts_from_the_detector(stem, pretrained, tmp_path):
    path, source = pretrained(source_of(stem))
    small = reduced(stem, tmp_path, path)
    # From the first step on, so that every weight that is trained moves.
    small.param_scheduler = []
    check_data(small, ['train', 'val', 'test'])
    check_init_weights(small)
    snapshot = Snapshot()
    runner = Runner.from_cfg(small)
    runner.register_hook(snapshot)

    runner.train()

    theirs = source.state_dict()
    start = snapshot.state
    segments = stem in SEGMENTORS
    parts = ('backbone.', 'neck.') if segments else ('',)
    taken = [name for name in start if name.startswith(parts)]
    assert len(taken) > 150
    for name in taken:
        expected = _expected(name, start[name], theirs)
        assert torch.equal(start[name], expected), name
    # What is left out is all of one head.
    left = {n.split('.')[1] for n in theirs.keys() - start.keys()}
    if not segments:
        assert left == {'mask_head'}
    _check_training(runner, start)


def _check_training(runner, start):
    losses, _ = runner.message_hub.get_scalar('train/loss').data
    assert len(losses) == STEPS
    assert all(0 < loss < 30 for loss in losses)
    moved = [
        not torch.equal(value, start[name])
        for name, value in runner.model.named_parameters()
    ]
    assert sum(moved) > 0.9 * len(moved)
    scalars = runner.message_hub.log_scalars
    wanted = (
        ('mIoU',)
        if 'val/mIoU' in scalars
        else ('pascal_voc/AP50', 'coco/bbox_mAP', 'coco/bbox_mAP_50')
    )
    for name in wanted:
        assert 0 <= scalars[f'val/{name}'].current() <= 100


def test_features_are_those_of_the_detector(pretrained, tmp_path):
    stem = leaf_like('sum-merge_r50')
    path, source = pretrained(source_of(stem))
    model = build(reduced(stem, tmp_path, path))
    model.init_weights()
    images = torch.rand(1, 3, 64, 96, generator=torch.manual_seed(0))

    with torch.no_grad():
        ours, theirs = (
            one.eval().extract_feat(images) for one in (model, source)
        )
        logits = model(images)

    assert len(ours) == 5
    assert all(map(torch.equal, ours, theirs))
    assert logits.shape == (1, 21, 16, 24)


def test_checkpoints_of_other_models_are_refused(pretrained, tmp_path):
    large = leaf_like('sum-merge_effb7')
    path, _ = pretrained(source_of(large))
    wrong = {
        'sum-merge_r50': "the model's a ResNet; change the type of the",
        'faster-rcnn_r50': 'is not of this detector; nothing was loaded',
    }
    for word, message in wrong.items():
        model = build(reduced(leaf_like(word), tmp_path / word, path))
        with pytest.raises(MismatchError, match=message):
            model.init_weights()

    backbone = tmp_path / 'moco.pth'
    torch.save(moco_v2(random_resnet()), backbone)
    wrong = {
        'sum-merge_r50': 'holds no neck, only: backbone, projector',
        'faster-rcnn_r50': 'holds no two-stage detector',
    }
    for word, message in wrong.items():
        small = reduced(leaf_like(word), tmp_path / word, str(backbone))
        with pytest.raises(MismatchError, match=message):
            build(small).init_weights()


@each_leaf
def test_a_missing_checkpoint_is_told_first(stem):
    with pytest.raises(FileNotFoundError) as caught:
        check_init_weights(load(stem))
    assert caught.value.filename == load(stem).model.init_cfg.checkpoint


@pytest.fixture(scope='module')
def annotated(tmp_path_factory):
    """Validation samples of the tiny data, boxes as tensors."""
    folder = tmp_path_factory.mktemp('voc')
    small = reduce_config(load(leaf_like('faster-rcnn')), folder)
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(small.val_dataloader.dataset)
        samples = [one['data_samples'] for one in dataset]
    for sample in samples:
        for objects in (sample.gt_instances, sample.ignored_instances):
            objects.bboxes = get_box_tensor(objects.bboxes)
    return dataset, samples


def evaluate(annotated, predict):
    """Metrics of what ``predict`` gives for the objects of an image."""
    dataset, samples = annotated
    config = load(leaf_like('faster-rcnn'))
    with DefaultScope.overwrite_default_scope('mmdet'):
        evaluator = Evaluator(config.val_evaluator.copy())
    evaluator.dataset_meta = dataset.metainfo
    for sample in copy.deepcopy(samples):
        boxes, labels, scores = predict(
            sample.gt_instances, sample.ignored_instances
        )
        sample.pred_instances = InstanceData(
            bboxes=boxes, labels=labels, scores=scores
        )
        evaluator.process([sample])
    return evaluator.evaluate(len(samples))


def _all_found(objects, ignored):
    return objects.bboxes, objects.labels, torch.ones(len(objects)) * 0.5


def _too_wide(objects, ignored):
    """Boxes of an IoU of 0.72: right at 0.5 to 0.7."""
    boxes = objects.bboxes.clone()
    width = boxes[:, 2] - boxes[:, 0]
    boxes[:, 2] = boxes[:, 0] + width / 0.72
    return boxes, objects.labels, torch.ones(len(objects)) * 0.5


def _difficult_too(objects, ignored):
    """The difficult objects, twice and above all others."""
    return (
        torch.cat([objects.bboxes, ignored.bboxes, ignored.bboxes]),
        torch.cat([objects.labels, ignored.labels, ignored.labels]),
        torch.tensor([0.5] * len(objects) + [0.9, 0.8] * len(ignored)),
    )


def _half_false(objects, ignored):
    """Beside each object a box that nothing is in, with a higher score."""
    away = objects.bboxes + 1000
    return (
        torch.cat([objects.bboxes, away]),
        torch.cat([objects.labels, objects.labels]),
        torch.tensor([0.5] * len(objects) + [0.9] * len(objects)),
    )


@pytest.mark.parametrize(
    ('predict', 'ap50', 'ap'),
    [
        (_all_found, 1.0, 1.0),
        (_too_wide, 1.0, 0.5),
        (_difficult_too, 1.0, 1.0),
    ],
)
def test_what_the_two_metrics_report(annotated, predict, ap50, ap):
    metrics = evaluate(annotated, predict)

    assert metrics['pascal_voc/AP50'] == pytest.approx(ap50, abs=1e-3)
    assert metrics['coco/bbox_mAP_50'] == pytest.approx(ap50, abs=1e-3)
    assert metrics['coco/bbox_mAP'] == pytest.approx(ap, abs=1e-3)


def test_false_detections_count_in_both_metrics(annotated):
    metrics = evaluate(annotated, _half_false)

    for name in ('pascal_voc/AP50', 'coco/bbox_mAP_50'):
        assert 0.3 < metrics[name] < 0.7


def test_one_object_of_the_tiny_data_is_difficult(annotated):
    _, samples = annotated
    counts = [len(sample.ignored_instances) for sample in samples]
    assert counts == [1, 0, 0]


@each_leaf
def test_tools_evaluate_what_training_evaluates(stem):
    config = load(stem)

    assert config.test_dataloader == config.val_dataloader
    assert config.test_evaluator == config.val_evaluator
    interval = config.default_hooks.checkpoint.interval
    assert config.train_cfg.val_interval == interval
    assert config.train_cfg.max_iters % interval == 0
    if stem in SEGMENTORS:
        data = config.train_dataloader.dataset
        assert data.ann_file == 'ImageSets/Segmentation/train.txt'
        return
    size = int(parse_name(stem).size)
    (resize,) = [
        t for t in config.val_dataloader.dataset.pipeline if t.type == 'Resize'
    ]
    assert resize.scale == (size, size)
    for data in config.train_dataloader.dataset.dataset.datasets:
        (jitter,) = [t for t in data.pipeline if 'Jitter' in t.type]
        assert jitter.size == size
        assert jitter.ratio_range == (0.1, 2.0)
