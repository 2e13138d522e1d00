"""What the set-up remembers between runs: a lock and a stamp."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from envsetup.pins import FILES
from envsetup.progress import say

SCHEMA = 1  # grows when an existing environment has to be gone over again
STAMP = 'mmcp-env.json'  # inside the virtual environment
INPUTS = (
    *(f'requirements/{name}' for name in FILES),
    'requirements/onedl.txt',
    'setup.py',
    'mmcp/version.py',
    'mmcp/functional/_native.c',
)


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Holds a lock on a file, waiting for another run that has it.

    Yields:
        The lock's file descriptor.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say('another "make env" is at work here; waiting for it')
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def fingerprint(root: Path) -> str:
    """Returns a hash of all that decides what the environment holds."""
    digest = hashlib.sha256(f'{SCHEMA} {root}'.encode())
    for name in INPUTS:
        digest.update(b'\0' + (root / name).read_bytes())
    return digest.hexdigest()


def read_stamp(venv: Path) -> dict[str, str]:
    """Reads what a finished run left; empty if there is none."""
    try:
        stamp = json.loads((venv / STAMP).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_stamp(venv: Path, stamp: dict[str, str]) -> None:
    """Marks the environment as finished."""
    part = venv / f'{STAMP}.part'
    part.write_text(json.dumps(stamp, indent=1) + '\n', encoding='utf-8')
    os.replace(part, venv / STAMP)


def drop_stamp(venv: Path) -> None:
    """Marks the environment as unfinished."""
    (venv / STAMP).unlink(missing_ok=True)
