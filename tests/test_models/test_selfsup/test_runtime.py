"""Mixed precision, memory formats, compilation, the runner's ways."""

import math
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from cp2_models import GN, aspp, batch, cp2, fcn, moco, resnet, shallow, total
from mmengine.optim import OptimWrapper

from mmcp.functional.knn import knn_classify
from mmcp.functional.linear_probe import fit_linear

MODELS = {'cp2': cp2, 'moco': moco}


def step(model, wrapper, data):
    """One training step as the runner makes it."""
    log = model.train_step(data, wrapper)
    return {name: float(value) for name, value in log.items()}


class Bfloat16(OptimWrapper):
    """What AmpOptimWrapper does on a GPU; it refuses to do it on a CPU."""

    @contextmanager
    def optim_context(self, model):
        with super().optim_context(model), torch.autocast('cpu'):
            yield


def sgd(model, wrapper=OptimWrapper, **options):
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    return wrapper(optimizer=optimizer, **options)


@pytest.mark.parametrize('make', MODELS.values(), ids=MODELS)
@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_mixed_precision_trains_as_full_precision_does(make, dtype):
    plain, mixed = make(momentum=0.9), make(momentum=0.9)
    mixed.step.add_(0)
    for seed in range(3):
        expected = step(plain, sgd(plain), batch(6, seed=seed))
        with torch.autocast('cpu', getattr(torch, dtype)):
            losses = mixed(**batch(6, seed=seed), mode='loss')
        loss = total(losses)
        assert loss.dtype == torch.float32
        assert float(loss.detach()) == pytest.approx(
            expected['loss'], rel=0.05
        )
        wrapper = sgd(mixed)
        wrapper.update_params(loss)
    assert mixed.queue.keys.dtype == torch.float32
    torch.testing.assert_close(
        mixed.queue.keys.norm(dim=0), torch.ones(12), atol=1e-6, rtol=0
    )
    for parameter in mixed.parameters():
        assert parameter.dtype == torch.float32
        assert parameter.isfinite().all()


class Scaled(OptimWrapper):
    """What AmpOptimWrapper does in float16 on a GPU, with its scaler."""

    def __init__(self, *, scale, **options):
        super().__init__(**options)
        self.scaler = torch.amp.GradScaler('cpu', init_scale=scale)

    def update_params(self, loss, **_):
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()


def test_a_step_whose_gradients_overflow_harms_nothing():
    """The scaler skips it; the queue takes its keys, which are sound."""
    model = cp2()
    wrapper = sgd(model, Scaled, scale=math.inf)
    queries = [p.clone() for p in model.encoder_q.parameters()]
    step(model, wrapper, batch(3))
    for encoder in (model.encoder_q, model.encoder_k):
        torch.testing.assert_close(
            list(encoder.parameters()), queries, atol=0, rtol=0
        )
    assert (int(model.step), int(model.queue.filled)) == (1, 3)
    wrapper.scaler.update(new_scale=8.0)
    losses = [step(model, wrapper, batch(3, seed=n)) for n in range(2)]
    assert all(
        torch.tensor(list(log.values())).isfinite().all() for log in losses
    )
    assert not torch.equal(next(model.encoder_q.parameters()), queries[0])


def test_keys_that_overflow_spoil_no_later_step():
    """Of GroupNorm: batch normalisation would spread it over the batch."""
    model = cp2(norm_cfg=GN)
    data = batch(3)
    data['inputs']['key'][1] = float('inf')
    wrapper = sgd(model, Scaled, scale=8.0)
    assert not math.isfinite(step(model, wrapper, data)['loss'])
    assert int(model.queue.filled) == 3
    assert math.isfinite(step(model, wrapper, batch(3))['loss'])


@pytest.mark.parametrize('options', [{}, dict(bn_splits=2)])
def test_channels_last_is_the_same_and_stays(options):
    plain, last = cp2(**options), cp2(**options)
    last = last.to(memory_format=torch.channels_last)
    data = batch(4)
    moved = {
        'inputs': {
            view: images.contiguous(memory_format=torch.channels_last)
            for view, images in data['inputs'].items()
        },
        'masks': data['masks'],
    }
    formats = set()
    for encoder in (last.encoder_q, last.encoder_k):
        encoder.decode_head.register_forward_hook(
            lambda module, inputs, output: formats.add(
                output.is_contiguous(memory_format=torch.channels_last)
            )
        )
    results = []
    for model, given in ((plain, data), (last, moved)):
        losses = model(**given, mode='loss')
        total(losses).backward()
        results.append({name: v.detach() for name, v in losses.items()})
    torch.testing.assert_close(*results, atol=1e-4, rtol=1e-4)
    assert formats == {True}


