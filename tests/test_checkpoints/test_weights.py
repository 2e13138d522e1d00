"""Tests of reading weights from every known layout."""

import pytest
import torch
from checkpoint_layouts import (
    RESNET_ROWS,
    VIT_ROWS,
    fcn_head,
    mlp,
    moco_v2,
    random_resnet,
    resnet_config,
    sine_positions,
    under,
    vit,
    vit_config,
)
from payload import write_hostile

from mmcp.checkpoints import (
    BrokenCheckpointError,
    LayoutError,
    UnsafeCheckpointError,
    load_weights,
    read_weights,
    sort_weights,
)
from mmcp.registry import MODELS

TRACKED = 'num_batches_tracked'
CASES = [pytest.param(*row, id=name) for name, row in RESNET_ROWS.items()]
VIT_CASES = [pytest.param(*row, id=name) for name, row in VIT_ROWS.items()]


def same(found, expected):
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def through_file(tmp_path, content):
    torch.save(content, tmp_path / 'weights.pth')
    return read_weights(tmp_path / 'weights.pth')


@pytest.mark.parametrize(('build', 'layout', 'head', 'projector'), CASES)
def test_convolutional_rows(tmp_path, build, layout, head, projector):
    backbone = random_resnet()
    weights = through_file(tmp_path, build(backbone))

    assert weights.layout.name == layout
    expected = {k: v for k, v in backbone.items() if k in weights.backbone}
    same(weights.backbone, expected)
    lacking = set(backbone) - set(expected)
    assert all(name.endswith(TRACKED) for name in lacking)
    same(weights.head, fcn_head() if head else {})
    # The projector of CP2 stands on the head, that of MoCo on the backbone.
    # Our MoCo's is made with as few channels as our CP2's.
    inputs = 8 if 'mmcp' in layout or 'cp2' in layout else 32
    layers = mlp('hidden', 'output', inputs)
    layers = {
        name: value[..., None, None] if value.ndim == 2 else value
        for name, value in layers.items()
    }
    same(weights.projector, layers if projector else {})
    assert weights.num_heads is None


