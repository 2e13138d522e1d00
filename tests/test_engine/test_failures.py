"""Tests of explaining errors."""

import mmdet.registry
import pytest
from mmengine.registry import HOOKS, Registry, init_default_scope

from mmcp.checkpoints import CheckpointError
from mmcp.engine.config import UsageError
from mmcp.engine.failures import explain


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


def explained(registry, **cfg):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        registry.build(cfg)
    return explain(caught.value)


@pytest.mark.parametrize(
    ('registry', 'name', 'found'),
    [
        ('MODELS', 'MaskRCN', 'MaskRCNN'),
        ('MODELS', 'mmdet.MaskRCN', 'MaskRCNN'),
        ('TRANSFORMS', 'mmcp.CopyPast', 'mmcp.CopyPaste'),
        ('TRANSFORMS', 'mmpc.CopyPaste', 'mmcp.CopyPaste'),
        ('TRANSFORMS', 'randomflip', 'RandomFlip'),
        ('HOOKS', 'InterruptHook', 'mmcp.InterruptHook'),
        ('HOOKS', 'mmcp.InteruptHook', 'mmcp.InterruptHook'),
        ('HOOKS', 'CheckpointHok', 'CheckpointHook'),
    ],
)
def test_unknown_type_names_the_nearest(registry, name, found):
    registry = getattr(mmdet.registry, registry)
    text = explained(registry, type=name)
    assert text == (
        f"There is no {registry.name} '{name}' (the default scope is "
        f"'mmdet'). Did you mean '{found}'?"
    )


def test_the_users_own_scope_comes_first():
    # MMDetection's CopyPaste has the same name.
    transforms = mmdet.registry.TRANSFORMS
    assert "'mmcp.CopyPaste'" in explained(transforms, type='mmcp.CopyPste')
    assert "'CopyPaste'" in explained(transforms, type='CopyPste')


def test_nothing_near():
    text = explained(mmdet.registry.TRANSFORMS, type='Qqqqq')
    assert text.endswith("(the default scope is 'mmdet').")


def test_missing_type():
    text = explained(mmdet.registry.TRANSFORMS, prob=0.25)
    assert text.startswith("A transform in the config has no 'type': ")
    assert '0.25' in text


def test_error_deep_in_a_model():
    text = explained(
        mmdet.registry.MODELS,
        type='MaskRCNN',
        backbone=dict(type='ResNet', depth=18, frozen_stage=1),
        rpn_head=None,
        roi_head=None,
        train_cfg=None,
        test_cfg=None,
    )
    assert text.startswith(
        "ResNet has no argument 'frozen_stage'. Did you mean "
        "'frozen_stages'? It takes: depth, in_channels, "
    )


class Parent:
    def __init__(self, depth, width=1):
        pass


class Child(Parent):
    def __init__(self, *parts, height=2, **kwargs):
        super().__init__(**kwargs)


class Grandchild(Child):
    pass


def make_thing(length=1):
    pass


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        (
            dict(type='Grandchild', dept=1),
            "Grandchild has no argument 'dept'. Did you mean 'depth'? It "
            'takes: height, depth, width.',
        ),
        (
            dict(type='make_thing', zzz=1),
            "make_thing has no argument 'zzz'. It takes: length.",
        ),
    ],
)
def test_wrong_argument_of_a_parent_class_or_function(options, expected):
    registry = Registry('thing')
    for thing in (Parent, Child, Grandchild, make_thing):
        registry.register_module(module=thing)
    assert explained(registry, **options) == expected


def test_missing_argument():
    text = explained(mmdet.registry.MODELS, type='ResNet')
    assert text.startswith(
        "ResNet is missing 1 required positional argument: 'depth'. It takes:"
    )


def test_refusal_of_our_own_classes_is_passed_on():
    text = explained(HOOKS, type='mmcp.InterruptHook', interval=0)
    assert text == 'mmcp.InterruptHook: interval must be at least 1, got 0.'


def test_errors_inside_other_classes_keep_their_traceback():
    assert explained(mmdet.registry.MODELS, type='ResNet', depth=19) is None


def test_failing_import_is_no_unknown_type(monkeypatch):
    def fail(self):
        raise ImportError('mmcv.ops is broken')

    transforms = mmdet.registry.TRANSFORMS
    monkeypatch.setattr(type(transforms), 'import_from_location', fail)
    assert explained(transforms, type='RandomFlip') is None


@pytest.mark.parametrize('kind', [UsageError, CheckpointError])
def test_own_errors_speak_for_themselves(kind):
    assert explain(kind('do this')) == 'do this'


@pytest.mark.parametrize(
    'error', [RuntimeError('x'), KeyError('x'), TypeError("argument 'x'")]
)
def test_errors_elsewhere_are_not_explained(error):
    assert explain(error) is None


def test_missing_file_tells_how_far_the_path_exists(tmp_path):
    path = tmp_path / 'coco' / 'annotations' / 'train.json'
    with pytest.raises(FileNotFoundError) as caught:
        path.open()
    assert explain(caught.value).startswith(
        f'{path} does not exist (of its folders, {tmp_path} is the last one '
        'that does). A path in the config'
    )
    path.parent.mkdir(parents=True)
    with pytest.raises(FileNotFoundError) as caught:
        path.open()
    assert explain(caught.value).startswith(f'{path} does not exist. A path')


def test_missing_file_with_a_message_of_its_own():
    assert explain(FileNotFoundError('look there')) == 'look there'
