"""Says something to the user once, before there is a logger."""

import os
import sys


def process_rank() -> int:
    """Returns this process's rank as its launcher set it, 0 without one."""
    for name in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'):
        if name in os.environ:
            return int(os.environ[name])
    return 0


def say(text: str, *, everywhere: bool = False) -> None:
    """Writes a line to stderr, from the first process only.

    Args:
        text: The line.
        everywhere: Whether the other processes write it too, with their
            rank. Defaults to False.
    """
    rank = process_rank()
    if rank and not everywhere:
        return
    prefix = f'[rank {rank}] ' if rank else ''
    print(f'{prefix}{text}', file=sys.stderr, flush=True)
