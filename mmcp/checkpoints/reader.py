"""Opens checkpoint files without running code that they may carry.

A checkpoint is a pickle, and a pickle is a program. ``torch.load`` has a
safe mode, but mmengine falls back to the unsafe one when the safe one
refuses a file, so a hostile file runs code through ``--resume``,
``load_from``, ``init_cfg`` and the argument of ``tools/test.py``. The reader
here has no fallback.
"""

import argparse
import pickle
import re
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Any, TypeAlias
from zipfile import is_zipfile

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer

MapLocation: TypeAlias = (
    'str | torch.device | dict[str, str] | Callable[..., Any] | None'
)

TRUST_FLAG = '--trust-checkpoint'
# Up to 2.5.1 a crafted file escapes the safe mode (CVE-2025-32434).
FIRST_SAFE_TORCH = (2, 6)

_HISTORY_METHODS = ('min', 'max', 'mean', 'current')
_NUMBER_CODES = '?bBhHiIlLqQefdgFDGSU'
_FORBIDDEN = re.compile(r'GLOBAL (?P<name>[\w.]+)')
_REFUSED = (
    'Trying to call reduce',
    'Can only create new object',
    'Can only build',
    'persistent_load',
)


class CheckpointError(RuntimeError):
    """A checkpoint cannot be used; the message says what to do about it."""


class UnsafeCheckpointError(CheckpointError):
    """A checkpoint holds more than data and was not opened."""


class BrokenCheckpointError(CheckpointError):
    """A file is damaged, cut short, or no checkpoint at all."""


def read_checkpoint(
    source: str | Path | IO[bytes],
    map_location: MapLocation = 'cpu',
    *,
    trust: bool = False,
    name: str | None = None,
    mmap: bool = False,
) -> dict[str, Any]:
    """Reads a checkpoint with ``weights_only=True`` and no way around it.

    Besides tensors and plain containers, the types that mmengine's own
    checkpoints hold are accepted: ``HistoryBuffer``, ``ConfigDict`` and numpy
    numbers and arrays; and ``argparse.Namespace``, in which DINO, PixPro and
    PyContrast keep their arguments.

    Args:
        source: Path of a local file, or an open binary file.
        map_location: Where tensors go, see ``torch.load``. Defaults to
            'cpu'.
        trust: Read with ``weights_only=False``. The file can then run any
            code with the rights of the user. Defaults to False.
        name: What errors call the file. Defaults to None, the path.
        mmap: Map the tensors instead of reading them, where the format
            allows it: cheap for a look at ``meta``. Defaults to False.

    Returns:
        The checkpoint.

    Raises:
        FileNotFoundError: If there is no such file.
        UnsafeCheckpointError: If the file holds anything but data, or if
            this torch has no safe mode that can be relied on.
        BrokenCheckpointError: If the file is damaged or no checkpoint.

    Examples:
        >>> import io, torch
        >>> file = io.BytesIO()
        >>> torch.save(dict(state_dict=dict(weight=torch.ones(1))), file)
        >>> _ = file.seek(0)
        >>> read_checkpoint(file)['state_dict']['weight'].item()
        1.0
    """
    if isinstance(source, str | Path):
        source = _existing_file(Path(source).expanduser())
        name = name or str(source)
    name = name or str(getattr(source, 'name', 'the checkpoint'))
    if not trust:
        _require_safe_torch(name)
    try:
        content = _load(source, map_location, trust, mmap)
    except Exception as error:
        cut_short = isinstance(error, EOFError) or _is_cut_zip(source)
        raise _explain(error, name, trust, cut_short) from error
    if not isinstance(content, dict):
        raise BrokenCheckpointError(
            f'{name} holds a {type(content).__name__}, not a checkpoint: a '
            "dictionary of weights, or one with a 'state_dict', is needed."
        )
    return content


def _existing_file(path: Path) -> Path:
    if path.is_dir():
        raise FileNotFoundError(
            f'{path} is a folder, not a checkpoint file; give the .pth file '
            'in it.'
        )
    if not path.is_file():
        raise FileNotFoundError(
            f'Checkpoint {path} does not exist.{_similar_file(path)}'
        )
    return path


def _similar_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f' Nor does its folder {path.parent}.'
    names = [item.name for item in path.parent.iterdir() if item.is_file()]
    similar = get_close_matches(path.name, names, n=1)
    return f' Did you mean {path.parent / similar[0]}?' if similar else ''


