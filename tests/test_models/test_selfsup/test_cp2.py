import math

import pytest
import torch
from cp2_models import BN, GN, aspp, batch, cp2, fcn, resnet, total

from mmcp.functional.contrastive import (
    dense_contrastive_loss,
    info_nce_loss,
    masked_pool,
    resize_mask,
)

KEYS = {
    'loss_instance', 'loss_dense', 'acc_instance', 'acc_dense', 'cos_fg_fg',
    'cos_fg_bg', 'std_pooled', 'std_pixels', 'queue_fill',
}  # fmt: skip


@pytest.mark.parametrize('denominator', ['query', 'key'])
def test_the_losses_are_those_of_the_paper(denominator):
    """One step from the features, by the formulas."""
    model = cp2(
        norm_cfg=GN, dense_denominator=denominator, dense_temperature=0.5
    )
    data = batch()
    query = model.extract(data['inputs']['query'])
    key = model.extract(data['inputs']['key'], encoder='key')
    masks = [
        resize_mask(data['masks'][view], query.shape[2:]).flatten(1)
        for view in ('query', 'key')
    ]
    query, key = query.flatten(2), key.flatten(2)
    pooled = masked_pool(query, masks[0]), masked_pool(key, masks[1])
    negatives = model.queue.keys.clone()
    losses = model(**data, mode='loss')
    assert set(losses) == KEYS
    torch.testing.assert_close(
        losses['loss_instance'], info_nce_loss(*pooled, negatives, 0.2)
    )
    dense = dense_contrastive_loss(query, key, *masks, 0.5, denominator)
    torch.testing.assert_close(losses['loss_dense'], 0.2 * dense)
    torch.testing.assert_close(losses['std_pooled'], _std(pooled[0], 0))
    torch.testing.assert_close(losses['std_pixels'], _std(query, 2))
    # Its keys are negatives only from the next step on.
    torch.testing.assert_close(model.queue.keys[:, :4], pooled[1].T)
    assert float(losses['queue_fill']) == pytest.approx(100 * 4 / 12)


def _std(features, dim):
    return features.detach().std(dim=dim, correction=0).mean()


def test_only_losses_carry_a_graph():
    losses = cp2()(**batch(), mode='loss')
    carrying = {name for name, value in losses.items() if value.requires_grad}
    assert carrying == {'loss_instance', 'loss_dense'}
    assert all(value.shape == () for value in losses.values())


def test_every_parameter_of_the_query_encoder_learns_and_no_other():
    model = cp2()
    total(model(**batch(), mode='loss')).backward()
    for name, parameter in model.named_parameters():
        learns = name.startswith('encoder_q.')
        assert (parameter.grad is not None) == learns, name
        assert parameter.requires_grad == learns, name


@pytest.mark.parametrize(
    ('options', 'absent'),
    [
        (
            dict(dense_weight=0),
            {'loss_dense', 'acc_dense', 'cos_fg_fg', 'cos_fg_bg'},
        ),
        (
            dict(instance_weight=0),
            {'loss_instance', 'acc_instance', 'queue_fill'},
        ),
    ],
)
@pytest.mark.parametrize('head', [fcn(), aspp()])
def test_each_loss_alone(options, absent, head):
    both, alone = cp2(decode_head=head), cp2(decode_head=head, **options)
    expected, found = (
        both(**batch(), mode='loss'),
        alone(**batch(), mode='loss'),
    )
    assert set(found) == KEYS - absent
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name])
    filled = int(alone.queue.filled)
    assert filled == (0 if 'queue_fill' in absent else 4)
    total(found).backward()
    assert all(p.grad is not None for p in alone.encoder_q.parameters())


def test_without_copy_paste_the_whole_image_is_pooled():
    model = cp2(norm_cfg=GN, dense_weight=0)
    inputs = batch()['inputs']
    pooled = [
        masked_pool(model.extract(inputs[view], view).flatten(2))
        for view in ('query', 'key')
    ]
    expected = info_nce_loss(*pooled, model.queue.keys.clone(), 0.2)
    losses = model(inputs, mode='loss')
    torch.testing.assert_close(losses['loss_instance'], expected)


def test_the_dense_loss_without_masks_is_refused():
    with pytest.raises(ValueError, match='needs masks.*dense_weight=0'):
        cp2()(batch()['inputs'], mode='loss')


@pytest.mark.parametrize('view', ['query', 'key'])
def test_a_sample_without_foreground_is_left_out_of_both_losses(view):
    model, data = cp2(norm_cfg=GN), batch()
    expected = cp2(norm_cfg=GN)(
        *({v: t[1:] for v, t in part.items()} for part in data.values()),
        mode='loss',
    )
    data['masks'][view][0] = False
    losses = model(**data, mode='loss')
    for name in ('loss_instance', 'loss_dense', 'cos_fg_fg', 'acc_dense'):
        torch.testing.assert_close(losses[name], expected[name])
    torch.testing.assert_close(model.queue.keys.norm(dim=0), torch.ones(12))


def test_no_foreground_at_all_is_finite():
    model, data = cp2(), batch()
    for mask in data['masks'].values():
        mask.fill_(False)
    losses = model(**data, mode='loss')
    total(losses).backward()
    assert float(losses['loss_instance'].detach()) == 0
    assert float(losses['loss_dense'].detach()) == 0
    for parameter in model.encoder_q.parameters():
        assert not parameter.grad.any()


