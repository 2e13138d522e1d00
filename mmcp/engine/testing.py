"""Changes to a config that the flags of ``tools/test.py`` stand for."""

import json
import os
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dist import master_only
from mmengine.hooks import LoggerHook

from mmcp.engine.config import UsageError

METRICS_FILE = 'test_metrics.json'
PROGRESS_LINES = 20
BOX_TTA = 'DetTTAModel'


def require_testing(cfg: Config) -> None:
    """Refuses a config that cannot be tested.

    Args:
        cfg: The config.

    Raises:
        UsageError: If a part is missing; the message lists all that are.
    """
    parts = ('model', 'test_dataloader', 'test_cfg', 'test_evaluator')
    missing = [part for part in parts if cfg.get(part) is None]
    if missing:
        raise UsageError(
            f'{cfg.filename} cannot be tested: it has no '
            f'{", ".join(missing)}. Files under _base_/ are parts of configs.'
        )


def is_segmentation(cfg: Config) -> bool:
    """Tells whether a config is one of MMSegmentation's kind."""
    return bool(cfg.get('default_scope') == 'mmseg')


def enable_drawing(
    cfg: Config, *, show: bool, show_dir: str | None, wait_time: float
) -> None:
    """Shows or saves pictures of the predictions.

    Args:
        cfg: The config, changed in place. It gets the visualisation hook of
            its kind if it has none.
        show: Whether to show them in a window.
        show_dir: Folder to save them in. MMDetection puts a relative one
            into the work directory.
        wait_time: Seconds that a window stays.

    Raises:
        UsageError: If there is no screen to show them on.
    """
    if show and not _has_screen():
        raise UsageError(
            '--show needs a screen, and DISPLAY is not set; save the pictures '
            'with --show-dir FOLDER instead.'
        )
    segmentation = is_segmentation(cfg)
    kind = 'Seg' if segmentation else 'Det'
    hooks = cfg.setdefault('default_hooks', ConfigDict())
    hook = hooks.setdefault(
        'visualization', ConfigDict(type=f'{kind}VisualizationHook')
    )
    hook.draw = True
    if show:
        hook.update(show=True, wait_time=wait_time)
    if cfg.get('visualizer') is None:
        cfg.visualizer = ConfigDict(
            type=f'{kind}LocalVisualizer',
            name='visualizer',
            vis_backends=[ConfigDict(type='LocalVisBackend')],
        )
    if show_dir and segmentation:
        cfg.visualizer.save_dir = show_dir
    elif show_dir:
        hook.test_out_dir = show_dir


def enable_tta(cfg: Config) -> None:
    """Averages predictions over augmented copies of an image.

    Args:
        cfg: The config, changed in place. A detector without ``tta_model``
            and ``tta_pipeline`` gets a horizontal flip.

    Raises:
        UsageError: If a segmentor lacks them, or if a detector predicts
            masks, which MMDetection cannot average.
    """
    parts = ('tta_model', 'tta_pipeline')
    missing = [part for part in parts if cfg.get(part) is None]
    if missing and is_segmentation(cfg):
        raise UsageError(
            f'--tta: the config has no {" and no ".join(missing)}.'
        )
    dataset = _innermost_dataset(cfg.test_dataloader.dataset)
    if cfg.get('tta_model') is None:
        cfg.tta_model = _detection_tta_model()
    if cfg.tta_model.type.endswith(BOX_TTA) and _predicts_masks(cfg.model):
        raise UsageError(
            f"--tta: MMDetection's {BOX_TTA} averages boxes only, and this "
            'model predicts masks. Test it without --tta, or set a tta_model '
            'that averages masks.'
        )
    if cfg.get('tta_pipeline') is None:
        cfg.tta_pipeline = _flip_pipeline(dataset.pipeline)
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    dataset.pipeline = cfg.tta_pipeline


