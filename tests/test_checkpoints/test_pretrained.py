"""Tests of ``init_cfg`` of type ``mmcp.Pretrained``, in a runner."""

import shutil

import pytest
import torch
from checkpoint_layouts import (
    fcn_config,
    mmcp_cp2,
    moco_v2,
    random_resnet,
    resnet_config,
    vit,
    vit_config,
)
from checkpoint_models import encoder_decoder
from cp2_models import cp2, resnet
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger
from mmengine.model import BaseModule
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader, Runner
from mmseg.visualization import SegLocalVisualizer
from payload import write_hostile
from tiny import write_coco, write_detector, write_segmentor, write_semantic

from mmcp.checkpoints import (
    BrokenCheckpointError,
    CheckpointError,
    LayoutError,
    MismatchError,
    Pretrained,
    UnsafeCheckpointError,
    use_safe_reader,
)
from mmcp.checkpoints.pretrained import check_applied
from mmcp.registry import MODELS, WEIGHT_INITIALIZERS

PLAIN = dict(num_classes=3, norm_cfg=dict(type='BN'))


class Snapshot(Hook):
    """Keeps the weights that training starts with."""

    def before_train(self, runner):
        self.state = {
            name: value.clone()
            for name, value in runner.model.state_dict().items()
        }


@pytest.fixture(autouse=True)
def isolated(monkeypatch):
    """Names of runs and loaders of mmengine's, for one test."""
    schemes = dict(CheckpointLoader._schemes)
    monkeypatch.setattr(CheckpointLoader, '_schemes', schemes)
    for kind in (DefaultScope, MMLogger, MessageHub, SegLocalVisualizer):
        monkeypatch.setattr(
            kind, '_instance_dict', type(kind._instance_dict)()
        )


@pytest.fixture
def cp2_file(tmp_path):
    torch.save(mmcp_cp2(random_resnet()), tmp_path / 'cp2.pth')
    return str(tmp_path / 'cp2.pth')


def start(tmp_path, model):
    """Trains a segmentor for two steps; returns what it started with."""
    write_semantic(tmp_path / 'data')
    cfg = Config.fromfile(write_segmentor(tmp_path, tmp_path / 'data'))
    cfg.merge_from_dict(dict(model=model, work_dir=str(tmp_path / 'work')))
    snapshot = Snapshot()
    runner = Runner.from_cfg(cfg)
    runner.register_hook(snapshot)
    runner.train()
    log = next((tmp_path / 'work').rglob('*.log')).read_text()
    shutil.rmtree(tmp_path / 'work')
    return snapshot.state, log


def segmentor(**options):
    backbone = resnet_config(**options.pop('backbone', {}), _delete_=True)
    head = fcn_config(**PLAIN, _delete_=True)
    return dict(backbone=backbone, decode_head=head, **options)


def count_equal(state, prefix, expected):
    found = [
        torch.equal(state[f'{prefix}{name}'], value)
        for name, value in expected.items()
    ]
    return sum(found)


def test_at_the_segmentor_every_tensor_is_the_files(tmp_path, cp2_file):
    init = dict(
        type='mmcp.Pretrained', checkpoint=cp2_file, part='backbone+head'
    )
    state, log = start(tmp_path, segmentor(init_cfg=init))
    content = torch.load(cp2_file)['state_dict']
    start_of = 'encoder_q.'
    theirs = {
        name.removeprefix(start_of): value
        for name, value in content.items()
        if name.startswith((f'{start_of}backbone', f'{start_of}decode_head'))
    }
    assert count_equal(state, '', theirs) == len(theirs)
    fresh = set(state) - set(theirs)
    assert fresh == {
        'decode_head.conv_seg.weight',
        'decode_head.conv_seg.bias',
        'decode_head.convs.0.bn.num_batches_tracked',
    }
    # As the head's own init_cfg says.
    assert state['decode_head.conv_seg.bias'].eq(0).all()
    assert 0 < state['decode_head.conv_seg.weight'].std() < 0.03
    count = len(random_resnet())
    assert (
        f'Loaded backbone {count} of {count} tensors (100 %), head 5 of 5 '
        f'tensors (100 %) from {cp2_file}'
    ) in log


def test_at_the_segmentor_the_backbone_alone(tmp_path, cp2_file):
    init = dict(type='mmcp.Pretrained', checkpoint=cp2_file)
    state, log = start(tmp_path, segmentor(init_cfg=init))
    backbone = random_resnet()
    assert count_equal(state, 'backbone.', backbone) == len(backbone)
    content = torch.load(cp2_file)['state_dict']
    name = 'decode_head.convs.0.conv.weight'
    assert not torch.equal(state[name], content[f'encoder_q.{name}'])
    assert 'Loaded backbone' in log


def test_at_the_backbone(tmp_path):
    torch.save(moco_v2(random_resnet()), tmp_path / 'moco.pth')
    init = dict(type='mmcp.Pretrained', checkpoint=str(tmp_path / 'moco.pth'))
    model = segmentor(backbone=dict(init_cfg=init))
    state, _ = start(tmp_path, model)
    backbone = random_resnet()
    assert count_equal(state, 'backbone.', backbone) == len(backbone)
    assert 0 < state['decode_head.conv_seg.weight'].std() < 0.03