def _require_safe_torch(name: str) -> None:
    major, minor = torch.__version__.split('.')[:2]
    if (int(major), int(minor)) < FIRST_SAFE_TORCH:
        raise UnsafeCheckpointError(
            f'{name} was not opened: torch {torch.__version__} cannot open '
            'a checkpoint safely (CVE-2025-32434). Upgrade to torch 2.6 or '
            f'later, or, if you trust whoever made the file, add {TRUST_FLAG} '
            '(in Python: trust=True).'
        )


def _load(
    source: Path | IO[bytes],
    map_location: MapLocation,
    trust: bool,
    mmap: bool,
) -> Any:
    mmap = mmap and isinstance(source, Path) and is_zipfile(source)
    known = set(torch.serialization.get_safe_globals())
    ours = [item for item in _allowed_types() if item not in known]
    with torch.serialization.safe_globals(ours):
        return torch.load(
            source,
            map_location=map_location,
            weights_only=not trust,
            mmap=mmap or None,
        )


def _allowed_types() -> list[Any]:
    """Lists what mmengine's checkpoints hold besides tensors.

    numpy's two functions are listed under the names of numpy 1 and 2, so
    that files travel between them. ``getattr`` is how a pickle spells
    ``HistoryBuffer.mean``; mmengine allows all of ``getattr``, which lends
    any attribute of any allowed object to the file, hence the replacement.
    """
    multiarray = getattr(np, '_core', None) or np.core
    functions = [
        (getattr(multiarray.multiarray, function), f'{module}.{function}')
        for module in ('numpy.core.multiarray', 'numpy._core.multiarray')
        for function in ('_reconstruct', 'scalar')
    ]
    dtypes = {type(np.dtype(code)) for code in _NUMBER_CODES}
    history = (_history_method, 'builtins.getattr')
    types = [HistoryBuffer, ConfigDict, argparse.Namespace]
    types += [np.ndarray, np.dtype, *dtypes]
    return [*types, *functions, history]


def _history_method(owner: object, method: str) -> Any:
    """Stands in for ``getattr`` while a checkpoint is read."""
    if owner is HistoryBuffer and method in _HISTORY_METHODS:
        return getattr(owner, method)
    # Worded like torch's own refusal, so that both are read the same way.
    raise pickle.UnpicklingError(
        'Unsupported global: GLOBAL builtins.getattr was not an allowed '
        f'global for {method!r}'
    )


def _explain(
    error: Exception, name: str, trust: bool, cut_short: bool
) -> Exception:
    text = str(error)
    if isinstance(error, pickle.UnpicklingError) and not trust:
        forbidden = _FORBIDDEN.search(text)
        if forbidden:
            return _refusal(name, f"'{forbidden['name']}'")
        if any(words in text for words in _REFUSED):
            return _refusal(name, 'a call that builds an object')
    if 'TorchScript' in text and not trust:
        return _refusal(name, 'a TorchScript program')
    if cut_short or 'unexpected EOF' in text:
        return BrokenCheckpointError(
            f'{name} is empty or cut short: the download or the last write '
            'did not finish. Fetch it again, or resume from an older '
            'checkpoint.'
        )
    # What torch says of a bad pickle advises to open it unsafely.
    reason = type(error).__name__
    if not isinstance(error, pickle.UnpicklingError):
        reason += f': {_first_line(text)}'
    return BrokenCheckpointError(
        f'{name} is not a checkpoint written by torch.save, or it is '
        f'damaged ({reason}).'
    )


def _is_cut_zip(source: Path | IO[bytes]) -> bool:
    """Tells whether a file starts as a zip archive but does not end as one.

    torch reports these in many ways, depending on where the cut is.
    """
    if isinstance(source, Path):
        with source.open('rb') as file:
            return _is_cut_zip(file)
    source.seek(0)
    return source.read(4) == b'PK\x03\x04' and not is_zipfile(source)


def _refusal(name: str, content: str) -> UnsafeCheckpointError:
    return UnsafeCheckpointError(
        f'{name} was not opened: besides weights it holds {content}, which '
        'could run any code on this machine. Nothing of it was run. If you '
        f'trust whoever made the file, add {TRUST_FLAG} (in Python: '
        'trust=True).'
    )


def _first_line(text: str) -> str:
    return text.strip().split('\n', 1)[0][:200]
