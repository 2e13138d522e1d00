import json
import math

import numpy as np
import pytest
import torch
from mmdet.models.losses import CrossEntropyLoss
from mmengine.registry import MODELS, init_default_scope

from mmcp.functional.long_tail import class_balanced_weights
from mmcp.models.losses import ClassBalancedCrossEntropy

COUNTS = [3, 700, 20]


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


@pytest.fixture
def samples():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(8, 4, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 3, 1, 2, 3, 3, 0, 1])
    weights = torch.tensor([1.0, 1, 0, 0.5, 1, 2, 1, 1], dtype=torch.float64)
    return scores.requires_grad_(), labels, weights


@pytest.fixture
def ann_file(tmp_path):
    """Category ids in no order; one crowd."""
    ids = [9, 4, 6]
    annotations = [
        dict(category_id=key)
        for key, count in zip(ids, COUNTS, strict=True)
        for _ in range(count)
    ]
    annotations.append(dict(category_id=9, iscrowd=1))
    path = tmp_path / 'train.json'
    categories = [dict(id=key, name=f'c{key}') for key in ids]
    path.write_text(
        json.dumps(dict(categories=categories, annotations=annotations))
    )
    return str(path)


def plain_loss(scores, labels, sample_weights, background, divisor):
    """Loss and gradient, one sample and class after the other."""
    class_weights = [*class_balanced_weights(COUNTS), background]
    loss, gradient = 0.0, np.zeros(scores.shape)
    for i, row in enumerate(scores):
        total = sum(math.exp(one) for one in row)
        factor = class_weights[labels[i]] * sample_weights[i] / divisor
        loss -= factor * math.log(math.exp(row[labels[i]]) / total)
        for c, one in enumerate(row):
            right = c == labels[i]
            gradient[i, c] = factor * (math.exp(one) / total - right)
    return loss, gradient


@pytest.mark.parametrize(
    ('arguments', 'divisor'),
    [
        ({}, 8),
        (dict(avg_factor=5.0), 5),
        (dict(reduction_override='sum'), 1),
    ],
)
@pytest.mark.parametrize('background', [1.0, 0.3])
def test_value_and_gradient(samples, arguments, divisor, background):
    scores, labels, weights = samples
    loss = ClassBalancedCrossEntropy(
        counts=COUNTS, background_weight=background
    )
    found = loss(scores, labels, weights, **arguments)
    found.backward()
    value, gradient = plain_loss(
        scores.detach().numpy(),
        labels.tolist(),
        weights.tolist(),
        background,
        divisor,
    )
    assert found.item() == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(scores.grad, gradient, rtol=1e-6, atol=1e-9)


def test_without_reduction_each_sample_has_its_loss(samples):
    scores, labels, weights = samples
    loss = ClassBalancedCrossEntropy(counts=COUNTS, loss_weight=2.0)
    found = loss(scores, labels, weights, reduction_override='none')
    for i in range(8):
        alone, _ = plain_loss(
            scores[i : i + 1].detach().numpy(),
            [labels[i].item()],
            [weights[i].item()],
            1.0,
            1.0,
        )
        assert found[i].item() == pytest.approx(2 * alone, rel=1e-6)


def test_without_balance_it_is_mmdets_loss(samples):
    scores, labels, weights = samples
    loss = ClassBalancedCrossEntropy(counts=COUNTS, beta=0)
    stock = CrossEntropyLoss()
    for arguments in ({}, dict(avg_factor=3), dict(ignore_index=3)):
        assert loss(scores, labels, weights, **arguments) == stock(
            scores, labels, weights, **arguments
        )


def test_ignored_labels_are_left_out_of_the_mean(samples):
    scores, labels, _ = samples
    loss = ClassBalancedCrossEntropy(
        counts=COUNTS, ignore_index=3, avg_non_ignore=True
    )
    kept = labels != 3
    whole = ClassBalancedCrossEntropy(counts=COUNTS)
    expected = whole(scores[kept], labels[kept])
    assert loss(scores, labels).item() == pytest.approx(expected.item())


def test_instances_are_counted_by_label(ann_file):
    loss = ClassBalancedCrossEntropy(ann_file, background_weight=0.7)
    loss.init_weights()
    expected = [*class_balanced_weights(COUNTS), 0.7]
    assert loss.class_weight == pytest.approx(expected)


def test_some_of_the_categories(ann_file):
    loss = ClassBalancedCrossEntropy(ann_file, classes=['c6', 'c9'])
    loss.init_weights()
    expected = [*class_balanced_weights([3, 20]), 1.0]
    assert loss.class_weight == pytest.approx(expected)
    loss = ClassBalancedCrossEntropy(ann_file, classes=['c5'])
    with pytest.raises(ValueError, match="no category 'c5'"):
        loss.init_weights()


def test_the_first_loss_counts_too(ann_file, samples):
    scores, labels, _ = samples
    found = ClassBalancedCrossEntropy(ann_file)(scores, labels)
    given = ClassBalancedCrossEntropy(counts=COUNTS)(scores, labels)
    assert found == given


def test_only_training_needs_the_file(tmp_path):
    path = str(tmp_path / 'none.json')
    loss = ClassBalancedCrossEntropy(path)
    assert path in repr(loss)
    assert loss.state_dict() == {}
    with pytest.raises(FileNotFoundError):
        loss.init_weights()


def test_another_number_of_classes(samples):
    scores, labels, _ = samples
    with pytest.raises(ValueError, match='knows 2 classes, but there are sco'):
        ClassBalancedCrossEntropy(counts=[1, 2])(scores, labels)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({}, 'either ann_file or counts'),
        (dict(ann_file='a', counts=[1]), 'either ann_file or counts'),
        (dict(counts=[1], background_weight=-1), 'background_weight must'),
        (dict(counts=[1], beta=1), 'beta must lie'),
        (dict(ann_file='a', clip=(2, 1)), 'clip must be'),
        (dict(counts=[-1]), 'not negative'),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ClassBalancedCrossEntropy(**arguments)


def box_head(**arguments):
    return MODELS.build(
        dict(
            type='mmdet.Shared2FCBBoxHead',
            in_channels=2,
            fc_out_channels=4,
            roi_feat_size=1,
            num_classes=3,
            loss_cls=dict(type='mmcp.ClassBalancedCrossEntropy', **arguments),
        )
    )


def test_in_a_box_head(ann_file, samples):
    """The head divides by the number of samples that have a weight."""
    scores, labels, weights = samples
    head = box_head(ann_file=ann_file, background_weight=0.5)
    head.init_weights()
    assert len(head.loss_cls.class_weight) == 4
    losses = head.loss(
        scores, None, torch.zeros(8, 5), labels, weights, None, None
    )
    value, _ = plain_loss(
        scores.detach().numpy(), labels.tolist(), weights.tolist(), 0.5, 7
    )
    assert losses['loss_cls'].item() == pytest.approx(value, rel=1e-6)
    assert losses['acc'].shape == (1,)


def test_in_the_heads_of_a_cascade_the_file_is_read_once(ann_file):
    heads = torch.nn.ModuleList(box_head(ann_file=ann_file) for _ in range(3))
    heads[0].init_weights()
    with open(ann_file, 'w') as file:
        file.write('not read again')
    for head in heads[1:]:
        head.init_weights()
    first, *others = [head.loss_cls.class_weight for head in heads]
    assert others == [first, first]
