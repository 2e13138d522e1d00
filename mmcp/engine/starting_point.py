"""Decides which checkpoint a run starts from, and looks at it early.

Building the data sets of a large config takes minutes; a wrong or unsafe
file should be told before that.
"""

import errno
import os
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from mmcp.checkpoints import read_checkpoint
from mmcp.engine.config import UsageError
from mmcp.engine.messages import say
from mmcp.engine.options import leaves

AUTO = 'auto'
LAST = 'last_checkpoint'


def choose_checkpoint(
    cfg: Config, resume: str | None, *, trust: bool = False
) -> None:
    """Sets ``resume`` and ``load_from``, and opens the file they lead to.

    ``--resume auto`` without a checkpoint in the work directory starts the
    training as the config says, ``load_from`` included, so that a job that
    is started again and again can always pass it. A resumed run takes over
    the seed, without which it would shuffle the data anew.

    Args:
        cfg: The config, with ``work_dir``; changed in place.
        resume: Value of ``--resume``: 'auto', a path or None. Then the
            config's own ``resume`` and ``load_from`` count.
        trust: Whether files may hold more than data. Defaults to False.

    Raises:
        FileNotFoundError: If the file does not exist.
        CheckpointError: If the file is unsafe or broken.
        UsageError: If a run is to be resumed from mere weights.
    """
    if resume is None and cfg.get('resume', False):
        resume = cfg.get('load_from') or AUTO
    if resume == AUTO:
        resume = _newest(Path(cfg.work_dir))
        if resume is None:
            cfg.resume = False
    if resume is not None:
        cfg.resume = True
        cfg.load_from = resume
    path = cfg.get('load_from')
    if path is None or '://' in path:
        return
    checkpoint = read_checkpoint(path, trust=trust, mmap=True)
    if cfg.get('resume', False):
        _prepare_resume(cfg, path, checkpoint)


def check_init_weights(cfg: Config) -> None:
    """Looks for the files that the ``init_cfg`` of the model's parts name.

    Args:
        cfg: The config.

    Raises:
        FileNotFoundError: If one does not exist. Addresses are left alone.
    """
    for place, value in leaves(cfg.get('model'), 'model'):
        *above, name = place.split('.')
        named = name == 'checkpoint' and 'init_cfg' in above
        if not named or not isinstance(value, str) or '://' in value:
            continue
        if not os.path.exists(value):
            reason = os.strerror(errno.ENOENT)
            raise FileNotFoundError(errno.ENOENT, reason, value)


def _newest(work_dir: Path) -> str | None:
    """Finds the checkpoint that the last run in a folder ended with."""
    note = work_dir / LAST
    if not note.is_file():
        say(f'Nothing to resume in {work_dir} yet.')
        return None
    path = Path(note.read_text().strip())
    # The note holds the full path of that time; the folder may have moved.
    moved = work_dir / path.name
    return str(path if path.is_file() or not moved.is_file() else moved)


def _prepare_resume(cfg: Config, path: str, checkpoint: Any) -> None:
    meta = checkpoint.get('meta', {})
    missing = {'epoch', 'iter'} - set(meta)
    if missing or 'message_hub' not in checkpoint:
        raise UsageError(
            f'{path} holds weights but no state of a training, so it cannot '
            'be resumed. To start from these weights, use --cfg-options '
            f'load_from={path} instead.'
        )
    randomness = cfg.setdefault('randomness', ConfigDict(seed=None))
    if randomness.get('seed') is None:
        randomness.seed = meta.get('seed')
