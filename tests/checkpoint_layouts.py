"""Small checkpoints in the layout of every project that is read.

Names are written out here as those projects write them, and do not come from
the code under test.
"""

from argparse import Namespace
from collections import OrderedDict

import torch
from vit_samples import random_transformer


def random_resnet(seed=0, blocks=(2, 2, 2, 2), stem=8, base=4):
    """A ResNet of basic blocks by torchvision's names."""
    generator = torch.Generator().manual_seed(seed)
    state = OrderedDict()

    def convolution(name, channels, inputs, size):
        shape = (channels, inputs, size, size)
        scale = (2 / (inputs * size * size)) ** 0.5
        state[f'{name}.weight'] = scale * torch.randn(
            shape, generator=generator
        )

    def norm(name, channels):
        for key in ('weight', 'bias', 'running_mean', 'running_var'):
            values = torch.rand(channels, generator=generator)
            state[f'{name}.{key}'] = values + (0.5 if key != 'bias' else 0)
        state[f'{name}.num_batches_tracked'] = torch.tensor(7)

    convolution('conv1', stem, 3, 7)
    norm('bn1', stem)
    inputs = stem
    for stage, count in enumerate(blocks):
        channels = base * 2**stage
        for block in range(count):
            prefix = f'layer{stage + 1}.{block}'
            convolution(f'{prefix}.conv1', channels, inputs, 3)
            norm(f'{prefix}.bn1', channels)
            convolution(f'{prefix}.conv2', channels, channels, 3)
            norm(f'{prefix}.bn2', channels)
            if inputs != channels or (stage and block == 0):
                convolution(f'{prefix}.downsample.0', channels, inputs, 1)
                norm(f'{prefix}.downsample.1', channels)
            inputs = channels
    return state


def resnet_config(**options):
    """MMSegmentation's counterpart of ``random_resnet``."""
    return (
        dict(
            type='mmseg.ResNet',
            depth=18,
            stem_channels=8,
            base_channels=4,
            norm_cfg=dict(type='BN'),
        )
        | options
    )


def vit(dims=384, seed=0, sine=False, norm=True):
    """A transformer by timm's names; ``sine`` for MoCo v3's positions."""
    weights = random_transformer(
        dims=dims, layers=1, hidden=dims, seed=seed, scale=0.05
    )
    if sine:
        weights['pos_embed'] = sine_positions(dims, 3)
    if not norm:
        del weights['norm.weight'], weights['norm.bias']
    return weights


def sine_positions(dims, side):
    """MoCo v3's positions, one number at a time."""
    table = torch.zeros(1, 1 + side * side, dims)
    quarter = dims // 4
    for row in range(side):
        for column in range(side):
            for k in range(quarter):
                rate = 10000 ** (-k / quarter)
                values = table[0, 1 + row * side + column]
                angles = torch.tensor([row * rate, column * rate])
                values[k], values[quarter + k] = (
                    angles[0].sin(),
                    angles[0].cos(),
                )
                values[2 * quarter + k], values[3 * quarter + k] = (
                    angles[1].sin(),
                    angles[1].cos(),
                )
    return table


def vit_config(num_heads=6, **options):
    """MMSegmentation's counterpart of ``vit()``."""
    return (
        dict(
            type='mmseg.VisionTransformer',
            img_size=12,
            patch_size=4,
            embed_dims=384,
            num_layers=1,
            num_heads=num_heads,
            mlp_ratio=1,
            norm_cfg=dict(type='LN', eps=1e-6),
            patch_bias=True,
            final_norm=True,
        )
        | options
    )


