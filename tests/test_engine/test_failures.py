"""Tests of explaining errors."""

import mmdet.registry
import pytest
from mmengine.config import Config
from mmengine.registry import HOOKS, Registry, init_default_scope
from torch.utils.data import DataLoader

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


@pytest.mark.parametrize(
    ('error', 'reason'),
    [
        (ValueError('too\n  long'), 'too long'),
        (TypeError("'<' not supported"), "'<' not supported"),
        (KeyError('invalid depth 19'), 'invalid depth 19'),
        (KeyError('depth'), "KeyError: 'depth'"),
        (AssertionError('ends with a dot.'), 'ends with a dot'),
        (AssertionError(), 'AssertionError at `raise error`'),
        (NotImplementedError('mode x'), 'mode x'),
    ],
)
def test_refusal_of_any_class_is_one_line(error, reason):
    class Thing:
        def __init__(self, size, name, parts):
            raise error

    registry = Registry('thing')
    registry.register_module(module=Thing)
    text = explained(registry, type='Thing', size=3, name='a', parts=[1])
    assert text == (
        f"Thing refused its arguments (size=3, name='a'): {reason}; "
        '--traceback shows where.'
    )


def test_refusal_deep_in_a_model_names_the_part():
    text = explained(mmdet.registry.MODELS, type='ResNet', depth=19)
    assert text == (
        'ResNet refused its arguments (depth=19): invalid depth 19 for '
        'resnet; --traceback shows where.'
    )


def test_data_loader_built_by_another_class_is_named():
    class Loop:
        def __init__(self):
            DataLoader([1], batch_size=0)

    registry = Registry('thing')
    registry.register_module(module=Loop)
    assert explained(registry, type='Loop').startswith(
        'DataLoader refused its arguments: batch_size should be a positive '
    )


def test_other_errors_in_a_constructor_keep_their_traceback():
    class Thing:
        def __init__(self):
            raise ZeroDivisionError

    registry = Registry('thing')
    registry.register_module(module=Thing)
    assert explained(registry, type='Thing') is None


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


def missing(path, cfg=None):
    """Explains a missing file as a tool with this config would."""
    with pytest.raises(FileNotFoundError) as caught:
        open(path)
    return explain(caught.value)


@pytest.fixture
def cfg(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = dict(data_root='data/coco/', ann_file='notes/train.json')
    nested = dict(type='Mix', dataset=dict(type='Coco', **root))
    elsewhere = dict(type='Coco', data_root='data/other/', ann_file='a.json')
    return Config(
        dict(
            train_dataloader=dict(dataset=nested),
            val_dataloader=dict(dataset=dict(root, ann_file='notes/val.json')),
            test_dataloader=dict(dataset=elsewhere),
            val_evaluator=[dict(ann_file='data/coco/notes/val.json')],
            test_evaluator=dict(ann_file='data/other/a.json'),
        )
    )


def test_missing_data_root_names_the_keys_that_use_it(cfg, tmp_path):
    keys = (
        'with --cfg-options, set train_dataloader.dataset.dataset.data_root, '
        'val_dataloader.dataset.data_root, val_evaluator.0.ann_file.'
    )
    path = 'data/coco/notes/train.json'
    assert missing(path, cfg) == (
        f'{path} does not exist. Link the data there (mkdir -p data && ln -s '
        f'/path/to/coco data/coco) or, to look elsewhere, {keys}'
    )
    (tmp_path / 'data').mkdir()
    assert missing(path, cfg) == (
        f'{path} does not exist (of its folders, data is the last one that '
        'does). Link the data there (ln -s /path/to/coco data/coco) or, to '
        f'look elsewhere, {keys}'
    )


def test_missing_data_root_names_the_key_of_a_loss(cfg):
    loss = dict(type='Loss', ann_file='data/other/a.json')
    cfg.model = dict(head=dict(loss_cls=loss), init='data/other/x.pth')
    assert missing('data/other/a.json', cfg).endswith(
        'to look elsewhere, with --cfg-options, set model.head.loss_cls.'
        'ann_file, test_dataloader.dataset.data_root, test_evaluator.ann_file.'
    )


@pytest.mark.parametrize(
    ('path', 'keys'),
    [
        ('notes/train.json', 'train_dataloader.dataset.dataset.ann_file'),
        (
            'notes/val.json',
            'val_dataloader.dataset.ann_file, val_evaluator.0.ann_file',
        ),
    ],
)
def test_missing_file_of_a_data_root_names_its_keys(cfg, tmp_path, path, keys):
    (tmp_path / 'data' / 'coco' / 'notes').mkdir(parents=True)
    assert missing(f'data/coco/{path}', cfg) == (
        f'data/coco/{path} does not exist. To look elsewhere, with '
        f'--cfg-options, set {keys}.'
    )


def test_missing_file_of_no_key(cfg):
    assert missing('picture.jpg', cfg) == (
        'picture.jpg does not exist. A path in the config can be changed '
        'with --cfg-options.'
    )


def test_file_missing_in_a_worker_process(cfg):
    text = (
        'Caught FileNotFoundError in DataLoader worker process 0.\n'
        'Original Traceback (most recent call last):\n  File "x.py"\n'
        "FileNotFoundError: [Errno 2] No such file or directory: 'a/b.jpg'\n"
    )
    assert explain(FileNotFoundError(text)).startswith(
        'a/b.jpg does not exist. '
    )
