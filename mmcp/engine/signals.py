"""Listens for signals, in the training process and those that load data."""

import os
import signal
import threading
import time
from functools import partial
from types import FrameType
from typing import Any

from mmengine.dist import is_main_process
from torch.utils.data import DataLoader

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# torchrun sends a signal on to its workers, which a terminal or Slurm has
# already sent it to: the echo must not count as the second Ctrl-C.
ECHO_SECONDS = 5.0


class SignalListener:
    """Remembers the first signal; the second one gets its usual effect.

    Attributes:
        received: Number of the signal that came, 0 before.
        active: Whether signals are listened to.
    """

    def __init__(self) -> None:
        self.received = 0
        self.active = False
        self._previous: dict[int, Any] = {}
        self._process = 0
        self._first_at = 0.0

    def start(self) -> None:
        """Takes the signals; Python allows it in the main thread only."""
        if threading.current_thread() is not threading.main_thread():
            return
        self.received = 0
        self._process = os.getpid()
        self.active = True
        for signum in SIGNALS:
            self._previous[signum] = signal.signal(signum, self._handle)

    def stop(self) -> None:
        """Gives the signals back to whoever had them."""
        self.active = False
        if self.received and under_torchrun():
            return  # this process is about to end, and the echo may come yet
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)
        self._previous.clear()

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            # A forked process inherits the handler. A Ctrl-C is its parent's
            # business, as it goes to both.
            if signum != signal.SIGINT:
                _default(signum)
        elif not self.received:
            self._first(signum)
        elif time.monotonic() - self._first_at > ECHO_SECONDS:
            _default(signum)

    def _first(self, signum: int) -> None:
        self.received = signum
        self._first_at = time.monotonic()
        if not under_torchrun():
            # Handled by the system, not by Python: works even while a long
            # call into C is running.
            for number in SIGNALS:
                signal.signal(number, signal.SIG_DFL)
        if is_main_process():
            name = 'Ctrl-C' if signum == signal.SIGINT else 'SIGTERM'
            text = (
                f'\n{name}: a checkpoint is written after this iteration; '
                'once more ends at once.\n'
            )
            os.write(2, text.encode())


def under_torchrun() -> bool:
    """Tells whether torchrun started this process."""
    return 'TORCHELASTIC_RUN_ID' in os.environ


def _default(signum: int) -> None:
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)


def protect_workers(loader: DataLoader[Any]) -> None:
    """Lets the processes of a loader outlive signals not meant for them.

    A terminal and Slurm signal every process of a job. If those that load
    data end, the iteration that the training process wants to finish fails.

    Args:
        loader: A loader that has not been iterated yet; changed in place.
    """
    init = loader.worker_init_fn
    if not (isinstance(init, partial) and init.func is _init_protected):
        loader.worker_init_fn = partial(_init_protected, init)


def _init_protected(init: Any, worker_id: int) -> None:
    """Initialises a loading process, then protects it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, 'sigwaitinfo'):  # not on macOS
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        parent = os.getppid()
        thread = threading.Thread(target=_obey, args=[parent], daemon=True)
        thread.start()
    if init is not None:
        init(worker_id)


def _obey(parent: int) -> None:
    """Ends this process when the parent, and nobody else, says so."""
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != parent:
        pass
    os._exit(0)
