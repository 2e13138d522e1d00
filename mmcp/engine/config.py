"""Loads a config, and says in one sentence what is wrong with one."""

import traceback
from pathlib import Path

from mmengine.config import Config

from mmcp.engine.nearest import nearest_file


class UsageError(Exception):
    """The user can mend it; the message says how."""


def load_config(path: str | Path) -> Config:
    """Loads a config file.

    Args:
        path: Path of a ``.py``, ``.json`` or ``.yaml`` config.

    Returns:
        The config.

    Raises:
        UsageError: If the file or one of its bases is missing (the nearest
            one is named) or cannot be evaluated (the line is named).
    """
    path = Path(path)
    if path.suffix in ('.pth', '.pt', '.pkl'):
        raise UsageError(
            f'{path} is a checkpoint, not a config; the config comes first.'
        )
    if not path.is_file():
        raise UsageError(_missing(path))
    try:
        return Config.fromfile(str(path))
    except FileNotFoundError as error:
        base = _quoted_path(str(error))
        if base is None:
            raise UsageError(f'{path}: {error}') from error
        raise UsageError(f'_base_ of {path}: {_missing(base)}') from error
    except Exception as error:
        raise UsageError(
            f'{path} cannot be evaluated{_line(error)}: '
            f'{type(error).__name__}: {error}'
        ) from error


def _missing(path: Path) -> str:
    if path.is_dir():
        return f'{path} is a folder; give a config file in it.'
    text = f'Config {_relative(path)} does not exist.'
    roots = [Path('configs'), Path(__file__).parents[2] / 'configs']
    found = nearest_file(path, roots)
    if found:
        return f'{text} Did you mean {_relative(found)}?'
    folders = next(filter(None, map(_config_folders, roots)), [])
    return (
        f'{text} There are some in {", ".join(folders)}.' if folders else text
    )


def _config_folders(root: Path) -> list[str]:
    """Lists the folders below a root that hold whole configs."""
    found = {
        str(_relative(file.parent))
        for file in root.glob('**/*.py')
        if '_base_' not in file.parts
    }
    return sorted(found)


def _relative(path: Path) -> Path:
    absolute = path.resolve()
    here = Path.cwd()
    return absolute.relative_to(here) if here in absolute.parents else path


def _quoted_path(text: str) -> Path | None:
    """Finds the path in mmengine's or Python's 'no such file' message."""
    for word in text.replace('"', "'").split("'"):
        if word.endswith(('.py', '.json', '.yaml', '.yml')):
            return Path(word)
    return None


def _line(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f' (line {error.lineno})'
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame.lineno for frame in frames if frame.name == '<module>']
    return f' (line {own[-1]})' if own else ''
