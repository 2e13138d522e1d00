"""Tests of the names of backbones."""

from checkpoint_layouts import random_resnet, vit

from mmcp.checkpoints.backbone_names import (
    is_tail,
    is_transformer,
    translate,
)


def test_names_of_a_resnet_stay():
    names = random_resnet().keys()
    assert translate(names) == {name: name for name in names}
    assert not is_transformer(names)


def test_names_of_layers_with_two_digits():
    names = ['patch_embed.proj.weight', 'blocks.11.mlp.fc2.bias']
    new = translate(names)
    assert new['blocks.11.mlp.fc2.bias'] == 'layers.11.ffn.layers.1.bias'


def test_no_two_names_become_one():
    names = vit().keys()
    new = translate(names)
    assert len(set(new.values())) == len(names)
    assert is_transformer(new.values())


def test_what_timm_does_not_have_stays():
    names = ['patch_embed.proj.weight', 'blocks.0.ls1.gamma']
    assert translate(names)['blocks.0.ls1.gamma'] == 'blocks.0.ls1.gamma'


def test_tails():
    assert is_tail('fc.0.weight')
    assert is_tail('head.weight')
    # Of timm's and MAE's transformers with pooled features, and of iBOT's.
    assert is_tail('fc_norm.bias')
    assert is_tail('mask_token')
    assert not is_tail('norm.bias')
    assert not is_tail('layer1.0.fc.weight')