def test_the_dense_weight_grows_over_its_warm_up():
    model = cp2(norm_cfg=GN, dense_warmup=4)
    plain = cp2(norm_cfg=GN)
    factors = []
    for _ in range(6):
        loss = model(**batch(), mode='loss')['loss_dense'].detach()
        whole = plain(**batch(), mode='loss')['loss_dense'].detach()
        factors.append(float(loss / whole))
    assert factors == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1])


@pytest.mark.parametrize(('height', 'width'), [(33, 47), (40, 64), (225, 225)])
def test_any_input_size(height, width):
    """Also where the feature map is larger than slicing would find."""
    model = cp2()
    images = torch.randn(2, 3, height, width)
    mask = torch.zeros(2, height, width, dtype=torch.bool)
    mask[:, : height // 2] = True
    losses = model(
        dict(query=images, key=images), dict(query=mask, key=mask), 'loss'
    )
    assert all(value.isfinite() for value in losses.values())


VIT = dict(
    type='VisionTransformer', img_size=32, patch_size=8, embed_dims=16,
    num_layers=4, num_heads=2,
)  # fmt: skip
PYRAMID = dict(in_channels=[8, 16, 32, 64], in_index=[0, 1, 2, 3], channels=8)
SEGMENTORS = {
    'vit-last': (
        dict(
            backbone=VIT | dict(out_indices=-1, final_norm=True),
            decode_head=fcn(in_channels=16, in_index=0),
        ),
        (5, 8),
    ),
    'vit-between': (
        dict(
            backbone=VIT | dict(out_indices=(1, 3)),
            decode_head=aspp(in_channels=16, in_index=1),
        ),
        (5, 8),
    ),
    'mit-segformer': (
        dict(
            backbone=dict(
                type='MixVisionTransformer', embed_dims=8,
                num_layers=[1] * 4, num_heads=[1, 2, 4, 8],
            ),
            decode_head=PYRAMID | dict(type='SegformerHead', norm_cfg=BN),
        ),
        (10, 16),
    ),
    'swin-uper': (
        dict(
            backbone=dict(
                type='SwinTransformer', embed_dims=8, depths=[2] * 4,
                num_heads=[1, 1, 2, 2], window_size=4,
            ),
            decode_head=PYRAMID | dict(
                type='UPerHead', pool_scales=(1, 2), norm_cfg=BN,
            ),
        ),
        (10, 16),
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ('options', 'grid'), SEGMENTORS.values(), ids=SEGMENTORS
)
def test_any_segmentor_learns_from_wide_images(options, grid):
    """Every parameter gets a gradient, as several GPUs need."""
    model = cp2(**options).train()
    images = torch.randn(2, 3, 40, 64)
    mask = torch.zeros(2, 40, 64, dtype=torch.bool)
    mask[:, :24, :40] = True
    data = dict(query=images, key=images + 0.1), dict(query=mask, key=mask)
    assert model.extract(images).shape == (2, 8, *grid)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    losses = []
    for _ in range(3):
        loss = total(model(*data, mode='loss'))
        optimizer.zero_grad()
        loss.backward()
        dead = [
            n for n, p in model.encoder_q.named_parameters() if p.grad is None
        ]
        assert not dead
        optimizer.step()
        losses.append(loss.item())
    assert all(map(math.isfinite, losses))
    assert len(set(losses)) == 3


def test_views_may_differ_in_size():
    data, small = batch(size=64), batch(size=32)
    for part in data:
        data[part]['key'] = small[part]['key']
    losses = cp2(backbone=resnet())(**data, mode='loss')
    assert all(value.isfinite() for value in losses.values())


def test_chunked_dense_loss_is_the_same():
    plain = cp2(norm_cfg=GN)(**batch(), mode='loss')
    chunked = cp2(norm_cfg=GN, dense_chunk=3)(**batch(), mode='loss')
    torch.testing.assert_close(chunked, plain)


def test_random_features_start_at_the_logarithm_of_the_positions():
    model = cp2(decode_head=fcn(channels=64), projector=None)
    losses = model(**batch(size=64), mode='loss')
    dense = float(losses['loss_dense'].detach()) / 0.2
    assert dense == pytest.approx(math.log(16), abs=0.3)


def test_one_sample_has_no_spread():
    losses = cp2(norm_cfg=GN)(**batch(1), mode='loss')
    assert set(losses) == KEYS - {'std_pooled'}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(dense_denominator='both'), "'query'.*'key'.*'both'"),
        (dict(dense_weight=0, instance_weight=0), 'one of them positive'),
        (dict(dense_weight=-1), 'must be >= 0'),
        (dict(momentum=1.5), r'momentum must be in \[0, 1\]'),
        (dict(queue_len=0), 'at least 1'),
        (dict(bn_splits=0), 'bn_splits must be >= 1'),
        (dict(dense_warmup=-1), 'dense_warmup must be >= 0'),
        (dict(dense_chunk=0), 'dense_chunk must be positive'),
        (dict(temperature=0), 'temperature must be positive'),
        (dict(dense_temperature=-1), 'dense_temperature must be positive'),
    ],
)
def test_arguments_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        cp2(**options)
