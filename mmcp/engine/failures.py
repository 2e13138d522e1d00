"""Turns the usual mistakes in a config into one sentence.

mmengine reports a mistyped ``type`` or argument from ten frames down. The
frame where it happened knows the registry, the class and the arguments, which
is enough to name what was probably meant.
"""

import inspect
import os
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.registry import Registry, build_from_cfg
from torch.utils.data import DataLoader

from mmcp.checkpoints import CheckpointError
from mmcp.engine.config import UsageError
from mmcp.engine.nearest import did_you_mean, nearest
from mmcp.engine.options import leaves, runner_keys

_BUILD = build_from_cfg.__code__
_DATA_LOADER = DataLoader.__init__.__code__
# Of these, a constructor's argument is the usual cause.
_REFUSALS = (
    ValueError,
    TypeError,
    KeyError,
    AssertionError,
    NotImplementedError,
)
# How a worker process's error ends, which has no file name any more.
_NO_FILE = re.compile(r"No such file or directory: '(?P<path>[^']+)'\s*$")
_UNEXPECTED = re.compile(r"unexpected keyword argument '(?P<name>\w+)'")
_MISSING = re.compile(r'missing \d+ required (positional|keyword-only) arg')
OWN_PACKAGE = 'mmcp'


class _Build(NamedTuple):
    """One object under construction when an error came.

    Attributes:
        registry: Where it was looked up.
        type: What the config calls it.
        target: The class or function, None if it was not found.
        calls: Number of frames below its constructor's caller.
        options: What the config passes to it.
    """

    registry: Registry
    type: str
    target: Callable[..., Any] | None
    calls: int
    options: Mapping[str, Any]


def explain(error: BaseException) -> str | None:
    """Describes an error whose cause is in the config or the command.

    Args:
        error: What a tool raised.

    Returns:
        A message for the user, or None if the error is of another kind and
        its traceback should be shown.
    """
    if isinstance(error, UsageError | CheckpointError):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return _no_file(error)
    build = _innermost_build(error)
    if build is None:
        return None
    if not build.type:
        return f"A {build.registry.name} in the config has no 'type': {error}"
    if build.target is None:
        # Anything else is a package that fails to import.
        known_sign = isinstance(error, KeyError) or 'Failed to get' in str(
            error
        )
        if not known_sign:
            return None
        return unknown_type(build.registry, build.type)
    if isinstance(error, TypeError):
        return _wrong_arguments(error, build)
    if isinstance(error, _REFUSALS):
        return _refused_arguments(error, build)
    return None


def _frames(error: BaseException) -> Iterator[FrameType]:
    step = error.__traceback__
    while step:
        yield step.tb_frame
        step = step.tb_next


def _innermost_build(error: BaseException) -> _Build | None:
    frames = list(_frames(error))
    found = None
    for index, frame in enumerate(frames):
        values = frame.f_locals
        if frame.f_code is _BUILD and 'registry' in values:
            kind = values.get('obj_type', values['cfg'].get('type', ''))
            target = values.get('obj_cls')
            calls = len(frames) - index - 1
            name = kind if isinstance(kind, str) else kind.__name__
            found = _Build(
                values['registry'], name, target, calls, values['cfg']
            )
        elif frame.f_code is _DATA_LOADER and found is not None:
            # mmengine builds it without a registry, inside of a loop.
            calls = len(frames) - index
            found = _Build(found.registry, 'DataLoader', DataLoader, calls, {})
    return found


def unknown_type(registry: Registry, name: str) -> str:
    """Says that a type is not registered and which one was meant.

    Args:
        registry: Where it was looked up.
        name: The type as the config has it.

    Returns:
        A message for the user.
    """
    text = (
        f"There is no {registry.name} '{name}' (the default scope is "
        f"'{registry.scope}')."
    )
    wanted, _, bare = name.rpartition('.')
    names = _registered(registry, wanted)
    if wanted:
        wanted = nearest(wanted, {scope for scope, _ in names.values()}) or ''
    found = nearest(bare, (plain for _, plain in names.values()))
    same = [full for full, (_, plain) in names.items() if plain == found]
    if not same:
        return text
    # The scope that the user named comes first, then the default one.
    best = min(same, key=lambda full: (names[full][0] != wanted, len(full)))
    return f"{text} Did you mean '{best}'?"


def _registered(registry: Registry, wanted: str) -> dict[str, tuple[str, str]]:
    """Lists what could have been meant.

    Args:
        registry: Where the name was looked up.
        wanted: Scope that the user named, empty for none.

    Returns:
        From the name as a config writes it to its scope and plain name.
    """
    root = registry.root
    names = {}
    for child in (*root.children.values(), root, registry):
        if child.scope in (wanted, registry.scope, OWN_PACKAGE):
            child.import_from_location()
        bare = child in (registry, root)
        for name in child.module_dict:
            full = name if bare else f'{child.scope}.{name}'
            names[full] = (child.scope, name)
    return names