@pytest.mark.parametrize('level', ['backbone', 'model'])
def test_at_a_transformer(tmp_path, level):
    torch.save(vit(), tmp_path / 'dino.pth')
    init = dict(type='mmcp.Pretrained', checkpoint=str(tmp_path / 'dino.pth'))
    inner = dict(init_cfg=init) if level == 'backbone' else {}
    model = dict(
        backbone=vit_config(img_size=64, **inner, _delete_=True),
        decode_head=fcn_config(
            **PLAIN | dict(in_channels=384, in_index=0), _delete_=True
        ),
    )
    if level == 'model':
        model['init_cfg'] = init
    state, log = start(tmp_path, model)
    assert torch.equal(
        state['backbone.layers.0.attn.attn.in_proj_weight'],
        vit()['blocks.0.attn.qkv.weight'],
    )
    assert torch.equal(state['backbone.ln1.bias'], vit()['norm.bias'])
    assert 'Position embedding resized from 3x3 to 16x16.' in log


@pytest.mark.parametrize('level', ['backbone', 'detector'])
def test_in_a_detector(tmp_path, level, cp2_file):
    """Through the runner's own way to initialise, without a step."""
    write_coco(tmp_path / 'coco')
    cfg = Config.fromfile(write_detector(tmp_path, tmp_path / 'coco'))
    init = dict(type='mmcp.Pretrained', checkpoint=cp2_file)
    change = dict(backbone=dict(base_channels=4), init_cfg=init)
    if level == 'backbone':
        change = dict(backbone=dict(base_channels=4, init_cfg=init))
    change['neck'] = dict(in_channels=[4, 8, 16, 32])
    cfg.merge_from_dict(dict(model=change))
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
        model.init_weights()
    backbone = random_resnet()
    state = model.state_dict()
    assert count_equal(state, 'backbone.', backbone) == len(backbone)
    # The rest is initialised as usual: Xavier's bias is 0.
    assert state['neck.lateral_convs.0.conv.bias'].eq(0).all()


def test_a_detector_has_no_head_of_cp2(tmp_path, cp2_file):
    write_coco(tmp_path / 'coco')
    cfg = Config.fromfile(write_detector(tmp_path, tmp_path / 'coco'))
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    with pytest.raises(MismatchError, match='MaskRCNN has no head to load'):
        Pretrained(cp2_file, 'backbone+head')(model)


def test_quick_tuning_fills_both_encoders(tmp_path):
    torch.save(moco_v2(random_resnet()), tmp_path / 'moco.pth')
    init = dict(type='mmcp.Pretrained', checkpoint=str(tmp_path / 'moco.pth'))
    model = cp2(backbone=resnet(stem_channels=8, init_cfg=init))
    state = model.state_dict()
    backbone = random_resnet()
    for side in ('encoder_q', 'encoder_k'):
        prefix = f'{side}.backbone.'
        assert count_equal(state, prefix, backbone) == len(backbone)


def test_a_pretraining_goes_on_from_all_parts(cp2_file):
    init = dict(
        type='mmcp.Pretrained',
        checkpoint=cp2_file,
        part='backbone+head+projector',
    )
    model = cp2(backbone=resnet(stem_channels=8), init_cfg=init)
    state = model.state_dict()
    content = torch.load(cp2_file)['state_dict']
    theirs = {k: v for k, v in content.items() if k.startswith('encoder_q.')}
    assert count_equal(state, '', theirs) == len(theirs)


def initialise(path, backbone=None, **options):
    init = dict(type='mmcp.Pretrained', checkpoint=str(path), **options)
    config = (backbone or resnet_config()) | dict(init_cfg=init)
    model = MODELS.build(config)
    model.init_weights()
    return model


@pytest.mark.parametrize('safe', [False, True])
def test_a_payload_does_not_run(tmp_path, safe):
    """Whether or not the tools' reader is installed."""
    if safe:
        use_safe_reader()
    marker = tmp_path / 'marker'
    path = write_hostile(
        tmp_path / 'bad.pth', marker, state_dict=random_resnet()
    )
    with pytest.raises(UnsafeCheckpointError, match='was not opened'):
        initialise(path)
    assert not marker.exists()
    initialise(path, trust=True)
    assert marker.is_dir()
    marker.rmdir()
    use_safe_reader(trust=True)
    initialise(path)
    assert marker.is_dir()
    with pytest.raises(UnsafeCheckpointError):
        initialise(path, trust=False)