def save_predictions(cfg: Config, out: str) -> None:
    """Saves all predictions.

    Args:
        cfg: The config, changed in place.
        out: A ``.pkl`` file: a list of one dictionary per image, masks as
            RLE. For segmentors also a folder, which gets one label image
            per image.

    Raises:
        UsageError: If ``out`` is neither.
    """
    if out.endswith(('.pkl', '.pickle')):
        kind = 'DumpResults' if is_segmentation(cfg) else 'DumpDetResults'
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        _metrics(cfg).append(ConfigDict(type=kind, out_file_path=out))
        return
    if not is_segmentation(cfg):
        raise UsageError(f"--out: '{out}' must end in .pkl or .pickle.")
    for metric in _metrics(cfg):
        if metric.type.endswith('IoUMetric'):
            metric.update(output_dir=out, keep_results=True)


def show_progress(runner: Any) -> None:
    """Has a test log its progress and remaining time about 20 times.

    mmengine's interval suits training; a short test would end before its
    first line.

    Args:
        runner: A runner whose ``test`` is about to be called.
    """
    batches = len(runner.test_loop.dataloader)
    for hook in runner.hooks:
        if isinstance(hook, LoggerHook):
            often = max(1, batches // PROGRESS_LINES)
            hook.interval = min(hook.interval, often)


@master_only  # type: ignore[untyped-decorator]
def write_metrics(
    metrics: dict[str, Any], work_dir: str, *, config: str, checkpoint: str
) -> None:
    """Prints metrics and writes them to ``test_metrics.json``.

    Args:
        metrics: From the name of a metric to its value.
        work_dir: Folder of the file.
        config: Path of the config, recorded in the file.
        checkpoint: Path of the checkpoint, recorded in the file.
    """
    path = Path(work_dir) / METRICS_FILE
    content = {'config': config, 'checkpoint': checkpoint, 'metrics': metrics}
    path.write_text(json.dumps(content, indent=2, default=_to_json) + '\n')
    for name, value in metrics.items():
        print(f'{name}: {value}')
    print(f'Metrics: {path}')


def _to_json(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        return value.tolist()
    return str(value)


def _has_screen() -> bool:
    if not sys.platform.startswith('linux'):
        return True
    return bool(os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY'))


def _innermost_dataset(dataset: ConfigDict) -> ConfigDict:
    while 'dataset' in dataset:
        dataset = dataset.dataset
    return dataset


def _predicts_masks(model: ConfigDict) -> bool:
    heads = (model, model.get('roi_head') or {})
    return any(head.get('mask_head') for head in heads)


def _detection_tta_model() -> ConfigDict:
    nms = ConfigDict(type='nms', iou_threshold=0.5)
    return ConfigDict(
        type=BOX_TTA, tta_cfg=ConfigDict(nms=nms, max_per_img=100)
    )


def _flip_pipeline(pipeline: list[ConfigDict]) -> list[ConfigDict]:
    """Ends a test pipeline with both flips in place of the packing."""
    flips = [ConfigDict(type='RandomFlip', prob=prob) for prob in (1.0, 0.0)]
    pack = deepcopy(pipeline[-1])
    keys = ('flip', 'flip_direction')
    usual = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
    present = tuple(pack.get('meta_keys', usual))
    pack.meta_keys = (*present, *(key for key in keys if key not in present))
    augment = ConfigDict(type='TestTimeAug', transforms=[flips, [pack]])
    return [*deepcopy(pipeline[:-1]), augment]


def _metrics(cfg: Config) -> list[ConfigDict]:
    """Returns the config's list of metrics, made one if it is a single."""
    evaluator = cfg.test_evaluator
    holder, key = cfg, 'test_evaluator'
    if isinstance(evaluator, dict) and 'metrics' in evaluator:
        holder, key = evaluator, 'metrics'
    if not isinstance(holder[key], list):
        holder[key] = [holder[key]]
    metrics: list[ConfigDict] = holder[key]
    return metrics
