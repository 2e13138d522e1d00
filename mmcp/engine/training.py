"""Changes to a config that the flags of ``tools/train.py`` stand for."""

from mmengine.config import Config, ConfigDict
from mmengine.device import get_device

from mmcp.engine.config import UsageError

AMP = 'AmpOptimWrapper'
PLAIN = 'OptimWrapper'
TRAINING_HOOKS = ('mmcp.InterruptHook', 'mmcp.MidEpochResumeHook')
DETECTION_HOOKS = ('mmcp.ClassCountHook',)


def install_training_hooks(cfg: Config) -> None:
    """Adds the hooks that make a training stop and resume well.

    A detector's also compares its classes with those of the data.

    Args:
        cfg: The config, changed in place. A hook that it already has is left
            as it is.
    """
    hooks = cfg.get('custom_hooks') or []
    present = {hook.get('type') for hook in hooks if isinstance(hook, dict)}
    detects = cfg.get('default_scope') == 'mmdet'
    wanted = TRAINING_HOOKS + (DETECTION_HOOKS if detects else ())
    new = [name for name in wanted if name not in present]
    cfg.custom_hooks = [*hooks, *(ConfigDict(type=name) for name in new)]


def enable_amp(cfg: Config) -> None:
    """Trains in mixed precision.

    Args:
        cfg: The config, changed in place.

    Raises:
        UsageError: If the config has an optimizer wrapper of its own kind.
    """
    kind = cfg.optim_wrapper.get('type', PLAIN)
    if kind not in (PLAIN, AMP):
        raise UsageError(
            f'--amp replaces {PLAIN}, but the config uses {kind}; set its '
            'precision in the config.'
        )
    cfg.optim_wrapper.type = AMP
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def check_amp(cfg: Config) -> None:
    """Refuses mixed precision where there is no GPU.

    Args:
        cfg: The config.

    Raises:
        UsageError: If the config wants mixed precision on the CPU.
    """
    if cfg.optim_wrapper.get('type') == AMP and get_device() == 'cpu':
        raise UsageError(
            f'Mixed precision (--amp, {AMP}) needs a GPU, and torch finds '
            'none. Leave it out to train on the CPU.'
        )


def enable_auto_scale_lr(cfg: Config) -> None:
    """Scales the learning rate to the batch size of this run.

    Args:
        cfg: The config, changed in place.

    Raises:
        UsageError: If the config does not say for which batch size its
            learning rate is.
    """
    if not (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
        raise UsageError(
            'For --auto-scale-lr the config must say for which batch size '
            'its learning rate is: auto_scale_lr=dict(base_batch_size=...).'
        )
    cfg.auto_scale_lr.enable = True


def disable_validation(cfg: Config) -> None:
    """Trains without any validation.

    Args:
        cfg: The config, changed in place.
    """
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    # A best checkpoint is chosen by validation.
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    checkpoint.pop('save_best', None)


def require_training(cfg: Config) -> None:
    """Refuses a config that cannot be trained.

    Args:
        cfg: The config.

    Raises:
        UsageError: If a part is missing; the message lists all that are.
    """
    parts = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper')
    missing = [part for part in parts if cfg.get(part) is None]
    if missing:
        raise UsageError(
            f'{cfg.filename} cannot be trained: it has no '
            f'{", ".join(missing)}. Files under _base_/ are parts of configs.'
        )