def _wrong_arguments(error: TypeError, build: _Build) -> str:
    text = str(error)
    known = _arguments(build.target)
    unexpected = _UNEXPECTED.search(text)
    if unexpected and unexpected['name'] not in known:
        name = unexpected['name']
        return (
            f"{build.type} has no argument '{name}'."
            f'{did_you_mean(name, known)} It takes: {", ".join(known)}.'
        )
    if _MISSING.search(text) and build.calls == 0:
        reason = text.split('() ', 1)[-1]
        return f'{build.type} is {reason}. It takes: {", ".join(known)}.'
    return _refused_arguments(error, build)


def _arguments(target: Callable[..., Any] | None) -> list[str]:
    """Lists argument names, those that reach a parent class included."""
    functions: list[Any] = [target]
    if inspect.isclass(target):
        functions = [
            vars(parent)['__init__']
            for parent in target.__mro__
            if '__init__' in vars(parent) and parent is not object
        ]
    named = (
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
    )
    names: list[str] = []
    for function in functions:
        parameters = inspect.signature(function).parameters.values()
        names += [p.name for p in parameters if p.kind in named]
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            break
    return [name for name in dict.fromkeys(names) if name != 'self']


def _refused_arguments(error: BaseException, build: _Build) -> str:
    """Passes on what a constructor says about its arguments."""
    reason = _reason(error)
    module = getattr(build.target, '__module__', '')
    if build.calls and module.partition('.')[0] == OWN_PACKAGE:
        return f'{build.type}: {reason}'
    given = ', '.join(
        f'{name}={value!r}'
        for name, value in build.options.items()
        if name != 'type' and isinstance(value, bool | int | float | str)
    )
    given = f' ({_shortened(given)})' if given else ''
    return (
        f'{build.type} refused its arguments{given}: {reason.rstrip(".")}; '
        '--traceback shows where.'
    )


def _reason(error: BaseException) -> str:
    """Returns what an error says, in one line and never empty."""
    text = ' '.join(str(error).split())
    if isinstance(error, KeyError):
        # Its text is the repr of what should be a key, or of a sentence.
        sentence = str(error.args[0]) if error.args else ''
        text = sentence if ' ' in sentence else f'KeyError: {text}'
    elif not text:
        line = traceback.extract_tb(error.__traceback__)[-1].line
        text = f'{type(error).__name__} at `{line}`'
    return _shortened(text, 300)


def _shortened(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else f'{text[: limit - 3]}...'


def _no_file(error: FileNotFoundError) -> str:
    name = error.filename
    if name is None:
        found = _NO_FILE.search(str(error))
        if found is None:
            return str(error)
        name = found['path']
    path = Path(os.fsdecode(name))
    text = f'{path} does not exist'
    parent = path.parent
    while not parent.is_dir():
        parent = parent.parent
    if parent not in (path.parent, Path()):
        text += f' (of its folders, {parent} is the last one that does)'
    return f'{text}. {_path_hint(path, _config_of(error))}'


def _config_of(error: BaseException) -> Config | None:
    """Finds the config that a tool works with."""
    for frame in _frames(error):
        cfg = frame.f_locals.get('cfg')
        if isinstance(cfg, Config):
            return cfg
    return None


def _path_hint(path: Path, cfg: Config | None) -> str:
    """Says how to put a file where it is looked for, or look elsewhere."""
    root, places = _places_of(path, cfg) if cfg else (None, [])
    if not places:
        return 'A path in the config can be changed with --cfg-options.'
    change = f'with --cfg-options, set {", ".join(places)}'
    if root is None:
        return f'To look elsewhere, {change}.'
    make = '' if root.parent.is_dir() else f'mkdir -p {root.parent} && '
    return (
        f'Link the data there ({make}ln -s /path/to/{root.name} {root}) or, '
        f'to look elsewhere, {change}.'
    )


def _places_of(path: Path, cfg: Config) -> tuple[Path | None, list[str]]:
    """Finds the keys of a config that lead to a missing file.

    Returns:
        - The data root that is missing, None if it is only the file.
        - Dotted keys: those with the data root, or with the file's own name.
    """
    paths = {
        place: Path(value)
        for top in runner_keys()
        for place, value in leaves(cfg.get(top), top)
        if isinstance(value, str) and value
    }
    for place, root in paths.items():
        if not place.endswith('.data_root') or root.exists():
            continue
        if path.is_relative_to(root):
            return root, [
                place
                for place, value in paths.items()
                if value == root
                or (_from_here(place) and value.is_relative_to(root))
            ]
    return None, [
        place
        for place, value in paths.items()
        if value.parts and path.parts[-len(value.parts) :] == value.parts
    ]


def _from_here(place: str) -> bool:
    """Whether a key's path is whole, not one below a ``data_root``.

    Those of evaluators are, and of losses that count classes.
    """
    return '_evaluator' in place or (
        place.startswith('model.') and place.endswith('.ann_file')
    )