COMPILED = {
    'cp2': (
        cp2,
        shallow(head=aspp, dense_warmup=3, dense_chunk=8, bn_splits=2),
    ),
    'moco': (
        moco,
        dict(
            backbone=shallow()['backbone'],
            projector=dict(in_channels=8, out_channels=8),
            checkpoint_activations=True,
        ),
    ),
}


@pytest.mark.parametrize(
    ('make', 'options'),
    COMPILED.values(),
    ids=COMPILED,
)
def test_compiled_steps_are_the_same(make, options):
    """The warm-up and the queue too, which change before the backward pass."""
    torch.compiler.reset()
    options = {'momentum': 0.9} | options
    plain, compiled = make(**options), make(**options)
    compiled.compile(backend='aot_eager')
    wrappers = [sgd(model) for model in (plain, compiled)]
    for seed in range(2):
        data = batch(4, seed=seed)
        expected = step(plain, wrappers[0], data)
        found = step(compiled, wrappers[1], data)
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)
    found = compiled.state_dict()
    for name, value in plain.state_dict().items():
        # Recomputing moves running statistics again, but not if compiled.
        if 'running_' not in name and 'num_batches' not in name:
            torch.testing.assert_close(
                found[name], value, atol=1e-5, rtol=1e-3
            )


@pytest.mark.slow
def test_compiled_under_mixed_precision():
    """As ``compile=True`` and mixed precision in a config do."""
    torch.compiler.reset()
    model, plain = cp2(**shallow(GN)), cp2(**shallow(GN))
    train_step = torch.compile(model.train_step, backend='aot_eager')
    results = []
    for run, target in ((train_step, model), (plain.train_step, plain)):
        wrapper = sgd(target, Bfloat16)
        for seed in range(2):
            log = run(batch(4, seed=seed), wrapper)
        results.append({name: float(value) for name, value in log.items()})
    assert results[0] == pytest.approx(results[1], rel=0.05, abs=0.05)


def test_compilation_is_interrupted_once_and_not_repeated():
    """By the moving average; no step, queue place or weight is a constant."""
    torch.compiler.reset()
    graphs = []

    def count(graph, inputs):
        graphs.append(graph)
        return graph.forward

    model = cp2(**shallow(dense_warmup=5))
    compiled = torch.compile(model, backend=count)
    compiled(**batch(4), mode='loss')
    first = len(graphs)
    for number in range(4):
        model.momentum = 0.9 + number / 100
        compiled(**batch(4, seed=number), mode='loss')
    assert first <= 3
    assert len(graphs) == first


def test_gradients_can_be_accumulated():
    """Every batch fills the queue and moves the keys; see the docstring."""
    count, momentum = 3, 0.7
    model = cp2(momentum=momentum ** (1 / count))
    with torch.no_grad():
        for parameter in model.encoder_q.parameters():
            parameter.add_(0.02)
    key = [p.clone() for p in model.encoder_k.parameters()]
    query = [p.clone() for p in model.encoder_q.parameters()]
    wrapper = sgd(model, accumulative_counts=count)
    wrapper.initialize_count_status(model, 0, count)
    for seed in range(count):
        model.train_step(batch(3, seed=seed), wrapper)
    moved = list(model.encoder_k.parameters())
    for new, old, target in zip(moved, key, query, strict=True):
        torch.testing.assert_close(
            new, momentum * old + (1 - momentum) * target
        )
    assert int(model.queue.filled) == 9
    for parameter, old in zip(
        model.encoder_q.parameters(), query, strict=True
    ):
        assert not torch.equal(parameter, old)


def scene(generator, size=32):
    """A colour on a ground of another, with stripes of one direction."""
    colours = torch.rand(2, 3, 1, 1, generator=generator)
    phase = torch.arange(size) * float(
        0.3 + 1.5 * torch.rand((), generator=generator)
    )
    stripes = (phase.sin() > 0).float().expand(size, size)
    if torch.rand((), generator=generator) < 0.5:
        stripes = stripes.t()
    return colours[0] * stripes + colours[1] * (1 - stripes)


