"""Tests of ``init_cfg`` of type ``mmcp.PretrainedDetector``."""

import pytest
import torch
from checkpoint_layouts import random_resnet, under
from mmengine.registry import MODELS, init_default_scope
from tiny_detectors import config_of

from mmcp.checkpoints import (
    CheckpointError,
    MismatchError,
    PretrainedDetector,
    UnsafeCheckpointError,
)

# As the file has them, and as the model does.
THEIRS = ('person', 'tv', 'couch', 'cat')
OURS = ('cat', 'cow', 'tvmonitor')


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


def make(kind='mask', count=3, masks=False, **options):
    """A narrow detector for ``count`` classes."""
    model = config_of(kind)
    head = model.roi_head
    boxes = head.bbox_head
    for one in boxes if isinstance(boxes, list) else [boxes]:
        one.num_classes = count
    head.mask_head.num_classes = count
    if not masks:
        model.type = 'FasterRCNN' if kind == 'mask' else 'CascadeRCNN'
        head.update(mask_roi_extractor=None, mask_head=None)
    model.update(options)
    return MODELS.build(model)


def write(path, kind='mask', classes=THEIRS, **options):
    """A checkpoint of a detector with masks; no two weights are alike."""
    model = make(kind, len(THEIRS), masks=True, **options)
    generator = torch.Generator().manual_seed(3)
    state = {
        name: torch.randn(value.shape, generator=generator)
        if value.is_floating_point()
        else value
        for name, value in model.state_dict().items()
    }
    meta = dict(dataset_meta=dict(classes=classes)) if classes else {}
    torch.save(dict(meta=meta, state_dict=state), path)
    return state


def init(path, **options):
    kind = 'mmcp.PretrainedDetector'
    return dict(init_cfg=dict(type=kind, checkpoint=str(path), **options))


def started(path, kind='mask', masks=False, **options):
    """State of a model that was initialised from a file."""
    model = make(kind, masks=masks, **init(path, **options))
    model.init_weights()
    return model.state_dict()


@pytest.mark.parametrize('kind', ['mask', 'cascade-mask'])
@pytest.mark.parametrize('masks', [False, True])
def test_all_is_the_files_and_classes_go_by_name(kind, masks, tmp_path):
    theirs = write(tmp_path / 'x.pth', kind)

    ours = started(tmp_path / 'x.pth', kind, masks, classes=OURS)

    dropped = {name for name in theirs if '.mask_head.' in name}
    assert ours.keys() == theirs.keys() - (set() if masks else dropped)
    remapped = []
    for name, value in ours.items():
        if value.shape == theirs[name].shape:
            assert torch.equal(value, theirs[name]), name
            continue
        remapped.append(name)
        rows = 4 if '.fc_reg.' in name else 1
        own, others = (
            tensor.unflatten(0, (-1, rows)) if rows > 1 else tensor[:, None]
            for tensor in (value, theirs[name])
        )
        # cat, tvmonitor; the cow is as the head says.
        assert torch.equal(own[0], others[3])
        assert torch.equal(own[2], others[1])
        assert not any(torch.equal(own[1], other) for other in others)
        if '.fc_' in name:
            assert own[1].abs().max() < 0.05
        if '.fc_cls.' in name:
            assert torch.equal(own[3], others[4])
    stages = 3 if kind == 'cascade-mask' else 1
    # Boxes of the cascade are the same for all classes.
    layers = stages * (1 if kind == 'cascade-mask' else 2)
    layers += masks * stages
    assert len(remapped) == 2 * layers


def test_class_layers_may_start_anew(tmp_path):
    theirs = write(tmp_path / 'x.pth', classes=None)

    ours = started(tmp_path / 'x.pth', class_layers='fresh')

    box = 'roi_head.bbox_head'
    for layer, most in (('fc_cls', 0.05), ('fc_reg', 0.005)):
        weight = ours[f'{box}.{layer}.weight']
        assert 0 < weight.std() < most
        assert ours[f'{box}.{layer}.bias'].eq(0).all()
    for name, value in ours.items():
        if 'fc_cls' not in name and 'fc_reg' not in name:
            assert torch.equal(value, theirs[name])


@pytest.mark.parametrize('noted', [None, THEIRS])
def test_classes_of_the_file_can_be_given(noted, tmp_path):
    theirs = write(tmp_path / 'x.pth', classes=noted)
    given = dict(source_classes=['cow', 'x', 'y', 'z'], classes=OURS)

    ours = started(tmp_path / 'x.pth', **given)

    name = 'roi_head.bbox_head.fc_cls.bias'
    assert ours[name][1] == theirs[name][0]
    assert ours[name][0] == ours[name][2] == 0


