import copy

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS
from mmengine.runner import load_state_dict
from tiny_detectors import config_of, make_batch
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmcp.checkpoints import MismatchError

ROI_HEADS = {
    'mask': 'mmcp.ClassifierRoIHead',
    'cascade-mask': 'mmcp.ClassifierCascadeRoIHead',
}
TRAINED = {
    'mask': [f'roi_head.bbox_head.fc_cls.{x}' for x in ('weight', 'bias')],
    'cascade-mask': [
        f'roi_head.bbox_head.{i}.fc_cls.{x}'
        for i in range(3)
        for x in ('weight', 'bias')
    ],
}
LOSSES = {
    'mask': {'loss_cls', 'acc'},
    'cascade-mask': {
        f's{i}.{x}' for i in range(3) for x in ('loss_cls', 'acc')
    },
}
each_detector = pytest.mark.parametrize('name', ['mask', 'cascade-mask'])


def build(config):
    torch.manual_seed(0)
    model = MODELS.build(config)
    # No two channels are alike, nor are mean and variance.
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


def stage_one(name):
    config = config_of(name)
    config.type = f'mmdet.{config.type}'
    return config


def stage_two(name, **changes):
    config = config_of(name)
    config.update(type='mmcp.ClassifierFineTuner', **changes)
    config.roi_head.type = ROI_HEADS[name]
    heads = config.roi_head.bbox_head
    for head in heads if isinstance(heads, list) else [heads]:
        head.loss_cls = dict(
            type='mmcp.ClassBalancedCrossEntropy', counts=[100, 10, 1]
        )
    return config


def train(model, steps=2):
    """Steps with momentum and weight decay, and prediction between them."""
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1
    )
    wrapper = OptimWrapper(optimizer)
    logs = []
    for step in range(steps):
        model.train()
        logs.append(model.train_step(make_batch(seed=step), wrapper))
        model.eval()
        model.test_step(make_batch())
    return logs


@each_detector
def test_exactly_the_last_layers_change(name):
    model = build(stage_two(name))
    before = copy.deepcopy(model.state_dict())
    train(model)
    after = model.state_dict()
    changed = [k for k in after if not torch.equal(after[k], before[k])]
    assert sorted(changed) == sorted(TRAINED[name])
    assert model.trained_names == TRAINED[name]
    assert any('running_mean' in key for key in before)


@each_detector
def test_the_first_stage_would_change_all_of_it(name):
    """The test above can fail: without freezing, statistics move too."""
    model = build(stage_one(name))
    before = copy.deepcopy(model.state_dict())
    train(model)
    after = model.state_dict()
    kept = [k for k in after if torch.equal(after[k], before[k])]
    assert not [key for key in kept if 'running' in key]


@each_detector
def test_only_the_classification_loss(name):
    model = build(stage_two(name)).train()
    data = model.data_preprocessor(make_batch(), True)
    losses = model.loss(data['inputs'], data['data_samples'])
    assert {*losses} == LOSSES[name]
    model.parse_losses(losses)[0].backward()
    with_gradient = [
        key for key, one in model.named_parameters() if one.grad is not None
    ]
    assert with_gradient == TRAINED[name]


@each_detector
def test_masks_are_predicted_but_not_computed_in_training(name):
    model = build(stage_two(name))
    calls = []
    heads = model.roi_head.mask_head
    for head in heads if isinstance(heads, nn.ModuleList) else [heads]:
        head.register_forward_hook(lambda *_: calls.append(1))
    model.train().loss(*unpack(model))
    assert not calls
    predictions = model.eval().predict(*unpack(model))
    assert calls
    assert 'masks' in predictions[0].pred_instances


def unpack(model):
    data = model.data_preprocessor(make_batch(), True)
    return data['inputs'], data['data_samples']


@each_detector
def test_loss_is_that_of_the_first_stage_with_frozen_statistics(name):
    """With the same loss, and all proposals used, so that none are drawn."""
    config = stage_one(name)
    stages = config.train_cfg.rcnn
    for stage in stages if isinstance(stages, list) else [stages]:
        stage.sampler.num = 10**5
    config.train_cfg.rpn.sampler.num = 10**6
    stock = build(config).eval()
    config = copy.deepcopy(config)
    config.type = 'mmcp.ClassifierFineTuner'
    config.roi_head.type = ROI_HEADS[name]
    ours = build(config).train()
    ours.load_state_dict(stock.state_dict())
    expected = stock.loss(*unpack(stock))
    found = ours.loss(*unpack(ours))
    for key in LOSSES[name]:
        torch.testing.assert_close(found[key], expected[key])
    assert {*expected} > LOSSES[name]