@pytest.mark.parametrize(('build', 'layout', 'head', 'projector'), CASES)
def test_convolutional_rows_compute_the_same(
    tmp_path, build, layout, head, projector
):
    backbone = random_resnet(seed=3)
    source = MODELS.build(resnet_config())
    source.load_state_dict(backbone)
    model = MODELS.build(resnet_config())
    report = load_weights(model, through_file(tmp_path, build(backbone)))
    assert ' tensors (100 %) from ' in str(report)
    # Their train() returns None.
    source.eval()
    model.eval()
    images = torch.randn(2, 3, 32, 32)
    for ours, theirs in zip(model(images), source(images), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(('build', 'layout', 'sine', 'heads'), VIT_CASES)
def test_transformer_rows(tmp_path, build, layout, sine, heads):
    backbone = vit(sine=sine)
    weights = through_file(tmp_path, build(backbone))
    assert weights.layout.name == layout
    assert weights.num_heads == heads
    model = MODELS.build(vit_config(heads))
    assert set(weights.backbone) == set(model.state_dict())
    pairs = {
        'cls_token': 'cls_token',
        'pos_embed': 'pos_embed',
        'patch_embed.proj.weight': 'patch_embed.projection.weight',
        'patch_embed.proj.bias': 'patch_embed.projection.bias',
        'norm.weight': 'ln1.weight',
        'norm.bias': 'ln1.bias',
        'blocks.0.norm1.weight': 'layers.0.ln1.weight',
        'blocks.0.norm1.bias': 'layers.0.ln1.bias',
        'blocks.0.norm2.weight': 'layers.0.ln2.weight',
        'blocks.0.norm2.bias': 'layers.0.ln2.bias',
        'blocks.0.attn.qkv.weight': 'layers.0.attn.attn.in_proj_weight',
        'blocks.0.attn.qkv.bias': 'layers.0.attn.attn.in_proj_bias',
        'blocks.0.attn.proj.weight': 'layers.0.attn.attn.out_proj.weight',
        'blocks.0.attn.proj.bias': 'layers.0.attn.attn.out_proj.bias',
        'blocks.0.mlp.fc1.weight': 'layers.0.ffn.layers.0.0.weight',
        'blocks.0.mlp.fc1.bias': 'layers.0.ffn.layers.0.0.bias',
        'blocks.0.mlp.fc2.weight': 'layers.0.ffn.layers.1.weight',
        'blocks.0.mlp.fc2.bias': 'layers.0.ffn.layers.1.bias',
    }
    expected = {new: backbone[old] for old, new in pairs.items()}
    same(weights.backbone, expected)


def test_names_of_mmpretrains_transformer():
    """Its attention layer has timm's names inside of MMSegmentation's."""
    state = sort_weights(vit(), 'x').backbone
    theirs = {
        name.replace('attn.attn.in_proj_', 'attn.qkv.').replace(
            'attn.attn.out_proj', 'attn.proj'
        ): value
        for name, value in state.items()
    }
    assert 'layers.0.attn.qkv.weight' in theirs
    weights = sort_weights(dict(state_dict=under('backbone.', theirs)), 'x')
    same(weights.backbone, state)


def test_heads_are_taken_from_the_notes_of_a_file():
    cfg = 'model = dict(backbone=dict(num_heads=4), x=print(1))\n'
    state = vit()
    assert sort_weights(state, 'x').num_heads == 6
    for meta, heads in (
        (dict(cfg=cfg), 6),
        (dict(cfg=cfg.replace(', x=print(1)', '')), 4),
        (dict(cfg=cfg, mmcp=dict(num_heads=3)), 3),
        (dict(mmcp=dict(num_heads=None)), 6),
        (dict(mmcp='text', cfg=5), 6),
    ):
        weights = sort_weights(dict(meta=meta, state_dict=state), 'x')
        assert weights.num_heads == heads
    given = sort_weights(dict(meta=meta, state_dict=state), 'x', num_heads=2)
    assert given.num_heads == 2


@pytest.mark.parametrize(('dims', 'heads'), [(64, 1), (384, 12), (768, 12)])
def test_heads_of_moco_v3(dims, heads):
    weights = sort_weights(vit(dims, sine=True), 'x')
    assert weights.num_heads == heads
    nearly = vit(dims, sine=True)
    nearly['pos_embed'] = sine_positions(dims, 3)
    nearly['pos_embed'][0, 4, 1] += 0.01
    assert sort_weights(nearly, 'x').num_heads == dims // 64


@pytest.mark.parametrize(
    ('dims', 'heads'),
    # ViT-Ti, S, B, L; H of MAE, g, G; and widths that nobody uses.
    [
        (192, 3),
        (384, 6),
        (768, 12),
        (1024, 16),
        (1280, 16),
        (1408, 16),
        (1664, 16),
        (32, None),
        (100, None),
    ],
)
def test_usual_numbers_of_heads(dims, heads):
    state = {
        'patch_embed.proj.weight': torch.zeros(1).expand(dims, 3, 1, 1),
        'blocks.0.attn.qkv.weight': torch.zeros(1).expand(3 * dims, dims),
    }
    assert sort_weights(state, 'x').num_heads == heads


def test_why_tensors_are_dropped():
    weights = sort_weights(moco_v2(random_resnet()), 'x')
    reasons = {
        'module.encoder_k.conv1.weight': 'momentum encoder',
        'module.queue': 'queue',
        'module.queue_ptr': 'queue',
    }
    for name, reason in reasons.items():
        assert weights.dropped[name] == reason
    total = len(moco_v2(random_resnet())['state_dict'])
    kept = len(weights.backbone) + len(weights.projector)
    assert kept + len(weights.dropped) == total


def test_origin_is_the_name_in_the_file():
    weights = sort_weights(moco_v2(random_resnet()), 'x')
    assert weights.origin['conv1.weight'] == 'module.encoder_q.conv1.weight'
    assert set(weights.origin) == set(weights.backbone)


def test_unknown_prefix_is_named_and_can_be_given():
    backbone = random_resnet()
    content = dict(state_dict=under('net.trunk.', backbone))
    with pytest.raises(LayoutError) as caught:
        sort_weights(content, 'own.pth')
    message = str(caught.value)
    assert message.startswith('own.pth has no known layout')
    assert 'begin with: net' in message
    assert message.endswith("give prefix='net.trunk.'.")

    for prefix in ('net.trunk.', 'net.trunk'):
        same(
            sort_weights(content, 'x', prefix=prefix).backbone,
            backbone,
        )


def test_wrong_prefix_says_what_the_file_would_be():
    content = moco_v2(random_resnet())
    with pytest.raises(LayoutError) as caught:
        sort_weights(content, 'x', prefix='student.')
    message = str(caught.value)
    assert "no names that begin with 'student.'" in message
    assert 'MoCo v1 or v2' in message


def test_what_is_no_model_is_refused():
    content = dict(state_dict={'lm.embed.weight': torch.ones(2)})
    with pytest.raises(LayoutError, match=r'begin with: lm\. No backbone'):
        sort_weights(content, 'x')
    for content in ({}, dict(state_dict={}), dict(epoch=3, model='r50')):
        with pytest.raises(LayoutError, match='holds no weights'):
            sort_weights(content, 'x')


def test_two_models_in_one_file_are_refused():
    backbone = random_resnet()
    content = dict(
        state_dict=under('backbone.', backbone)
        | under('module.backbone.', backbone)
    )
    with pytest.raises(LayoutError, match='holds two models'):
        sort_weights(content, 'x')


def test_unsafe_broken_and_missing_files(tmp_path):
    path = write_hostile(tmp_path / 'bad.pth', tmp_path / 'marker')
    with pytest.raises(UnsafeCheckpointError):
        read_weights(path)
    assert not (tmp_path / 'marker').exists()

    torch.save(moco_v2(random_resnet()), tmp_path / 'cut.pth')
    data = (tmp_path / 'cut.pth').read_bytes()
    (tmp_path / 'cut.pth').write_bytes(data[: len(data) // 2])
    with pytest.raises(BrokenCheckpointError, match='cut short'):
        read_weights(tmp_path / 'cut.pth')
    with pytest.raises(FileNotFoundError, match=r'Did you mean .*cut\.pth'):
        read_weights(tmp_path / 'cat.pth')


def test_trust_opens_a_file_that_runs_code(tmp_path):
    marker = tmp_path / 'marker'
    backbone = random_resnet()
    path = write_hostile(tmp_path / 'bad.pth', marker, state_dict=backbone)
    with pytest.raises(UnsafeCheckpointError):
        read_weights(path)
    assert not marker.exists()
    same(read_weights(path, trust=True).backbone, backbone)
    assert marker.is_dir()
