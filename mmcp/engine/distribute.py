"""Starts a tool in several processes: torchrun with a short last word.

``python -m mmcp.engine.distribute`` takes torchrun's arguments. torchrun
itself ends every failure and every Ctrl-C with a traceback of its own, below
which what the tool said is hard to find, and with exit status 1.
"""

import sys
from collections.abc import Sequence

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from mmcp.engine.messages import say


def main(argv: Sequence[str]) -> int:
    """Runs the processes and waits for them.

    Args:
        argv: torchrun's arguments.

    Returns:
        Exit status: 0, that of the first process to fail, or 128 plus the
        number of the signal that ended the run.
    """
    try:
        args = run.parse_args(list(argv))  # type: ignore[no-untyped-call]
        run.run(args)  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        status = failure.exitcode
        if status >= 128:
            return status
        say(f'Rank {rank} failed ({_reason(status)}); see what it said above.')
        return status if status > 0 else 128 - status
    except SignalException as stop:
        return 128 + int(stop.sigval)
    return 0


def _reason(status: int) -> str:
    return f'status {status}' if status >= 0 else f'signal {-status}'


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
