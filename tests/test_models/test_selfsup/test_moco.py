import pytest
import torch
from cp2_models import GN, batch, moco, total

from mmcp.functional.contrastive import info_nce_loss


def test_the_loss_is_mocos():
    model = moco(norm_cfg=GN)
    inputs = batch()['inputs']
    query = model.extract(inputs['query'])[..., 0, 0]
    key = model.extract(inputs['key'], encoder='key')[..., 0, 0]
    expected = info_nce_loss(query, key, model.queue.keys.clone(), 0.2)
    losses = model(inputs, mode='loss')
    assert set(losses) == {
        'loss_instance', 'acc_instance', 'std_pooled', 'queue_fill',
    }  # fmt: skip
    torch.testing.assert_close(losses['loss_instance'], expected)
    torch.testing.assert_close(model.queue.keys[:, :4], key.T)


def test_masks_do_not_matter():
    data = batch()
    with_masks = moco()(**data, mode='loss')
    without = moco()(data['inputs'], mode='loss')
    assert with_masks == without


def test_every_parameter_of_the_query_encoder_learns():
    model = moco()
    total(model(**batch(), mode='loss')).backward()
    assert all(p.grad is not None for p in model.encoder_q.parameters())
    assert all(p.grad is None for p in model.encoder_k.parameters())


def test_one_sample_has_no_spread():
    losses = moco(norm_cfg=GN)(batch(1)['inputs'], mode='loss')
    assert 'std_pooled' not in losses


def test_features_have_length_one():
    features = moco().extract(torch.randn(2, 3, 32, 32))
    assert features.shape == (2, 8, 1, 1)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2, 1, 1))


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ValueError, match='temperature must be positive'):
        moco(temperature=0)
