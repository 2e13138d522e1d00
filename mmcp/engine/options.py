"""Merges ``--cfg-options`` into a config without swallowing slips."""

import argparse
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from mmcp.engine.config import UsageError
from mmcp.engine.messages import say
from mmcp.engine.nearest import did_you_mean, nearest

# A key this similar to one that exists is a slip, not a new key.
SLIP = 0.8
# What the runner, the tools or mmengine's Config read besides the runner's
# own arguments.
OTHER_KEYS = (
    'activation_checkpointing',
    'backend_args',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
    'tta_model',
    'tta_pipeline',
)


class OptionsAction(DictAction):  # type: ignore[misc]
    """``--cfg-options a.b=1 c=[x,y]``, with an error for what has no ``=``."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Adds options to those given before."""
        for value in values:
            if '=' not in value:
                parser.error(
                    f"{option_string}: '{value}' is not of the form "
                    'key=value (no spaces around =, quotes around lists).'
                )
        try:
            super().__call__(parser, namespace, values, option_string)
        except AssertionError as error:
            parser.error(f'{option_string}: {error}')


def merge_options(cfg: Config, options: Mapping[str, Any] | None) -> None:
    """Merges ``--cfg-options`` into a config; typing slips are errors.

    mmengine accepts any key, so a mistyped one changes nothing and says
    nothing. Here

    - a key at the top must be in the config or be read by the runner, and a
      name that only served to write the config, such as ``data_root``, has
      no effect any more: the keys that took its value are named;
    - below, a new key is accepted with a note in the log, since a config
      need not spell out the defaults of what it configures, unless a similar
      key exists beside it: that is taken for a slip. The rare key that is
      both new and similar goes into a config file.

    Args:
        cfg: The config, changed in place.
        options: Dotted keys and values, e.g. ``{'model.backbone.depth': 18}``.

    Raises:
        UsageError: If a key is unknown or has no effect, or if its parent
            can hold no keys.
    """
    if not options:
        return
    for key in options:
        _check_key(cfg, key)
        _check_effect(cfg, key)
    cfg.merge_from_dict(dict(options))


def check_names(cfg: Config) -> None:
    """Refuses names at the top of a config that look like mistyped keys.

    mmengine ignores the keys that it does not know: a leaf that sets
    ``optim_wraper`` trains with the settings of its base. Names that serve
    to write the config, such as ``data_root``, are no keys either; they are
    told by their value, which other keys took over, or by their words.

    Args:
        cfg: The config as it was loaded.

    Raises:
        UsageError: If a name is similar to a key and has no effect.
    """
    known = runner_keys()
    for name in cfg:
        if name in known:
            continue
        keys = [key for key in known if _may_be_slip(name, key)]
        meant = nearest(name, keys, SLIP)
        if meant and not _places(cfg, name):
            raise UsageError(
                f"{cfg.filename}: '{name}' has no effect. Did you mean "
                f"'{meant}'? If not, remove it or name it less similarly."
            )


def _may_be_slip(name: str, key: str) -> bool:
    """Compares word by word: train_pipeline is no tta_pipeline."""
    words, others = name.split('_'), key.split('_')
    if len(words) != len(others):
        return f'_{key}_' not in f'_{name}_'
    pairs = zip(words, others, strict=True)
    return all(nearest(word, [other]) is not None for word, other in pairs)


def runner_keys() -> list[str]:
    """Lists the keys at the top of a config that have an effect."""
    arguments = inspect.signature(Runner.__init__).parameters
    own = [name for name in arguments if name not in ('self', 'cfg')]
    return [*own, *OTHER_KEYS]


def _check_key(cfg: Config, key: str) -> None:
    node: Any = cfg
    done = ''
    for part in key.split('.'):
        if not part:
            raise UsageError(f"--cfg-options: '{key}' has an empty part.")
        if isinstance(node, Mapping | Config):
            if part not in node:
                _check_new_key(node, done, part, key)
                return
            node = node[part]
        elif _is_list(node):
            node = _element(node, done, part)
        else:
            raise UsageError(
                f"--cfg-options: '{key}' cannot be set, because '{done}' is "
                f'{node!r}, which has no keys.'
            )
        done = f'{done}.{part}' if done else part


def _check_new_key(node: Any, parent: str, part: str, key: str) -> None:
    if not parent:
        known = {*node.keys(), *runner_keys()}
        if part not in known:
            raise UsageError(
                f"--cfg-options: the config has no '{part}'."
                f'{did_you_mean(part, known)}'
            )
        return
    similar = nearest(part, node.keys(), SLIP)
    if similar:
        raise UsageError(
            f"--cfg-options: '{parent}' has no '{part}' (in '{key}'). Did you "
            f"mean '{similar}'? If it is new indeed, put it into a config."
        )
    say(
        f"--cfg-options: '{key}' is new in '{parent}', which has "
        f'{", ".join(map(str, node)) or "no keys"}.'
    )


def _is_list(node: Any) -> bool:
    return isinstance(node, Sequence) and not isinstance(node, str)


def _element(node: Sequence[Any], parent: str, part: str) -> Any:
    if part.isdecimal() and int(part) < len(node):
        return node[int(part)]
    raise UsageError(
        f"--cfg-options: '{parent}' is a list of {len(node)}; "
        f"'{part}' is not one of its indices 0 to {len(node) - 1}."
    )


def _check_effect(cfg: Config, key: str) -> None:
    """Refuses a name whose value the config has already handed out."""
    name = key.split('.', 1)[0]
    if name in runner_keys() or name not in cfg:
        return
    places = _places(cfg, name)
    if places:
        raise UsageError(
            f"--cfg-options: '{name}' is only a name in the config file, and "
            'changing it does not change what was made from it. Set '
            f'{_some(places)} instead.'
        )


def _places(cfg: Config, name: str) -> list[str]:
    """Finds the keys that took over the value of a name in the file."""
    return [
        place
        for top in runner_keys()
        if top in cfg
        for place, value in leaves(cfg[top], top)
        if _came_from(name, cfg[name], place, value)
    ]


def leaves(node: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yields a value and all below it, each with its dotted key.

    Args:
        node: Part of a config.
        place: Its dotted key.

    Yields:
        Dotted key and value.
    """
    yield place, node
    if isinstance(node, Mapping):
        items: Any = node.items()
    elif _is_list(node):
        items = enumerate(node)
    else:
        return
    for key, value in items:
        yield from leaves(value, f'{place}.{key}')


def _came_from(name: str, origin: Any, place: str, value: Any) -> bool:
    if place.rpartition('.')[2] == name:
        return bool(value == origin)
    if isinstance(origin, str):
        return bool(origin) and str(value).startswith(origin)
    composed = isinstance(origin, Mapping) or _is_list(origin)
    return composed and bool(origin) and value == origin


def _some(names: Sequence[str], limit: int = 4) -> str:
    shown = ', '.join(names[:limit])
    more = len(names) - limit
    return f'{shown} (and {more} more)' if more > 0 else shown
