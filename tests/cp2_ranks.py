"""What one of two ranks does with CP2; ``python cp2_ranks.py FOLDER``.

Started by torchrun; every rank writes ``rank{n}.pt`` for the test to compare.
"""

import sys
from pathlib import Path

import torch
import torch.distributed
from cp2_models import GN, batch, cp2, moco, shallow, total
from mmengine.dist import get_rank, get_world_size
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper

from mmcp.models.selfsup.shuffle import gather_batch, own_part

COUNT = 8
STEPS = 3
CASES = {
    'group-norm': (cp2, dict(norm_cfg=GN), False),
    'batch-norm': (cp2, dict(dense_denominator='key', seed=3), False),
    'moco': (moco, {}, False),
    'half': (cp2, {}, True),
}


def train(case, splits=1, wrap=lambda model: model):
    """Trains on this rank's part of three batches of eight samples."""
    make, options, half = CASES[case]
    options = dict(options)
    seed = options.pop('seed', 0)
    model = make(momentum=0.9, queue_len=20, bn_splits=splits, **options)
    model.seed = seed
    model.to(memory_format=torch.channels_last)
    wrapped = wrap(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    log = []
    for step in range(STEPS):
        data = {
            part: {view: own_part(value) for view, value in views.items()}
            for part, views in batch(COUNT, seed=step).items()
        }
        with torch.autocast('cpu', enabled=half):
            losses = wrapped(**data, mode='loss')
        optimizer.zero_grad()
        total(losses).backward()
        optimizer.step()
        log.append({name: value.item() for name, value in losses.items()})
    return log, {name: v.clone() for name, v in model.state_dict().items()}


def exchange():
    """What the ranks get from each other."""
    rank = get_rank()
    part = torch.arange(4).view(2, 2) + 10 * rank
    images = torch.randn(2, 3, 4, 5)
    last = images.to(memory_format=torch.channels_last)
    gathered = gather_batch(last)
    return dict(
        whole=gather_batch(part),
        own=torch.equal(own_part(gather_batch(images)), images),
        last=torch.equal(gathered, gather_batch(images)),
        format=gathered.is_contiguous(memory_format=torch.channels_last),
    )


def distributed(model):
    """As mmengine's runner wraps by default."""
    return MMDistributedDataParallel(
        model, broadcast_buffers=False, find_unused_parameters=False
    )


def steps(compiled):
    """What two steps report, with ``compile=True`` in a config or without."""
    model = distributed(cp2(momentum=0.9, **shallow()))
    step = model.train_step
    if compiled:
        step = torch.compile(step, backend='aot_eager')
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), 0.05))
    log = []
    for number in range(2):
        data = batch(4, seed=10 * number + get_rank())
        values = step(data, wrapper)
        log.append({name: value.item() for name, value in values.items()})
    return log


def uneven():
    """The error where ranks have batches of different sizes."""
    try:
        cp2()(**batch(4 + get_rank()), mode='loss')
    except ValueError as error:
        return str(error)
    return None


def main(folder):
    torch.distributed.init_process_group('gloo')
    assert get_world_size() == 2
    torch.set_num_threads(1)

    results = {case: train(case, wrap=distributed) for case in CASES}
    results |= dict(exchange=exchange(), uneven=uneven())
    results |= dict(eager=steps(False), compiled=steps(True))
    torch.save(results, folder / f'rank{get_rank()}.pt')
    torch.distributed.destroy_process_group()


if __name__ == '__main__':
    main(Path(sys.argv[1]))
