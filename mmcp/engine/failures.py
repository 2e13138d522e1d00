"""Turns the usual mistakes in a config into one sentence.

mmengine reports a mistyped ``type`` or argument from ten frames down. The
frame where it happened knows the registry, the class and the arguments, which
is enough to name what was probably meant.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from mmengine.registry import Registry, build_from_cfg

from mmcp.checkpoints import CheckpointError
from mmcp.engine.config import UsageError
from mmcp.engine.nearest import did_you_mean, nearest

_BUILD = build_from_cfg.__code__
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
    """

    registry: Registry
    type: str
    target: Callable[..., Any] | None
    calls: int


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
        return _unknown_type(build) if known_sign else None
    if isinstance(error, TypeError):
        return _wrong_arguments(error, build)
    if isinstance(error, ValueError | NotImplementedError):
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
            found = _Build(values['registry'], name, target, calls)
    return found


def _unknown_type(build: _Build) -> str:
    registry = build.registry
    text = (
        f"There is no {registry.name} '{build.type}' (the default scope is "
        f"'{registry.scope}')."
    )
    wanted, _, bare = build.type.rpartition('.')
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


def _wrong_arguments(error: TypeError, build: _Build) -> str | None:
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


def _refused_arguments(error: Exception, build: _Build) -> str | None:
    """Passes on what a constructor of ours says about its arguments."""
    module = getattr(build.target, '__module__', '')
    if build.calls and module.partition('.')[0] == OWN_PACKAGE:
        return f'{build.type}: {error}'
    return None


def _no_file(error: FileNotFoundError) -> str:
    if error.filename is None:
        return str(error)
    path = Path(str(error.filename))
    text = f'{path} does not exist'
    parent = path.parent
    while not parent.is_dir():
        parent = parent.parent
    if parent != path.parent:
        text += f' (of its folders, {parent} is the last one that does)'
    return (
        f'{text}. A path in the config can be changed with --cfg-options, '
        'e.g. train_dataloader.dataset.data_root=PATH.'
    )
