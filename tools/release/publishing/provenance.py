"""Which config a checkpoint comes from, by what the checkpoint says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmcp.checkpoints.config_text import config_of
from mmcp.engine.config import UsageError, load_config
from mmcp.engine.devices import SYNC_BATCH_NORMS
from mmcp.engine.messages import say
from mmcp.engine.options import leaves
from publishing.fitting import is_harmless
from publishing.naming import recorded_stem

RENAMED_FLAG = '--renamed'
# What makes a training; the rest is about the machine and the log.
_RECIPE = (
    'model',
    'train_dataloader',
    'train_cfg',
    'optim_wrapper',
    'param_scheduler',
)
_OF_THE_MACHINE = {
    'ann_file',
    'backend_args',
    'data_prefix',
    'data_root',
    'num_workers',
    'persistent_workers',
    'pin_memory',
    'prefetch_factor',
    'sources',
}
_SHOWN = 5


def known_config(
    path: Path | None, recorded: Mapping[str, Any], *, trust: bool
) -> Config | None:
    """The config whose model the checkpoint must fit.

    Args:
        path: What the user gave as the config, or None.
        recorded: What the checkpoint says was its config.
        trust: Whether the checkpoint may run code.

    Returns:
        The user's config, or else model and scope of the recorded one. None,
        and a line on stderr, if there is none that can be used here.

    Raises:
        UsageError: If the user's config is wrong or has no model.
    """
    if path is not None:
        return _given_config(path)
    model = recorded.get('model')
    if not isinstance(model, Mapping):
        say('NOT COMPARED with a model: no config is known. Give --config.')
        return None
    keys = ('model', 'default_scope')
    used = {key: recorded[key] for key in keys if key in recorded}
    if not (trust or is_harmless(used)):
        say(
            "NOT COMPARED with a model: the checkpoint's config names what "
            'is to be imported, which could run anything. Give --config.'
        )
        return None
    return Config(used)


def require_same_config(
    path: Path,
    config: Config | None,
    checkpoint: Mapping[str, Any],
    *,
    renamed: bool,
) -> None:
    """Compares the user's config with what the checkpoint says of its own.

    Under the same name, other settings are told on stderr: options of the
    command line may have changed them. A config of another name must have the
    same settings, but for those of the machine.

    Args:
        path: The user's config.
        config: What is in it; None if it cannot be loaded here.
        checkpoint: What the file of the training holds.
        renamed: Whether the user says that it is the same training.

    Raises:
        UsageError: If the checkpoint is of another config.
    """
    said = recorded_stem(checkpoint.get('meta'))
    recorded = config_of(checkpoint)
    comparable = config is not None and 'model' in recorded
    differing = _differences(config, recorded) if comparable else []
    if renamed or said == path.stem:
        if differing:
            say(f'Not trained as {path} has it: {_some(differing)}.')
        return
    if differing:
        reason = f'they differ in {_some(differing)}'
    elif said and not comparable:
        reason = 'their settings cannot be compared'
    else:
        return
    raise UsageError(
        'the checkpoint was trained with '
        f'{f"{said}.py" if said else "another config"}, not {path.name}; '
        f'{reason}. Give the config it was trained with, or {RENAMED_FLAG} if '
        'it is the same training under a new name.'
    )


def _given_config(path: Path) -> Config | None:
    try:
        config = load_config(path)
    except UsageError as error:
        if not isinstance(error.__cause__, ImportError):
            raise
        say(f'NOT COMPARED with a model: {error}')
        return None
    if 'model' not in config:
        raise UsageError(
            f'{path} describes no model; give the config of the training'
        )
    return config


def _differences(config: Config, recorded: Mapping[str, Any]) -> list[str]:
    # As text and back, as the recorded one went.
    text = config_of(dict(meta=dict(cfg=config.pretty_text)))
    ours, theirs = _settings(text), _settings(recorded)
    absent = object()
    return [
        place
        for place in sorted(ours.keys() | theirs.keys())
        if ours.get(place, absent) != theirs.get(place, absent)
    ]


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's values by dotted key, synchronised or not."""
    return {
        place: 'BN' if value in SYNC_BATCH_NORMS else value
        for root in _RECIPE
        if root in config
        for place, value in leaves(config[root], root)
        if not isinstance(value, Mapping | list | tuple)
        and not _OF_THE_MACHINE & {*place.split('.')}
    }


def _some(places: list[str]) -> str:
    more = len(places) - _SHOWN
    return ', '.join(places[:_SHOWN]) + (f' and {more} more' * (more > 0))
