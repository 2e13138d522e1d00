from copy import deepcopy

import pytest
import torch
from cp2_models import GN, aspp, batch, cp2, fcn, moco, resnet, total
from mmengine.runner import load_checkpoint
from torch import nn

MODELS = {'cp2': cp2, 'moco': moco}


def copied(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def shift(module, by):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(by)


@pytest.mark.parametrize('make', MODELS.values(), ids=MODELS)
def test_keys_move_by_the_formula_and_queries_do_not(make):
    """k = m k + (1 - m) q, three times, before keys are encoded."""
    model = make(momentum=0.9)
    shift(model.encoder_q, 1.0)
    key = dict(deepcopy(model.encoder_k).named_parameters())
    query = copied(model.encoder_q)
    for _ in range(3):
        model(**batch(), mode='loss')
    for name, parameter in model.encoder_k.named_parameters():
        expected = 0.9**3 * key[name] + (1 - 0.9**3) * query[name]
        torch.testing.assert_close(parameter, expected)
    for name, parameter in model.encoder_q.named_parameters():
        assert torch.equal(parameter, query[name])


def test_keys_are_encoded_with_the_moved_encoder():
    model = cp2(norm_cfg=GN, momentum=0.5)
    shift(model.encoder_q, 0.1)
    data = batch()
    keys = encode(model, data['inputs']['key'])
    moved = model.extract(data['inputs']['key'], encoder='key')
    assert torch.equal(keys, moved)


def test_batch_statistics_of_keys_are_their_own():
    model = cp2()
    before = copied(model.encoder_k)
    data = batch()
    data['inputs']['key'] += 3
    model(**data, mode='loss')
    query, key = model.encoder_q.state_dict(), model.encoder_k.state_dict()
    for name in (n for n in key if n.endswith('running_mean')):
        assert not torch.equal(key[name], before[name])
        assert not torch.equal(key[name], query[name])


@pytest.mark.parametrize('make', MODELS.values(), ids=MODELS)
def test_keys_start_as_queries_after_initialisation(make):
    model = make()
    torch.testing.assert_close(
        copied(model.encoder_k), copied(model.encoder_q), atol=0, rtol=0
    )
    assert not any(p.requires_grad for p in model.encoder_k.parameters())


@pytest.mark.parametrize('make', MODELS.values(), ids=MODELS)
def test_weights_to_start_from_reach_both_encoders(make, tmp_path):
    source = make(seed=1).encoder_q.backbone
    shift(source, 0.5)
    for name, buffer in source.named_buffers():
        if name.endswith('running_mean'):
            buffer.fill_(0.25)
    file = tmp_path / 'backbone.pth'
    torch.save(dict(state_dict=source.state_dict()), file)
    model = make(
        backbone=resnet(init_cfg=dict(type='Pretrained', checkpoint=str(file)))
    )
    for encoder in (model.encoder_q, model.encoder_k):
        torch.testing.assert_close(
            copied(encoder.backbone), copied(source), atol=0, rtol=0
        )


def test_a_checkpoint_of_the_query_encoder_fills_both(tmp_path):
    source = cp2(seed=1)
    weights = {
        name: value
        for name, value in source.state_dict().items()
        if name.startswith('encoder_q.')
    }
    file = tmp_path / 'query.pth'
    torch.save(dict(state_dict=weights), file)
    by_mmengine, by_torch = cp2(), cp2()
    load_checkpoint(by_mmengine, str(file), map_location='cpu')
    by_torch.load_state_dict(weights, strict=False)
    for model in (by_mmengine, by_torch):
        for encoder in (model.encoder_q, model.encoder_k):
            torch.testing.assert_close(
                copied(encoder), copied(source.encoder_q), atol=0, rtol=0
            )


def encode(model, images):
    return model.encode_keys(images, model.start_step())


def train(model, optimizer, steps):
    losses = []
    for step in steps:
        loss = total(model(**batch(6, seed=step), mode='loss'))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(
    ('make', 'options'),
    [
        (cp2, dict(bn_splits=3, dense_warmup=8, seed=5)),
        (moco, dict(bn_splits=2)),
    ],
)
def test_resumed_training_is_the_same_to_the_last_bit(make, options, tmp_path):
    options = {'momentum': 0.9} | options
    shuffle_seed = options.pop('seed', 0)

    def start(seed):
        model = make(seed=seed, **options)
        model.seed = shuffle_seed
        return model, torch.optim.SGD(
            model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4
        )

    model, optimizer = start(0)
    train(model, optimizer, range(3))
    file = tmp_path / 'last.pth'
    torch.save((model.state_dict(), optimizer.state_dict()), file)
    expected = train(model, optimizer, range(3, 7))
    resumed, its_optimizer = start(1)
    weights, state = torch.load(file, weights_only=True)
    resumed.load_state_dict(weights)
    its_optimizer.load_state_dict(state)
    assert train(resumed, its_optimizer, range(3, 7)) == expected
    torch.testing.assert_close(copied(resumed), copied(model), atol=0, rtol=0)


def test_the_optimizer_holds_no_state_of_keys():
    model = cp2()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.5
    )
    train(model, optimizer, range(1))
    touched = set(optimizer.state)
    assert touched == set(model.encoder_q.parameters())


