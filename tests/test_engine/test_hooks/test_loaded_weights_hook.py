"""Tests of counting which of a model's weights a checkpoint has."""

import logging
from types import SimpleNamespace

import pytest
import torch
from checkpoint_layouts import (
    fcn_config,
    mmcp_cp2,
    moco_v2,
    random_resnet,
    resnet_config,
    under,
    vit,
    vit_config,
)
from checkpoint_models import encoder_decoder
from mmengine.runner.checkpoint import _load_checkpoint_to_model
from mmseg.models.segmentors import SegTTAModel

from mmcp.checkpoints import CheckpointError, sort_weights
from mmcp.checkpoints.export import export_meta, export_weights
from mmcp.engine.hooks import LoadedWeightsHook


def load(model, state, caplog):
    """What the hook logs of a file, and its level."""
    logger = logging.getLogger('weights')
    caplog.clear()
    with caplog.at_level(logging.INFO, logger='weights'):
        LoadedWeightsHook('x.pth').after_load_checkpoint(
            SimpleNamespace(model=model, logger=logger), dict(state_dict=state)
        )
    (record,) = caplog.records
    return record.levelname, record.message


@pytest.mark.parametrize('prefix', ['', 'module.'])
@pytest.mark.parametrize('wrap', [lambda m: m, SegTTAModel])
def test_all_of_it(wrap, prefix, caplog):
    state = under(prefix, encoder_decoder().state_dict())
    model = wrap(encoder_decoder())
    # A count that nothing depends on.
    del state[f'{prefix}backbone.bn1.num_batches_tracked']
    assert load(model, state, caplog) == (
        'INFO',
        'Tensors of the model that the checkpoint has: backbone 105 of 105, '
        'decode_head 7 of 7.',
    )
    # That is what mmengine loads.
    for value in state.values():
        value.fill_(3)
    _load_checkpoint_to_model(model, dict(state_dict=state))
    (first, *_) = model.state_dict().values()
    assert first.eq(3).all()


def test_an_init_cfg_that_was_not_applied_ends_the_training():
    ours = dict(type='mmcp.Pretrained', checkpoint='x.pth')
    model = encoder_decoder(resnet_config(init_cfg=ours))
    hook, runner = LoadedWeightsHook(), SimpleNamespace(model=model)
    with pytest.raises(CheckpointError, match=r'out of model\.backbone'):
        hook.before_train(runner)
    model.backbone.is_init = True
    hook.before_train(runner)


def test_some_of_it(caplog):
    state = under('backbone.', random_resnet())
    state['backbone.conv1.weight'] = torch.zeros(1)
    assert load(encoder_decoder(), state, caplog) == (
        'WARNING',
        'Tensors of the model that the checkpoint has: backbone 104 of 105, '
        'decode_head 0 of 7; the rest is left as it is. Of another shape in '
        'the file: backbone.conv1.weight.',
    )


def test_nothing_of_it(caplog):
    for state, title in (
        (moco_v2(random_resnet())['state_dict'], ' (MoCo v1 or v2'),
        (mmcp_cp2(random_resnet())['state_dict'], ' (training checkpoint of'),
        (random_resnet(), ' (a backbone alone'),
        (under('a.b.', random_resnet()), ': none of its 105 tensors'),
        ({}, ': none of its 0 tensors'),
    ):
        with pytest.raises(CheckpointError) as caught:
            load(encoder_decoder(), state, caplog)
        message = str(caught.value)
        assert message.startswith(f'x.pth{title}')
        assert 'nothing would be loaded' in message
        assert 'in the model: backbone.conv1.weight, ' in message
        assert 'model.init_cfg.type=mmcp.Pretrained' in message


@pytest.mark.parametrize('wrap', [lambda m: m, SegTTAModel])
def test_heads_that_a_converted_file_notes(wrap):
    weights = sort_weights(vit(), 'dino.pth')
    content = dict(
        meta=dict(mmcp=export_meta(weights)),
        state_dict=export_weights(weights),
    )
    head = fcn_config(in_channels=384, in_index=0)
    for heads in (6, 12):
        model = wrap(encoder_decoder(vit_config(heads), head))
        runner = SimpleNamespace(model=model, logger=logging.getLogger('x'))
        if heads == 6:
            LoadedWeightsHook('x').after_load_checkpoint(runner, content)
            continue
        with pytest.raises(CheckpointError) as caught:
            LoadedWeightsHook('x.pth').after_load_checkpoint(runner, content)
        message = str(caught.value)
        assert 'x.pth is a transformer with 6 attention heads' in message
        assert 'the model has 12' in message
        assert message.endswith('model.backbone.num_heads=6')


def test_sharded_models_are_left_alone(caplog):
    model = torch.nn.Module()
    model._fsdp_wrapped_module = torch.nn.Linear(2, 2)
    runner = SimpleNamespace(model=model, logger=None)
    LoadedWeightsHook().after_load_checkpoint(runner, random_resnet())
