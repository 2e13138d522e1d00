"""Where pseudo-labels come from: what the result depends on."""

import hashlib
import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmcp.self_training.teacher import prediction_pipeline
from mmcp.self_training.thresholds import ScoreThresholds

_STACK = ('mmcp', 'mmdet', 'mmengine', 'mmcv', 'torch')


def describe(
    cfg: Config, checkpoint: str, thresholds: ScoreThresholds
) -> dict[str, Any]:
    """Describes a teacher.

    Args:
        cfg: Its config.
        checkpoint: Path or address of its weights.
        thresholds: Scores from which on its predictions are kept.

    Returns:
        Names and hashes of config (model and test pipeline) and checkpoint,
        thresholds, and versions of the packages. JSON.
    """
    content = dict(model=cfg.model, pipeline=prediction_pipeline(cfg))
    text = json.dumps(content, sort_keys=True, default=str)
    return dict(
        config=str(cfg.filename),
        config_sha256=hashlib.sha256(text.encode()).hexdigest(),
        checkpoint=checkpoint,
        checkpoint_sha256=_hash_of_file(checkpoint),
        score_threshold=thresholds.default,
        class_thresholds=dict(sorted(thresholds.by_class.items())),
        versions={n: import_module(n).__version__ for n in _STACK},
    )


def dataset_info(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The ``info`` of a COCO file with pseudo-labels.

    Args:
        settings: How they were made, with the ``date``.

    Returns:
        The settings below ``pseudo_labels``, and what COCO's files have.
    """
    elsewhere = ('date', 'categories')
    kept = {k: v for k, v in settings.items() if k not in elsewhere}
    return dict(
        description='Pseudo-labels, made by tools/pseudo_label.py of mmcp',
        date_created=settings['date'],
        pseudo_labels=kept,
    )


def _hash_of_file(path: str) -> str | None:
    """SHA-256 of a local file, None for what is read from an address."""
    if not Path(path).is_file():
        return None
    with open(path, 'rb') as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