def test_in_evaluation_nothing_changes():
    model = cp2().eval()
    before = copied(model)
    model(**batch(), mode='loss')
    torch.testing.assert_close(copied(model), before, atol=0, rtol=0)


def test_steps_are_counted():
    model = cp2()
    for _ in range(3):
        model(**batch(), mode='loss')
    assert int(model.step) == int(model.state_dict()['step']) == 3


@pytest.mark.parametrize('shuffle', [True, False])
def test_masks_and_keys_stay_with_their_sample(shuffle):
    """Frozen BN: a key does not depend on who stands beside it."""
    options = dict(
        backbone=resnet(norm_eval=True),
        decode_head=fcn(GN),
        shuffle_bn=shuffle,
    )
    model = cp2(bn_splits=2, **options).train()
    assert model.shuffle_bn == shuffle
    images = batch(6)['inputs']['key']
    torch.testing.assert_close(
        encode(model, images), model.extract(images, encoder='key')
    )


def test_parts_of_the_batch_are_shuffled_before_they_are_normalised():
    images = batch(8)['inputs']['key']
    keys = {}
    for shuffle in (True, False):
        model = cp2(bn_splits=4, shuffle_bn=shuffle)
        keys[shuffle] = encode(model, images)
    assert not torch.allclose(keys[True], keys[False], atol=1e-3)
    # Who is normalised with whom changes with the step.
    again = cp2(bn_splits=4)
    again.step.add_(1)
    assert not torch.allclose(keys[True], encode(again, images), atol=1e-3)
    same = cp2(bn_splits=4)
    assert torch.equal(keys[True], encode(same, images))


def test_queries_are_normalised_in_parts_in_their_order():
    split, whole = cp2(bn_splits=2), cp2()
    images = batch(6)['inputs']['query']
    expected = torch.cat(
        [whole.encoder_q(images[:3]), whole.encoder_q(images[3:])]
    )
    torch.testing.assert_close(
        split.encoder_q(images), expected, atol=1e-5, rtol=1e-4
    )


def test_one_part_on_one_device_is_not_shuffled():
    images = batch(6)['inputs']['key']
    model, other = cp2(), cp2(shuffle_bn=False)
    assert torch.equal(encode(model, images), encode(other, images))


def test_without_batch_norm_nothing_is_shuffled():
    assert cp2().shuffle_bn
    assert not cp2(norm_cfg=GN).shuffle_bn


@pytest.mark.parametrize(
    ('count', 'options', 'fails'),
    [
        (1, dict(decode_head=aspp()), True),
        (2, dict(decode_head=aspp()), False),
        (4, dict(decode_head=aspp(), bn_splits=4), True),
        (4, dict(decode_head=aspp(), bn_splits=2), False),
        (1, dict(decode_head=aspp(GN), norm_cfg=GN), False),
        (1, dict(decode_head=fcn()), False),
    ],
)
def test_a_pooling_head_needs_two_samples(count, options, fails):
    model = cp2(**options)
    if fails:
        with pytest.raises(ValueError, match='at least 2 samples per GPU'):
            model(**batch(count), mode='loss')
        model = model.eval()
    model(**batch(count, size=64), mode='loss')


def test_features_of_both_encoders():
    model = cp2(norm_cfg=GN)
    shift(model.encoder_k, 0.1)
    data = batch()
    query = model(data['inputs'])
    assert torch.equal(query, model(data['inputs']['query']))
    assert torch.equal(query, model(**data, mode='tensor'))
    assert torch.equal(query, model.extract(data['inputs']['query']))
    assert query.shape == (4, 8, 2, 2)
    torch.testing.assert_close(query.norm(dim=1), torch.ones(4, 2, 2))
    key = model.extract(data['inputs']['query'], encoder='key')
    assert not torch.allclose(key, query)
    with pytest.raises(ValueError, match="'query' or 'key', but is 'both'"):
        model.extract(data['inputs']['query'], encoder='both')


def test_what_does_not_fit_is_named():
    model = cp2()
    data = batch()
    inputs, masks = data['inputs'], data['masks']
    for given, message in (
        (dict(**data, mode='predict'), 'val_cfg and test_cfg'),
        (dict(inputs=inputs['query'], mode='loss'), 'got one tensor'),
        (
            dict(inputs=dict(query=inputs['query']), mode='loss'),
            'query and key',
        ),
        (
            dict(inputs=inputs, masks=dict(query=masks['query']), mode='loss'),
            'query and key',
        ),
        (
            dict(
                inputs=inputs,
                masks=masks | dict(key=masks['key'][:, :8]),
                mode='loss',
            ),
            r"masks\['key'\] must have shape \(4, 32, 32\)",
        ),
        (
            dict(
                inputs=inputs | dict(key=inputs['key'][:3]),
                masks=masks | dict(key=masks['key'][:3]),
                mode='loss',
            ),
            '4 query views, but 3 key views',
        ),
    ):
        with pytest.raises(ValueError, match=message):
            model(**given)


def test_no_part_of_the_classifier_is_left():
    names = list(cp2().state_dict())
    assert not [name for name in names if 'conv_seg' in name]
    assert not any(isinstance(part, nn.Dropout2d) for part in cp2().modules())