@each_detector
def test_checkpoints_of_both_stages_have_the_same_names(name):
    first, second = build(stage_one(name)), build(stage_two(name))
    second.load_state_dict(first.state_dict(), strict=True)
    images = unpack(first)
    for one in zip(
        first.eval().predict(*images),
        second.eval().predict(*unpack(second)),
        strict=True,
    ):
        scores = [x.pred_instances.scores for x in one]
        assert len(scores[0])
        torch.testing.assert_close(*scores)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda key, value: {f'student.{key}': value},
            r'missing in the file: backbone\.conv1\.weight',
        ),
        (
            lambda key, value: {} if 'fc_reg.bias' in key else {key: value},
            'detector: 1 missing in the file: roi_head.bbox_head.fc_reg.bias',
        ),
        (
            lambda key, value: {key: value[:2] if 'logits' in key else value},
            r'conv_logits.weight \(\(2, 8, 1, 1\) in the file, \(3, 8, 1, 1\)',
        ),
    ],
)
def test_a_start_that_leaves_frozen_layers_random_is_refused(change, message):
    """mmengine's loading warns of what does not fit, and trains."""
    held = {}
    for key, value in build(stage_one('mask')).state_dict().items():
        held.update(change(key, value))
    model = build(stage_two('mask'))
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(MismatchError, match=message):
        load_state_dict(model, held)
    after = model.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_what_is_trained_may_start_anew():
    first = build(stage_one('mask')).state_dict()
    held = {
        key: value
        for key, value in first.items()
        if key not in TRAINED['mask'] and 'num_batches' not in key
    }
    # As part of another module, too.
    model = nn.ModuleDict(dict(inner=build(stage_two('mask'))))
    load_state_dict(model, {f'inner.{key}': held[key] for key in held})
    after = model['inner'].state_dict()
    assert all(torch.equal(after[key], held[key]) for key in held)


def test_everything_frozen_is_in_evaluation_mode():
    model = build(stage_two('mask'))
    for mode in (True, False, True):
        model.train(mode)
        training = {
            key
            for key, one in model.named_modules()
            if key and one.training and one.state_dict()
        }
        expected = {'roi_head', 'roi_head.bbox_head'}
        expected |= {'roi_head.bbox_head.fc_cls'}
        assert training == (expected if mode else set())
        assert model.training == mode


@each_detector
def test_instances_are_counted_when_training_starts(name):
    """mmengine's runner calls ``init_weights`` then, and only then."""
    model = build(stage_two(name))
    losses = [one for one in model.modules() if hasattr(one, 'counts')]
    assert len(losses) == len(TRAINED[name]) / 2
    assert all(one.class_weight is None for one in losses)
    model.init_weights()
    assert all(len(one.class_weight) == 4 for one in losses)


def test_other_layers_by_name():
    model = build(stage_two('mask', trained=['*.fc_cls.*', '*.fc_reg.bias']))
    assert model.trained_names == [
        *TRAINED['mask'],
        'roi_head.bbox_head.fc_reg.bias',
    ]
    model.train()
    assert model.roi_head.bbox_head.fc_reg.training


def test_a_pattern_without_match():
    with pytest.raises(ValueError, match="'roi_head.fc_cls.*' matches none"):
        build(stage_two('mask', trained=['roi_head.fc_cls.*']))


def test_given_proposals_instead_of_an_rpn():
    config = stage_two('mask')
    del config.rpn_head
    model = build(config).train()
    inputs, samples = unpack(model)
    for sample in samples:
        sample.proposals = sample.gt_instances[:]
        del sample.proposals.masks
    losses = model.loss(inputs, samples)
    assert {*losses} == LOSSES['mask']


@pytest.fixture
def one_process():
    distributed.init_process_group(
        'gloo', store=distributed.HashStore(), rank=0, world_size=1
    )
    yield
    distributed.destroy_process_group()


def train_wrapped(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        model.train_step(make_batch(), OptimWrapper(optimizer))


@pytest.mark.usefixtures('one_process')
def test_every_trained_parameter_has_a_gradient_for_ddp_to_wait_for():
    model = build(stage_two('mask')).train()
    train_wrapped(MMDistributedDataParallel(model))


@pytest.mark.usefixtures('one_process')
def test_freezing_after_wrapping_would_stop_the_training():
    model = build(stage_two('mask', trained=['*.fc_cls.*', 'backbone.*']))
    model.train()
    wrapped = MMDistributedDataParallel(model)
    model.backbone.requires_grad_(False)
    with pytest.raises(RuntimeError, match='finished reduction'):
        train_wrapped(wrapped)
