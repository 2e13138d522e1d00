"""What the tools share: arguments, building the runner, ending a run."""

import argparse
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch.distributed as dist
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmcp.checkpoints import use_safe_reader
from mmcp.checkpoints.reader import TRUST_FLAG
from mmcp.engine.config import load_config
from mmcp.engine.devices import adapt_to_devices, require_launcher
from mmcp.engine.failures import explain
from mmcp.engine.hooks.interrupt_hook import TrainingInterrupted
from mmcp.engine.hooks.loaded_weights_hook import LoadedWeightsHook
from mmcp.engine.messages import process_rank, say
from mmcp.engine.options import OptionsAction, check_names, merge_options
from mmcp.engine.starting_point import choose_checkpoint

TRACEBACK_FLAG = '--traceback'
TRACEBACK_VARIABLE = 'MMCP_TRACEBACK'
# An error that all processes make is told by the first one: when it ends, the
# launcher ends the others.
HEAD_START = 5.0
WORK_DIRS = Path('work_dirs')


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of training and testing to a parser."""
    parser.add_argument(
        '--work-dir',
        help='folder for logs and results; by default that of the config, or '
        'work_dirs/ and the name of the config',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        metavar='KEY=VALUE',
        help='change settings of the config, e.g. optim_wrapper.optimizer.'
        'lr=0.01 or "model.backbone.out_indices=[0,1]"; a key that exists '
        'nowhere is an error',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes; the shell scripts set it',
    )
    add_trust_argument(parser)
    add_traceback_argument(parser)
    # torchrun sets LOCAL_RANK instead; older launchers pass one of these.
    parser.add_argument(
        '--local_rank',
        '--local-rank',
        type=int,
        default=0,
        help=argparse.SUPPRESS,
    )


def add_trust_argument(parser: argparse.ArgumentParser) -> None:
    """Adds the flag of whoever reads checkpoints to a parser."""
    parser.add_argument(
        TRUST_FLAG,
        action='store_true',
        help='open checkpoints even if they hold more than data; such a file '
        'can run any program, so only for files whose maker you trust',
    )


def add_traceback_argument(parser: argparse.ArgumentParser) -> None:
    """Adds the flag that :func:`run_tool` heeds to a parser."""
    parser.add_argument(
        TRACEBACK_FLAG,
        action='store_true',
        help='show where an error came from, not only what is wrong (also '
        f'with {TRACEBACK_VARIABLE}=1 in the environment)',
    )


def read_config(args: argparse.Namespace) -> Config:
    """Loads the config and applies the shared arguments.

    Args:
        args: Parsed arguments of :func:`add_shared_arguments` and ``config``.

    Returns:
        The config, with ``launcher`` and ``work_dir`` set.

    Raises:
        UsageError: If the config or an option is wrong.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = load_config(args.config)
    check_names(cfg)
    merge_options(cfg, args.cfg_options)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(WORK_DIRS / Path(args.config).stem)
    return cfg


def build_runner(
    cfg: Config, *, resume: str | None = None, trust: bool = False
) -> Any:
    """Builds a runner that fits the machine and reads checkpoints safely.

    Args:
        cfg: The config, with ``launcher`` and ``work_dir``; changed in place.
        resume: What to resume, see :func:`choose_checkpoint`. Defaults to
            None.
        trust: Whether checkpoints may hold more than data. Defaults to
            False.

    Returns:
        An ``mmengine.runner.Runner``.

    Raises:
        UsageError: If the config does not fit the machine.
        CheckpointError: If a checkpoint is unsafe or broken.
    """
    require_launcher(cfg)
    use_safe_reader(trust=trust)
    choose_checkpoint(cfg, resume, trust=trust)
    adapt_to_devices(cfg)
    if 'runner_type' in cfg:
        return RUNNERS.build(cfg)
    runner = Runner.from_cfg(cfg)
    source = cfg.get('load_from')
    runner.register_hook(
        LoadedWeightsHook(source) if source else LoadedWeightsHook()
    )
    return runner


def run_tool(
    main: Callable[[Sequence[str]], None], argv: Sequence[str] | None = None
) -> int:
    """Runs a tool's main function and reports how it ended.

    Args:
        main: The function; it gets the command line arguments.
        argv: The arguments. Defaults to None, those of this process.

    Returns:
        Exit status: 0; 1 for an error that was explained in one message; 128
        plus the number of the signal that ended the run.

    Raises:
        Exception: Any error that is not the user's, or every error if
            ``--traceback`` or ``MMCP_TRACEBACK`` asks for it.
    """
    argv = sys.argv[1:] if argv is None else argv
    try:
        main(argv)
    except TrainingInterrupted as stop:
        say(_how_to_resume(stop, argv))
        return 128 + stop.signum
    except KeyboardInterrupt:
        say('Interrupted; nothing was saved.')
        return 128 + signal.SIGINT
    except Exception as error:
        message = explain(error)
        if message is None or _wants_traceback(argv):
            raise
        if process_rank():
            time.sleep(HEAD_START)
        say(f'error: {message}', everywhere=True)
        return 1
    _leave_together()
    return 0


def _leave_together() -> None:
    """Ends the process group in order.

    A process that ends while another still talks to it can fail that one.
    """
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def _wants_traceback(argv: Sequence[str]) -> bool:
    return TRACEBACK_FLAG in argv or bool(os.environ.get(TRACEBACK_VARIABLE))


def _how_to_resume(stop: TrainingInterrupted, argv: Sequence[str]) -> str:
    if stop.checkpoint is None:
        return f'{stop}; nothing was saved.'
    if '--launcher' in argv:
        command = 'the same command and --resume'
    else:
        words = ['python', sys.argv[0], *_without_resume(argv), '--resume']
        command = shlex.join(words)
    return f'{stop}. Go on from {stop.checkpoint} with: {command}'


def _without_resume(argv: Sequence[str]) -> list[str]:
    kept: list[str] = []
    skipping = False
    for word in argv:
        if word == '--resume' or word.startswith('--resume='):
            skipping = word == '--resume'
        elif not skipping or word.startswith('-'):
            skipping = False
            kept.append(word)
        else:
            skipping = False
    return kept