def test_each_mistake_has_an_error_of_its_own(tmp_path):
    good = tmp_path / 'moco.pth'
    torch.save(moco_v2(random_resnet()), good)
    cut = tmp_path / 'cut.pth'
    cut.write_bytes(good.read_bytes()[:5000])
    torch.save(vit(), tmp_path / 'vit.pth')
    unknown = tmp_path / 'unknown.pth'
    torch.save({f'a.b.{k}': v for k, v in random_resnet().items()}, unknown)
    deep = resnet_config(type='mmseg.ResNetV1c')
    cases = [
        (good, deep, {}, MismatchError, 'DenseCL issue 3'),
        (
            good,
            None,
            dict(prefix='backbone.'),
            LayoutError,
            "with 'backbone.'",
        ),
        (unknown, None, {}, LayoutError, r"prefix='a\.b\.'"),
        (tmp_path / 'vit.pth', vit_config(12), {}, MismatchError, '6 attent'),
        (cut, None, {}, BrokenCheckpointError, 'cut short'),
        (tmp_path / 'no.pth', None, {}, FileNotFoundError, 'does not exist'),
    ]
    for path, backbone, options, error, text in cases:
        with pytest.raises(error, match=text):
            initialise(path, backbone, **options)
    assert initialise(unknown, prefix='a.b.')
    assert initialise(tmp_path / 'vit.pth', vit_config(12), num_heads=12)
    for error in (MismatchError, LayoutError):
        assert issubclass(error, CheckpointError)


def test_unknown_part_is_told_when_the_model_is_initialised(cp2_file):
    with pytest.raises(ValueError, match="part must be 'backbone'"):
        initialise(cp2_file, part='throat')


def test_items_that_would_overwrite_are_refused(cp2_file):
    ours = dict(type='mmcp.Pretrained', checkpoint=cp2_file)
    kaiming = dict(type='Kaiming', layer='Conv2d')
    model = MODELS.build(resnet_config(init_cfg=[ours, kaiming]))
    with pytest.raises(
        CheckpointError, match='Kaiming follows mmcp.Pretrained'
    ):
        model.init_weights()

    model = MODELS.build(resnet_config(init_cfg=[kaiming, ours]))
    model.init_weights()
    backbone = random_resnet()
    found = count_equal(model.state_dict(), '', backbone)
    assert found == len(backbone)


SELFISH = {
    'SwinTransformer': dict(
        type='mmseg.SwinTransformer',
        embed_dims=4,
        depths=(1, 1, 1, 1),
        num_heads=(1, 1, 1, 1),
    ),
    'PyramidVisionTransformer': dict(
        type='mmdet.PyramidVisionTransformer',
        embed_dims=4,
        num_layers=[1, 1, 1, 1],
    ),
}


@pytest.mark.parametrize('name', SELFISH)
def test_parts_that_read_their_init_cfg_themselves(tmp_path, name):
    torch.save(random_resnet(), tmp_path / 'r50.pth')
    ours = dict(type='mmcp.Pretrained', checkpoint=str(tmp_path / 'r50.pth'))
    config = Config(dict(b=dict(SELFISH[name], init_cfg=ours))).b
    model = encoder_decoder(config, fcn_config(**PLAIN))
    model.init_weights()
    with pytest.raises(CheckpointError) as caught:
        check_applied(model)
    message = str(caught.value)
    assert message.startswith(f'{name} reads its init_cfg itself')
    assert 'Take init_cfg out of model.backbone' in message

    config.init_cfg = [dict(type=Pretrained, checkpoint='x')]
    with pytest.raises(CheckpointError, match='reads its init_cfg itself'):
        check_applied(encoder_decoder(config, fcn_config(**PLAIN)))
    # Somebody else's weights are not our business.
    for other in (None, dict(type='Pretrained', checkpoint='x')):
        config.init_cfg = other
        check_applied(encoder_decoder(config, fcn_config(**PLAIN)))


def test_what_was_loaded_is_not_refused(cp2_file):
    ours = dict(type='mmcp.Pretrained', checkpoint=cp2_file)
    for model in (
        encoder_decoder(resnet_config(init_cfg=ours)),
        encoder_decoder(resnet_config(init_cfg=[ours])),
        cp2(
            backbone=resnet_config(init_cfg=ours),
            decode_head=fcn_config(norm_cfg=dict(type='BN')),
        ),
    ):
        model.init_weights()
        check_applied(model)


def test_it_is_registered():
    assert WEIGHT_INITIALIZERS.get('Pretrained') is Pretrained
    assert WEIGHT_INITIALIZERS.get('mmcp.Pretrained') is Pretrained


def test_addresses_are_read_safely(tmp_path, monkeypatch):
    """Also where mmengine's own loaders are still installed."""
    marker = tmp_path / 'marker'

    def download(url, target, **_):
        write_hostile(tmp_path / 'bad.pth', marker)
        shutil.copy(tmp_path / 'bad.pth', target)

    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    with pytest.raises(UnsafeCheckpointError):
        initialise('https://models.invalid/bad.pth')
    assert not marker.exists()


def test_a_module_that_is_called_directly(cp2_file):
    class Holder(BaseModule):
        def __init__(self):
            super().__init__()
            self.backbone = MODELS.build(resnet_config())

    holder = Holder()
    Pretrained(cp2_file)(holder)
    backbone = random_resnet()
    state = holder.state_dict()
    assert count_equal(state, 'backbone.', backbone) == len(backbone)
    holder.init_weights()
    state = holder.state_dict()
    assert count_equal(state, 'backbone.', backbone) == len(backbone)
