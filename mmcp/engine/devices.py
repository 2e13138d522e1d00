"""Makes a config run on the machine at hand: CPU, one GPU or many."""

import datetime
import os
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.dist import is_distributed

from mmcp.engine.config import UsageError
from mmcp.engine.messages import say

SYNC_BATCH_NORMS = ('SyncBN', 'MMSyncBN')
# What a launcher tells its processes, and what to start them with.
LAUNCHERS = {
    'pytorch': (
        ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'),
        'torchrun',
        'tools/dist_train.sh or tools/dist_test.sh',
    ),
    'slurm': (
        ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'),
        'srun',
        'tools/slurm_train.sh',
    ),
    'mpi': (('OMPI_COMM_WORLD_RANK', 'MASTER_ADDR'), 'mpirun', 'mpirun'),
}


def require_launcher(cfg: Config) -> None:
    """Refuses a launcher that did not start this process.

    Args:
        cfg: The config, with ``launcher``.

    Raises:
        UsageError: If the launcher's environment variables are missing.
    """
    launcher = cfg.get('launcher', 'none')
    names, program, command = LAUNCHERS.get(launcher, ((), '', ''))
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise UsageError(
            f'--launcher {launcher} is for processes that {program}'
            f' starts ({", ".join(missing)} not set). Use {command}, or leave '
            '--launcher out for a single process.'
        )


def adapt_to_devices(cfg: Config) -> None:
    """Changes what depends on the device and the number of processes.

    Several processes draw different random numbers, see
    :func:`separate_ranks`. Without a GPU the backend becomes gloo, the
    process group is set up here (mmengine would select a CUDA device first),
    the model wrapper gets no device, and synchronised batch norm, which has
    no CPU version, becomes batch norm. A single process has nobody to
    synchronise with (``MMSyncBN`` could not even be built), so there it
    becomes batch norm on a GPU, too; the parameters keep their names.

    Args:
        cfg: The config, with ``launcher``; changed in place.

    Raises:
        UsageError: If there is no GPU and the launcher needs one.
    """
    if cfg.get('launcher', 'none') == 'none':
        _replace_sync_batch_norm(cfg.model)
        return
    separate_ranks(cfg)
    if get_device() == 'cpu':
        _adapt_processes_to_cpu(cfg)


def separate_ranks(cfg: Config) -> None:
    """Has every process draw its own random numbers.

    mmengine seeds all of them alike. Its data loading workers add the rank to
    the seed, but with ``num_workers=0`` all processes would augment their
    images alike. With ``diff_rank_seed`` the seed includes the rank; the
    shuffle stays common, and mmengine sends rank 0's weights to the others.

    Args:
        cfg: The config, changed in place unless it sets ``diff_rank_seed``.
    """
    randomness = cfg.setdefault('randomness', ConfigDict(seed=None))
    randomness.setdefault('diff_rank_seed', True)


def _adapt_processes_to_cpu(cfg: Config) -> None:
    if cfg.launcher != 'pytorch':
        raise UsageError(
            f'Without a GPU, --launcher {cfg.launcher} is not supported; '
            'tools/dist_train.sh and tools/dist_test.sh are.'
        )
    env = cfg.setdefault('env_cfg', ConfigDict())
    dist = env.setdefault('dist_cfg', ConfigDict())
    say(
        'No GPU: the processes talk through gloo, not '
        f'{dist.get("backend", "nccl")}.'
    )
    dist.backend = 'gloo'
    wrapper = cfg.get('model_wrapper_cfg') or ConfigDict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    wrapper.setdefault('device_ids', None)
    cfg.model_wrapper_cfg = wrapper
    _replace_sync_batch_norm(cfg.model)
    if not is_distributed():
        _join_process_group(dist)


def _join_process_group(dist: ConfigDict) -> None:
    options = {key: value for key, value in dist.items() if value is not None}
    if 'timeout' in options:
        options['timeout'] = datetime.timedelta(seconds=options['timeout'])
    torch.distributed.init_process_group(**options)


def _replace_sync_batch_norm(node: Any) -> None:
    if isinstance(node, dict):
        if node.get('type') in SYNC_BATCH_NORMS:
            node['type'] = 'BN'
        node = list(node.values())
    if isinstance(node, list | tuple):
        for value in node:
            _replace_sync_batch_norm(value)
