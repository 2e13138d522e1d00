"""Tests that only what fits its config's model is published."""

import pytest
import torch
from checkpoint_layouts import fcn_config, mmcp_cp2, random_resnet
from checkpoint_layouts import resnet_config as resnet
from mmengine.config import Config
from publishing.contents import choose_contents
from publishing.fitting import is_harmless, require_fit

from mmcp.engine.config import UsageError

MODEL = dict(
    type='mmcp.CP2',
    backbone=resnet(),
    decode_head=fcn_config(),
    projector=dict(out_channels=8),
    queue_len=8,
)


def config(**changes):
    return Config(dict(model=MODEL | changes, default_scope='mmseg'))


def state(keep=lambda name: True):
    content = mmcp_cp2(random_resnet())
    content['state_dict'] = {
        name: value
        for name, value in content['state_dict'].items()
        if keep(name)
    }
    return choose_contents(content, 'x').state


def refusal(weights, whole):
    with pytest.raises(UsageError, match='nothing was published') as error:
        require_fit(weights, whole, 'a.py')
    first, *problems, cause = str(error.value).split('\n  ')
    assert first.startswith('the checkpoint does not fit the model of a.py')
    return problems, cause


def test_what_training_strips_is_not_missed(capsys):
    require_fit(state(), config(), 'a.py')
    wrapped = {f'module.{name}': value for name, value in state().items()}
    require_fit(wrapped, config(), 'a.py')
    assert 'COMPARED' not in capsys.readouterr().err


def test_another_depth_is_refused():
    problems, cause = refusal(state(), config(backbone=resnet(depth=34)))
    (problem,) = problems
    assert problem.startswith('backbone: 80 missing in the file: layer1.2.con')
    assert cause == (
        "likely cause: the file's is of 2, 2, 2, 2 basic blocks (ResNet-18), "
        "the model's of 3, 4, 6, 3 basic blocks (ResNet-34)"
    )


def test_another_width_is_refused():
    problems, _ = refusal(state(), config(decode_head=fcn_config(channels=16)))
    assert problems[0].startswith(
        'head: 5 of another shape: convs.0.conv.weight ((8, 32, 3, 3) in the '
        'file, (16, 32, 3, 3) in the model)'
    )


@pytest.mark.parametrize(
    ('lost', 'problem', 'likely'),
    [
        (
            'backbone.layer4',
            'backbone: 25 missing in the file: layer4.0',
            'the file is incomplete: 25 of the 121',
        ),
        (
            'convs.0.bn',
            'head: 4 missing in the file: convs.0.bn.weight',
            'the file is incomplete: 4 of the 5',
        ),
        (
            'decode_head',
            'head: 5 missing in the file: convs.0.conv.weight',
            'tensors were taken out',
        ),
    ],
)
def test_half_a_model_is_refused(lost, problem, likely):
    problems, cause = refusal(state(lambda name: lost not in name), config())
    assert problems[0].startswith(problem)
    assert likely in cause


def test_stages_that_the_model_lacks_are_refused():
    three = resnet(
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(0, 1, 2),
    )
    head = fcn_config()
    problems, _ = refusal(state(), config(backbone=three, decode_head=head))
    assert problems[0].startswith('backbone: 30 not in the model: layer4.0')


def test_a_class_that_is_not_here_is_told(capsys):
    for name in ('NoSuchNet', 'no_such_package.Net'):
        require_fit(state(), config(backbone=dict(type=name)), 'a.py')
        said = capsys.readouterr().err
        assert said.startswith('NOT COMPARED with the model of a.py')
        assert name in said


def test_a_config_that_cannot_be_built_is_refused():
    with pytest.raises(UsageError, match=r'a\.py, which cannot.*depth 17'):
        require_fit(state(), config(backbone=resnet(depth=17)), 'a.py')


def test_types_that_lead_out_of_registries_are_not_harmless():
    assert is_harmless(dict(model=MODEL, default_scope='mmseg'))
    for kind in ('os.system', 'mmengine.load', 'torch.nn.Linear', print):
        assert not is_harmless(dict(model=dict(inner=[dict(type=kind)])))
    assert not is_harmless(dict(model=dict(_scope_='private')))
    assert not is_harmless(dict(default_scope='private'))


def test_models_beside_pretraining_are_compared_whole():
    segmentor = dict(
        type='mmseg.EncoderDecoder',
        backbone=resnet(),
        decode_head=fcn_config(),
    )
    whole = Config(dict(model=segmentor, default_scope='mmseg'))
    problems, _ = refusal(state(), whole)
    (problem,) = problems
    assert problem == (
        'head: 2 missing in the file: conv_seg.weight, conv_seg.bias'
    )
    extra = torch.zeros(1)
    complete = state() | {
        'decode_head.conv_seg.weight': torch.zeros(5, 8, 1, 1),
        'decode_head.conv_seg.bias': torch.zeros(5),
    }
    require_fit(complete, whole, 'a.py')
    problems, _ = refusal(complete | {'auxiliary_head.x': extra}, whole)
    assert problems == ['auxiliary_head: 1 not in the model: x']