def composed(images, generator, size=32):
    """Two views of every image, pasted onto other images."""
    count = len(images)
    inputs, masks = {}, {}
    for view in ('query', 'key'):
        gain = 0.8 + 0.4 * torch.rand(count, 1, 1, 1, generator=generator)
        front = images * gain
        front = front + 0.05 * torch.randn(front.shape, generator=generator)
        shift = int(torch.randint(1, count, (), generator=generator))
        mask = torch.zeros(count, size, size, dtype=torch.bool)
        corners = torch.randint(0, 9, (count, 2), generator=generator)
        for place, (top, left) in zip(mask, corners.tolist(), strict=True):
            place[top : top + 24, left : left + 24] = True
        back = images.roll(shift, 0)
        inputs[view] = torch.where(mask[:, None], front, back) * 4 - 2
        masks[view] = mask
    return dict(inputs=inputs, masks=masks)


def learner():
    """Initialised alike whenever it is made."""
    return cp2(
        backbone=resnet(base_channels=8, strides=(1, 2, 1, 1)),
        decode_head=fcn(in_channels=64, channels=32),
        projector=dict(out_channels=128),
        queue_len=32,
        momentum=0.99,
    )


@pytest.fixture(scope='module')
def learnt():
    """A model, 64 images, and what 200 steps on them reported."""
    generator = torch.Generator().manual_seed(0)
    images = torch.stack([scene(generator) for _ in range(64)])
    model = learner()
    wrapper = OptimWrapper(
        torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    )
    history = []
    for _ in range(200):
        chosen = torch.randperm(64, generator=generator)[:32]
        data = composed(images[chosen], generator)
        history.append(step(model, wrapper, data))
    return model, images, history


@pytest.mark.slow
def test_it_learns_64_images(learnt):
    _, _, history = learnt

    def mean(name, part):
        return sum(values[name] for values in history[part]) / 20

    start, end = slice(0, 20), slice(-20, None)
    assert mean('acc_instance', end) > 50
    assert mean('acc_instance', end) > mean('acc_instance', start) + 20
    assert mean('cos_fg_fg', end) > mean('cos_fg_bg', end) + 0.1
    # 1 / sqrt(D) = 0.088 where features point everywhere.
    assert 0.06 < mean('std_pooled', end) < 0.09


@torch.no_grad()
def neighbours_accuracy(model, images):
    """Share of new views whose nearest neighbour shows the same image.

    The features are those of the backbone, as KNNHook takes them, but of
    models in training: random weights have no statistics of their own.
    """
    generator = torch.Generator().manual_seed(1)
    views = composed(images, generator)['inputs']
    query, bank = (
        F.normalize(model.encoder_q.backbone(views[view])[-1].mean((2, 3)))
        for view in ('query', 'key')
    )
    labels = torch.arange(len(images))
    found = knn_classify(query, bank, labels, num_classes=len(images), k=1)
    return (found == labels).float().mean()


@pytest.mark.slow
def test_what_it_learnt_beats_random_weights(learnt):
    model, images, _ = learnt
    trained = neighbours_accuracy(model, images)
    fresh = neighbours_accuracy(learner(), images)
    assert trained > fresh + 0.1, (trained, fresh)


@torch.no_grad()
def linear_accuracy(model, images, *, pixelwise):
    """Share of a linear classifier's answers that are right for new views.

    Asked is which image is seen: by the backbone's pooled features, or by
    those of the head at each foreground pixel.
    """

    def view(seed):
        generator = torch.Generator().manual_seed(seed)
        data = composed(images, generator)
        maps = model.encoder_q.backbone(data['inputs']['query'])
        labels = torch.arange(len(images))
        if not pixelwise:
            return maps[-1].mean((2, 3)), labels
        features = model.encoder_q.decode_head._forward_feature(maps)
        masks = data['masks']['query'][:, None].float()
        seen = F.interpolate(masks, features.shape[2:], mode='nearest-exact')
        rows = features.permute(0, 2, 3, 1)[seen[:, 0] > 0]
        count = seen.sum((1, 2, 3)).long()
        return rows, labels.repeat_interleave(count)

    classify = fit_linear(*view(1), num_classes=len(images))
    features, labels = view(2)
    return (classify(features) == labels).float().mean()


@pytest.mark.slow
@pytest.mark.parametrize('pixelwise', [False, True], ids=['image', 'pixels'])
def test_a_linear_probe_of_it_beats_random_weights(learnt, pixelwise):
    model, images, _ = learnt
    trained = linear_accuracy(model, images, pixelwise=pixelwise)
    fresh = linear_accuracy(learner(), images, pixelwise=pixelwise)
    assert trained > fresh + 0.2, (trained, fresh)
