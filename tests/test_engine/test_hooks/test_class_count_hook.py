"""Tests of comparing the classes of the data with those of a detector."""

from types import SimpleNamespace

import pytest
from mmengine.registry import MODELS
from tiny_detectors import NUM_CLASSES, config_of
from torch import nn

from mmcp.engine.config import UsageError
from mmcp.engine.hooks import ClassCountHook


def build(name, **mask_head):
    config = config_of(name)
    config.type = f'mmdet.{config.type}'
    heads = config.roi_head.mask_head
    for head in heads if isinstance(heads, list) else [heads]:
        head.update(mask_head)
    return MODELS.build(config)


def check(model, **metainfo):
    dataset = SimpleNamespace(metainfo=metainfo)
    loader = SimpleNamespace(dataset=dataset)
    ClassCountHook().before_train(
        SimpleNamespace(model=model, train_dataloader=loader)
    )


CLASSES = ('cat', 'dog', 'cow', 'zebra')


@pytest.mark.parametrize('count', [1, NUM_CLASSES])
def test_data_that_fit(count):
    check(build('mask'), classes=CLASSES[:count])


def test_one_class_too_many():
    with pytest.raises(UsageError) as caught:
        check(build('mask'), classes=CLASSES)
    assert str(caught.value) == (
        'The training data have 4 classes, but roi_head.bbox_head of the '
        "model has 3, so 'zebra' would be its background. Change the data, "
        'or --cfg-options model.roi_head.bbox_head.num_classes=4 '
        'model.roi_head.mask_head.num_classes=4'
    )


def test_all_heads_of_a_cascade_are_named():
    with pytest.raises(UsageError) as caught:
        check(build('cascade-mask'), classes=CLASSES)
    for kind in ('bbox', 'mask'):
        for stage in range(3):
            key = f'model.roi_head.{kind}_head.{stage}.num_classes=4'
            assert key in str(caught.value)


def test_masks_of_no_class():
    model = build('mask', class_agnostic=True)
    with pytest.raises(UsageError, match='bbox_head.num_classes=4$'):
        check(model, classes=CLASSES)


@pytest.mark.parametrize(
    ('model', 'metainfo'),
    [
        (nn.Linear(1, 1), dict(classes=CLASSES)),
        (None, {}),
        # mmengine lets a name stand for its list.
        (None, dict(classes='zebra')),
    ],
)
def test_what_cannot_be_compared_is_accepted(model, metainfo):
    check(model or build('mask'), **metainfo)