def fcn_head(inputs=32, channels=8, seed=1):
    """An FCN head of one convolution by MMSegmentation's names."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.rand(shape, generator=generator)

    head = {'convs.0.conv.weight': draw(channels, inputs, 3, 3)}
    for key in ('weight', 'bias', 'running_mean', 'running_var'):
        head[f'convs.0.bn.{key}'] = draw(channels)
    return head


def fcn_config(**options):
    return (
        dict(
            type='FCNHead',
            in_channels=32,
            in_index=3,
            channels=8,
            num_convs=1,
            concat_input=False,
            num_classes=5,
            norm_cfg=dict(type='BN'),
        )
        | options
    )


def mlp(first, second, inputs=32, outputs=8):
    """Two fully connected layers, as projectors have them."""
    generator = torch.Generator().manual_seed(2)
    return {
        f'{first}.weight': torch.randn(inputs, inputs, generator=generator),
        f'{first}.bias': torch.randn(inputs, generator=generator),
        f'{second}.weight': torch.randn(outputs, inputs, generator=generator),
        f'{second}.bias': torch.randn(outputs, generator=generator),
    }


def under(prefix, weights):
    return {f'{prefix}{name}': value for name, value in weights.items()}


def other(weights):
    """The same names and shapes with other values."""
    return {name: value + 1 for name, value in weights.items()}


QUEUE = {'queue': torch.zeros(8, 4), 'queue_ptr': torch.zeros(1).long()}


def moco_v1(backbone):
    fc = {'fc.weight': torch.ones(8, 32), 'fc.bias': torch.ones(8)}
    state = under('module.encoder_q.', backbone | fc)
    state |= under('module.encoder_k.', other(backbone | fc))
    return dict(
        epoch=200,
        arch='resnet50',
        state_dict=state | under('module.', QUEUE),
        optimizer=dict(state={}, param_groups=[]),
    )


def moco_v2(backbone):
    content = moco_v1(backbone)
    state = content['state_dict']
    for side in ('encoder_q', 'encoder_k'):
        del state[f'module.{side}.fc.weight'], state[f'module.{side}.fc.bias']
        state |= under(f'module.{side}.', mlp('fc.0', 'fc.2'))
    return content


def moco_v2_plain(backbone):
    content = moco_v2(backbone)
    state = content['state_dict']
    content['state_dict'] = {
        name.removeprefix('module.'): value for name, value in state.items()
    }
    return content


def torchvision(backbone):
    fc = {'fc.weight': torch.ones(1000, 32), 'fc.bias': torch.ones(1000)}
    return OrderedDict(backbone) | fc


def simclr(backbone):
    return dict(state_dict=torchvision(backbone))


def byol(backbone):
    tracked = 'num_batches_tracked'
    return {k: v for k, v in torchvision(backbone).items() if tracked not in k}


def mmpretrain_moco(backbone):
    state = under('backbone.', backbone) | mlp('neck.mlp.0', 'neck.mlp.2')
    state |= under('encoder_k.module.0.', other(backbone))
    state |= under('encoder_k.module.1.', other(mlp('mlp.0', 'mlp.2')))
    state['encoder_k.steps'] = torch.tensor(3)
    return dict(meta=dict(epoch=200), state_dict=state | QUEUE)


def mmpretrain_densecl(backbone):
    content = mmpretrain_moco(backbone)
    content['state_dict'] |= under('neck.', mlp('mlp2.0', 'mlp2.2'))
    content['state_dict']['queue2'] = torch.zeros(8, 4)
    return content


def mmpretrain_byol(backbone):
    state = under('backbone.', backbone) | mlp('neck.fc0', 'neck.fc1')
    state |= under('target_net.module.0.', other(backbone))
    state |= mlp('head.predictor.fc0', 'head.predictor.fc1')
    return dict(meta={}, state_dict=state)


def mmpretrain_simclr(backbone):
    state = under('backbone.', backbone) | mlp('neck.fc0', 'neck.fc1')
    return dict(meta={}, state_dict=state)


def openselfsup_moco(backbone):
    state = under('encoder_q.0.', backbone) | mlp(
        'encoder_q.1.mlp.0', 'encoder_q.1.mlp.2'
    )
    state |= under('encoder_k.0.', other(backbone))
    return dict(meta={}, state_dict=state | QUEUE)


def openselfsup_densecl(backbone):
    """Holds the backbone twice, as in a training of DenseCL."""
    content = openselfsup_moco(backbone)
    content['state_dict'] |= under('backbone.', backbone)
    return content


def openselfsup_byol(backbone):
    state = under('online_net.0.', backbone)
    state |= under('target_net.0.', other(backbone))
    return dict(meta={}, state_dict=state)


def densecl(backbone):
    return dict(state_dict=OrderedDict(backbone), author='DenseCL')


def pixpro(backbone):
    state = under('module.encoder.', backbone)
    state |= under('module.encoder_k.', other(backbone))
    state |= mlp('module.projector.linear1', 'module.projector.linear2')
    state |= mlp('module.projector_k.linear1', 'module.projector_k.linear2')
    state |= mlp('module.value_transform.a', 'module.value_transform.b')
    return dict(opt=Namespace(arch='resnet50'), model=state, epoch=400)


def infomin(backbone):
    state = under('module.encoder.', backbone)
    state |= mlp('module.head.0', 'module.head.2')
    state |= mlp('module.head_jig.fc1.0', 'module.head_jig.fc1.2')
    return dict(
        opt=Namespace(method='InfoMin'),
        model=state,
        model_ema=under('encoder.', other(backbone)),
        contrast=dict(memory=torch.zeros(4, 8)),
    )


def insloc_fpn(backbone):
    state = under('backbone.', backbone)
    state |= under('backbone_k.', other(backbone))
    for side in ('neck', 'neck_k'):
        state[f'{side}.lateral_convs.0.conv.weight'] = torch.ones(4, 4, 1, 1)
    for side in ('roi_head', 'roi_head_k'):
        state |= mlp(f'{side}.bbox_head.a', f'{side}.bbox_head.b')
    state['queues'] = torch.zeros(4, 8, 4)
    return dict(meta={}, state_dict=state | QUEUE)


def insloc_c4(backbone):
    """Its fourth stage is part of the RoI head."""
    content = insloc_fpn(backbone)
    state = content['state_dict']
    for side in ('', '_k'):
        for name in [n for n in state if n.startswith(f'backbone{side}.la')]:
            inner = name.split('.', 1)[1]
            if inner.startswith('layer4.'):
                value = state.pop(name)
                state[f'roi_head{side}.shared_head.{inner}'] = value
    return content


def cp2_training(backbone):
    state = {}
    for side, change in (('encoder_q', dict), ('encoder_k', other)):
        prefix = f'module.{side}.'
        state |= under(f'{prefix}backbone.', change(backbone))
        state |= under(f'{prefix}decode_head.', change(fcn_head()))
        convs = mlp('contrast_conv.0', 'contrast_conv.2', 8)
        convs = {
            name: v[..., None, None] if v.ndim == 2 else v
            for name, v in convs.items()
        }
        state |= under(f'{prefix}decode_head.', change(convs))
        conv_seg = {
            'conv_seg.weight': torch.ones(21, 8, 1, 1),
            'conv_seg.bias': torch.ones(21),
        }
        state |= under(f'{prefix}decode_head.', conv_seg)
    return dict(
        epoch=20,
        state_dict=state | under('module.', QUEUE),
        optimizer=dict(state={}, param_groups=[]),
    )


def cp2_released(backbone):
    start = 'module.encoder_q.'
    flat = {}
    for name, value in cp2_training(backbone)['state_dict'].items():
        if name.startswith(start):
            inner = name.removeprefix(start).split('.', 1)[1]
            flat[inner] = value
    return dict(state_dict=flat)


def mmcp_cp2(backbone, projector='encoder_q.projector.'):
    state = under('encoder_q.backbone.', backbone)
    state |= under('encoder_q.decode_head.', fcn_head())
    convs = {
        name: v[..., None, None] if v.ndim == 2 else v
        for name, v in mlp('hidden', 'output', 8).items()
    }
    state |= under(projector, convs)
    for name in list(state):
        state[name.replace('encoder_q', 'encoder_k')] = state[name] + 1
    state |= {
        'queue.keys': torch.zeros(8, 4),
        'queue.pointer': torch.tensor(0),
        'queue.filled': torch.tensor(4),
        'step': torch.tensor(4),
    }
    return dict(meta=dict(epoch=1), state_dict=state, optimizer={})


def mmcp_moco(backbone):
    content = mmcp_cp2(backbone)
    content['state_dict'] = {
        name: value
        for name, value in content['state_dict'].items()
        if 'decode_head' not in name
    }
    return content


def wrapped(builder, prefix):
    """The same file from a model that something wraps."""

    def build(backbone):
        content = builder(backbone)
        content['state_dict'] = under(prefix, content['state_dict'])
        return content

    return build


def compiled_inside(backbone):
    content = mmcp_cp2(backbone)
    content['state_dict'] = {
        name.replace('encoder_q.backbone.', 'encoder_q.backbone._orig_mod.'): v
        for name, v in content['state_dict'].items()
    }
    return content


def segmentor(backbone):
    state = under('backbone.', backbone)
    state |= under('decode_head.', fcn_head())
    state['decode_head.conv_seg.weight'] = torch.ones(21, 8, 1, 1)
    state['decode_head.conv_seg.bias'] = torch.ones(21)
    state['auxiliary_head.conv_seg.bias'] = torch.ones(21)
    return dict(meta={}, state_dict=state)


def dino_backbone(backbone):
    return OrderedDict(backbone)


def dino_full(backbone):
    heads = mlp('head.mlp.0', 'head.last_layer')
    teacher = under('backbone.', backbone) | heads
    student = under('module.backbone.', other(backbone))
    return dict(
        student=student | under('module.', other(heads)),
        teacher=teacher,
        optimizer=dict(state={}, param_groups=[]),
        args=Namespace(arch='vit_small'),
        epoch=300,
    )


def moco_v3(backbone):
    state = under('module.base_encoder.', backbone)
    state |= mlp('module.base_encoder.head.0', 'module.base_encoder.head.3')
    state |= under('module.momentum_encoder.', other(backbone))
    state |= mlp('module.predictor.0', 'module.predictor.3')
    return dict(epoch=300, arch='vit_small', state_dict=state)


def deit(backbone):
    """What MoCo v3's own converter writes."""
    return dict(model=OrderedDict(backbone))