def test_the_log_says_what_was_taken_over(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmcp.checkpoints.pretrained_detector.print_log',
        lambda text, **_: lines.append(text),
    )
    path = tmp_path / 'x.pth'
    write(path)

    count = len(started(path, classes=OURS))

    assert lines == [
        f'Loaded {count} of {count} tensors (100 %) from {path}: without the '
        'mask head, 2 of 3 classes by name (new: cow).'
    ]


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(classes=['x', 'y', 'z']), MismatchError, 'none of the classes'),
        (
            dict(classes=['cat', 'cow']),
            MismatchError,
            r'x\.pth: roi_head.bbox_head.fc_cls.weight has 4 rows in the mod',
        ),
        (dict(classes='VOCData'), ValueError, "but is 'VOCData'"),
        (
            dict(classes=OURS, aliases=dict(cow='bull')),
            ValueError,
            "'bull' is none of the classes person, tv",
        ),
        (
            dict(classes=OURS, source_classes=['cat', 'tv']),
            MismatchError,
            '5 rows in the file, where 2 classes need 3',
        ),
    ],
)
def test_classes_that_do_not_fit(options, error, message, tmp_path):
    write(tmp_path / 'x.pth')
    with pytest.raises(error, match=message):
        started(tmp_path / 'x.pth', **options)


def test_a_file_that_does_not_note_its_classes(tmp_path):
    write(tmp_path / 'x.pth', classes=None)
    with pytest.raises(CheckpointError, match='mmdet.CocoDataset'):
        started(tmp_path / 'x.pth', classes=OURS)


def test_another_detector_is_refused_as_a_whole(tmp_path):
    write(tmp_path / 'x.pth')
    model = make('cascade-mask', **init(tmp_path / 'x.pth', classes=OURS))
    before = model.backbone.conv1.weight.clone()

    with pytest.raises(MismatchError) as caught:
        model.init_weights()

    message = str(caught.value)
    assert 'is not of this detector; nothing was loaded' in message
    assert 'missing in the file: roi_head.bbox_head.0' in message
    assert torch.equal(model.backbone.conv1.weight, before)


def test_another_backbone_is_named(tmp_path):
    write(tmp_path / 'x.pth')
    deeper = config_of('mask').backbone
    deeper.depth = 34
    model = make(**init(tmp_path / 'x.pth', classes=OURS), backbone=deeper)
    with pytest.raises(MismatchError, match=r'ResNet-18.*set depth=18'):
        model.init_weights()


@pytest.mark.parametrize('way', ['by_name', 'fresh'])
def test_a_class_layer_that_the_file_lacks(way, tmp_path):
    path = tmp_path / 'x.pth'
    state = write(path)
    del state['roi_head.bbox_head.fc_reg.bias']
    meta = dict(dataset_meta=dict(classes=THEIRS))
    torch.save(dict(meta=meta, state_dict=state), path)
    with pytest.raises(
        MismatchError, match=r'1 missing in the file: .*fc_reg\.bias'
    ):
        started(path, classes=OURS, class_layers=way)


def test_masks_that_the_file_lacks(tmp_path):
    path = tmp_path / 'x.pth'
    state = write(path)
    boxes = {n: v for n, v in state.items() if '.mask_head.' not in n}
    meta = dict(dataset_meta=dict(classes=THEIRS))
    torch.save(dict(meta=meta, state_dict=boxes), path)
    with pytest.raises(MismatchError, match='missing in the file: roi_head.m'):
        started(path, masks=True, classes=OURS)


def test_what_is_no_detector(tmp_path):
    path = tmp_path / 'x.pth'
    torch.save(dict(state_dict=under('backbone.', random_resnet())), path)
    with pytest.raises(MismatchError, match='there is no roi_head'):
        started(path, classes=OURS)

    write(path)
    backbone = config_of('mask').backbone
    backbone.update(init(path, classes=OURS))
    with pytest.raises(MismatchError, match='ResNet has no roi_head'):
        MODELS.build(backbone).init_weights()


def test_files_are_read_safely(tmp_path):
    path = tmp_path / 'x.pth'
    torch.save(dict(state_dict={}, meta=PretrainedDetector), path)
    with pytest.raises(UnsafeCheckpointError):
        started(path, classes=OURS)
    with pytest.raises(FileNotFoundError):
        started(tmp_path / 'none.pth', classes=OURS)


def test_items_that_would_overwrite_are_refused(tmp_path):
    write(tmp_path / 'x.pth')
    ours = init(tmp_path / 'x.pth', classes=OURS)['init_cfg']
    kaiming = dict(type='Kaiming', layer='Conv2d')
    model = make(init_cfg=[ours, kaiming])
    with pytest.raises(CheckpointError, match='Kaiming follows mmcp.Pret'):
        model.init_weights()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({}, "needs the names of the model's classes"),
        (dict(classes=OURS, class_layers='none'), "but is 'none'"),
    ],
)
def test_arguments_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        PretrainedDetector('x.pth', **options)
