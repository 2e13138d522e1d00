"""What a labelling keeps while it runs, so that another can go on."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

from mmcp.engine.config import UsageError
from mmcp.engine.messages import say

try:
    import fcntl
except ImportError:  # Not on Windows.
    fcntl = None  # type: ignore[assignment]

# Names of files, which may change while the files do not.
NAMES = ('config', 'checkpoint', 'images')
_SETTINGS = 'settings.json'


class WorkFolder:
    """The folder of unfinished work beside the file that is to be written.

    Args:
        out: The file.

    Attributes:
        path: The folder.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.path = out.with_name(f'{out.name}.parts')

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Keeps other jobs from writing the same file.

        Yields:
            Nothing.

        Raises:
            UsageError: If another job is writing it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_name(f'.{self.out.name}.lock')
        with lock.open('ab') as file:
            if not _lock(file, lock):
                raise UsageError(f'Another process is writing {self.out}.')
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)

    def begin(
        self, settings: Mapping[str, Any], restart: bool
    ) -> dict[str, Any]:
        """Starts, or goes on where an earlier attempt with equal settings was.

        Args:
            settings: All that the result depends on; JSON.
            restart: Whether to throw away what is there.

        Returns:
            The settings, with the ``date`` of the first attempt.

        Raises:
            UsageError: If the file exists already, or an earlier attempt had
                other settings.
        """
        if restart:
            shutil.rmtree(self.path, ignore_errors=True)
        elif self.out.exists() and not self.path.exists():
            raise UsageError(
                f'{self.out} exists already. Take another name, or --restart '
                'to make it anew.'
            )
        file = self.path / _SETTINGS
        if file.exists():
            return self._compared(json.loads(file.read_text()), settings)
        self.path.mkdir(parents=True, exist_ok=True)
        started = dict(settings, date=_now())
        draft = file.with_suffix('.draft')
        draft.write_text(json.dumps(started))
        os.replace(draft, file)
        return started

    def remove(self) -> None:
        """Forgets the work, which is finished."""
        # Without its settings a half removed folder counts as none.
        (self.path / _SETTINGS).unlink()
        shutil.rmtree(self.path)

    def _compared(
        self, earlier: dict[str, Any], settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        now = json.loads(json.dumps(settings))
        keys = [key for key in now if key not in NAMES]
        changed = [key for key in keys if earlier.get(key) != now[key]]
        if changed:
            raise UsageError(
                f'{self.path} is of a labelling with other settings '
                f'({", ".join(changed)}), so it cannot be gone on with. Take '
                'another name, or --restart to throw it away.'
            )
        say(f'Going on with {self.path}.')
        return earlier


def _lock(file: IO[bytes], path: Path) -> bool:
    """Whether this process has the lock; it ends with the process."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # Some network file systems have no locks.
    # Whoever had it may have removed the file since it was opened here.
    opened = os.fstat(file.fileno())
    return path.exists() and os.path.samestat(opened, path.stat())


def _now() -> str:
    """The time, or that of SOURCE_DATE_EPOCH for files to be compared."""
    epoch = os.environ.get('SOURCE_DATE_EPOCH')
    if epoch is not None:
        return datetime.fromtimestamp(int(epoch), timezone.utc).isoformat()
    return datetime.now(timezone.utc).isoformat(timespec='seconds')