# Row: what makes the file, the layout it is to be taken for, whether there
# are a head and a projector in it.
RESNET_ROWS = {
    'moco-v1': (moco_v1, 'moco', False, False),
    'moco-v2': (moco_v2, 'moco', False, True),
    'moco-v2-plain': (moco_v2_plain, 'moco', False, True),
    'torchvision': (torchvision, 'backbone', False, False),
    'simclr': (simclr, 'backbone', False, False),
    'byol': (byol, 'backbone', False, False),
    'densecl': (densecl, 'backbone', False, False),
    'mmpretrain-moco': (mmpretrain_moco, 'mmselfsup-moco', False, True),
    'mmpretrain-densecl': (mmpretrain_densecl, 'mmselfsup-moco', False, True),
    'mmpretrain-byol': (mmpretrain_byol, 'mmselfsup-byol', False, False),
    'mmpretrain-simclr': (mmpretrain_simclr, 'openmmlab', False, False),
    'openselfsup-moco': (openselfsup_moco, 'openselfsup-moco', False, True),
    'openselfsup-densecl': (
        openselfsup_densecl,
        'mmselfsup-moco',
        False,
        False,
    ),
    'openselfsup-byol': (openselfsup_byol, 'openselfsup-byol', False, False),
    'pixpro': (pixpro, 'pixpro', False, False),
    'infomin': (infomin, 'pycontrast', False, False),
    'insloc-fpn': (insloc_fpn, 'insloc', False, False),
    'insloc-c4': (insloc_c4, 'insloc', False, False),
    'cp2-training': (cp2_training, 'cp2-official', True, True),
    'cp2-released': (cp2_released, 'cp2-released', True, True),
    'mmcp-cp2': (mmcp_cp2, 'mmcp-cp2', True, True),
    'mmcp-cp2-ddp': (wrapped(mmcp_cp2, 'module.'), 'mmcp-cp2', True, True),
    'mmcp-cp2-compiled': (
        wrapped(mmcp_cp2, '_orig_mod.module.'),
        'mmcp-cp2',
        True,
        True,
    ),
    'mmcp-cp2-compiled-inside': (compiled_inside, 'mmcp-cp2', True, True),
    'mmcp-moco': (mmcp_moco, 'mmcp-moco', False, True),
    'segmentor': (segmentor, 'openmmlab', True, False),
    'dino-r50': (dino_full, 'openmmlab', False, False),
    'moco-v3-r50': (moco_v3, 'moco-v3', False, False),
}
# Row: what makes the file, the layout, MoCo v3's positions, heads.
VIT_ROWS = {
    'dino': (dino_backbone, 'backbone', False, 6),
    'dino-full': (dino_full, 'openmmlab', False, 6),
    'moco-v3': (moco_v3, 'moco-v3', True, 12),
    'moco-v3-as-deit': (deit, 'backbone', True, 12),
    'cp2-vit-training': (cp2_training, 'cp2-official', False, 6),
    'cp2-vit-released': (cp2_released, 'cp2-released', False, 6),
}
