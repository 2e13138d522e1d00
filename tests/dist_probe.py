"""A hook that writes down what a rank sees, for tests of several processes.

Configs import it by name, so it must be on the path of the processes.
"""

import hashlib
import json
import os
import signal
from pathlib import Path

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class Probe(Hook):
    """Writes ``rank{n}.json``: ids, flips, hashes of pictures and weights.

    Args:
        signal_at: Iteration (from 0) after which rank 1 alone gets SIGTERM.
    """

    def __init__(self, signal_at=None):
        self.signal_at = signal_at
        self.record = dict(ids=[], flips=[], images=[], weights=[], steps=[])

    def after_train_iter(self, runner, batch_idx, data_batch, outputs=None):
        samples = zip(
            data_batch['inputs'], data_batch['data_samples'], strict=True
        )
        for image, sample in samples:
            self.record['ids'].append(int(sample.img_id))
            self.record['flips'].append(sample.get('flip_direction'))
            self.record['images'].append(_hash([image]))
        self.record['weights'].append(_hash(runner.model.parameters()))
        self.record['steps'].append(runner.iter)
        path = Path(runner.work_dir) / f'rank{get_rank()}.json'
        path.write_text(json.dumps(self.record))
        if runner.iter == self.signal_at and get_rank() == 1:
            os.kill(os.getpid(), signal.SIGTERM)


def _hash(tensors):
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()
