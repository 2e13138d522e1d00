"""The demo's report: what was trained, how it went, what came out."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import set_random_seed
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from mmcp.demo.categories import CLASSES, PALETTE
from mmcp.demo.evaluation import Metrics
from mmcp.demo.reading import read_annotations, read_image
from mmcp.visualization.curves import Panel, Scalars, plot_curves
from mmcp.visualization.draw import draw_instances
from mmcp.visualization.report import Picture, Report
from mmcp.visualization.samples import draw_sample

Predictions = Sequence[Mapping[str, Any]]

COCO_CONFIG = (
    'configs/copy_paste/mask-rcnn_r50_fpn_8xb8-lsj-scp-270k_coco-1024.py'
)
GOAL = 0.4  # mask AP50 over the frequent categories
MIN_SCORE = 0.5
_SCALE = 2  # enlargement of the pictures
_LOSSES = {
    'loss': 'all',
    'loss_cls': 'class',
    'loss_bbox': 'box',
    'loss_mask': 'mask',
    'loss_rpn_cls': 'proposal',
    'loss_rpn_bbox': 'proposal box',
}
_METRICS = {
    'coco/segm_mAP_50': 'mask AP50',
    'coco/bbox_mAP_50': 'box AP50',
    'coco/segm_mAP': 'mask AP',
    'coco/bbox_mAP': 'box AP',
}


def write_demo_report(
    path: str | os.PathLike[str],
    *,
    cfg: Config,
    data_root: str | os.PathLike[str],
    metrics: Metrics,
    scalars: Scalars,
    predictions: Predictions,
    command: str,
) -> Path:
    """Write the report of a finished demo.

    Args:
        path: HTML file to write.
        cfg: Config that was trained; its training pipeline is run for the
            pictures.
        data_root: Folder of the sample.
        metrics: From `mmcp.demo.evaluation.evaluate`, with `iterations` and
            `train_seconds` added.
        scalars: From `mmcp.visualization.read_scalars`.
        predictions: What `DumpDetResults` wrote for the validation images.
        command: What the user ran.

    Returns:
        The path.
    """
    report = Report(
        'Copy-Paste on the built-in sample',
        'Mask R-CNN, trained from random weights on 60 pictures in which '
        'Copy-Paste puts objects of one picture into another.',
    )
    report.cards(_cards(metrics))
    report.section('What the model was trained on')
    report.text(
        'Both pictures of a pair are resized by a random factor (large scale '
        'jitter), cropped and flipped; then a random subset of the objects '
        'of one is pasted into the other, and the masks and boxes of what '
        'they cover are cut. Gray is padding.'
    )
    report.pictures(draw_training_samples(cfg))
    report.section('How the training went')
    report.svg(
        plot_curves(_panels(scalars)),
        'Loss on the augmented training pictures; AP on the validation '
        'pictures.',
    )
    report.section('Predictions beside the ground truth')
    report.text(
        'Left the ground truth, right what the model predicts with a score '
        f'of at least {MIN_SCORE:g}. Pictures at equal distances through the '
        'validation split, not chosen by result.'
    )
    report.pictures(draw_comparisons(data_root, predictions), cell=28)
    _add_numbers(report, metrics)
    _add_commands(report, cfg, command)
    return report.write(path)


def draw_training_samples(cfg: Config, count: int = 12) -> list[Picture]:
    """Run the training pipeline of a config and draw what comes out.

    Args:
        cfg: Config with `train_dataloader`.
        count: Number of pictures. Defaults to 12.

    Returns:
        The pictures; the same ones every time.
    """
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    set_random_seed(0)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    pictures = []
    for index in _spread(len(dataset), count):
        sample = dataset[index]
        number = len(sample['data_samples'].gt_instances)
        image = draw_sample(sample, CLASSES, PALETTE, scale=_SCALE)
        pictures.append(Picture([image], f'{number} objects'))
    return pictures


def draw_comparisons(
    data_root: str | os.PathLike[str],
    predictions: Predictions,
    count: int = 8,
) -> list[Picture]:
    """Draw ground truth and predictions of validation pictures.

    Args:
        data_root: Folder of the sample.
        predictions: What `DumpDetResults` wrote.
        count: Number of pairs. Defaults to 8.

    Returns:
        The pairs.
    """
    root = Path(data_root)
    coco = read_annotations(root, 'val')
    pictures = []
    for index in _spread(len(predictions), count):
        prediction = predictions[index]
        info = coco.imgs[prediction['img_id']]
        image = read_image(root / 'val' / info['file_name'])
        truth = coco.imgToAnns[info['id']]
        found = _confident(prediction['pred_instances'])
        images = [_draw_truth(coco, image, truth), _draw_found(image, found)]
        caption = (
            f'{info["file_name"]}: {len(truth)} objects, '
            f'{len(found["labels"])} predicted'
        )
        pictures.append(Picture(images, caption))
    return pictures


def _spread(total: int, count: int) -> list[int]:
    """Up to `count` indices at equal distances."""
    count = min(total, count)
    return [index * total // count for index in range(count)]


def _confident(instances: Mapping[str, Any]) -> dict[str, Any]:
    """Predictions above the score, the best last and so on top."""
    scores = np.asarray(instances['scores'])
    order = np.argsort(scores, kind='stable')
    order = order[scores[order] >= MIN_SCORE]
    return {
        'boxes': np.asarray(instances['bboxes'])[order],
        'labels': np.asarray(instances['labels'])[order],
        'scores': scores[order],
        'masks': [instances['masks'][i] for i in order],
    }


def _draw_found(
    image: NDArray[np.uint8], found: dict[str, Any]
) -> NDArray[np.uint8]:
    masks = np.zeros((0, *image.shape[:2]), dtype=np.uint8)
    if found['masks']:
        masks = coco_mask.decode(found['masks']).transpose(2, 0, 1)
    return draw_instances(
        image,
        **{**found, 'masks': masks},
        class_names=CLASSES,
        palette=PALETTE,
        scale=_SCALE,
    )


def _draw_truth(
    coco: Any, image: NDArray[np.uint8], annotations: list[dict[str, Any]]
) -> NDArray[np.uint8]:
    if not annotations:
        return draw_instances(image, scale=_SCALE)
    boxes = np.array([ann['bbox'] for ann in annotations])
    boxes[:, 2:] += boxes[:, :2]
    labels = [
        -1 if ann['iscrowd'] else ann['category_id'] - 1 for ann in annotations
    ]
    return draw_instances(
        image,
        masks=np.stack([coco.annToMask(ann) for ann in annotations]),
        boxes=boxes,
        labels=np.array(labels),
        class_names=CLASSES,
        palette=PALETTE,
        scale=_SCALE,
    )


def _cards(metrics: Metrics) -> list[tuple[str, str]]:
    frequent = len(metrics['frequent_categories'])
    return [
        (
            _number(metrics['mask_ap50_frequent']),
            f'mask AP50 over the {frequent} categories with at least '
            f'{metrics["frequent_min_objects"]} training objects '
            f'(goal {GOAL:.2f})',
        ),
        (_number(metrics['segm']['AP']), 'mask AP, all categories'),
        (_number(metrics['bbox']['AP']), 'box AP, all categories'),
        (str(metrics['iterations']), 'training iterations'),
        (_minutes(metrics['train_seconds']), 'of training'),
    ]


def _minutes(seconds: float) -> str:
    return f'{seconds / 60:.1f} min'


def _number(value: float | None) -> str:
    return '-' if value is None else f'{value:.3f}'


def _panels(scalars: Scalars) -> list[Panel]:
    panels = []
    for title, names in (('Loss', _LOSSES), ('Average precision', _METRICS)):
        lines = {n: scalars[k] for k, n in names.items() if k in scalars}
        if lines:
            panels.append(Panel(title, lines))
    return panels


def _add_numbers(report: Report, metrics: Metrics) -> None:
    report.section('Numbers')
    report.text(
        'COCO metrics on the validation split. Small is below 32 x 32 '
        'pixels, medium below 96 x 96; no object is larger.'
        if metrics['segm']['APl'] is None
        else 'COCO metrics on the validation split.'
    )
    names = list(metrics['segm'])
    report.table(
        ['', *names],
        [
            [title, *(_number(metrics[kind][name]) for name in names)]
            for title, kind in (('box', 'bbox'), ('mask', 'segm'))
        ],
    )
    report.text(
        'By category: the training objects have a long tail, as in LVIS.'
    )
    report.table(
        [
            'category',
            'training objects',
            'validation objects',
            'box AP50',
            'mask AP50',
            'mask AP',
        ],
        [
            [
                name,
                str(entry['train_objects']),
                str(entry['val_objects']),
                _number(entry['bbox_AP50']),
                _number(entry['segm_AP50']),
                _number(entry['segm_AP']),
            ]
            for name, entry in metrics['categories'].items()
        ],
    )


def _add_commands(report: Report, cfg: Config, command: str) -> None:
    report.section('The same on COCO')
    report.text(
        'With COCO 2017 in data/coco (train2017, val2017, annotations), on '
        'eight GPUs:'
    )
    report.code(f'bash tools/dist_train.sh {COCO_CONFIG} 8')
    report.text('On one GPU, with the learning rate scaled to the batch:')
    report.code(f'python tools/train.py {COCO_CONFIG} --auto-scale-lr')
    report.section('This report again')
    report.code(command)
    report.details('The config, with everything it inherits', cfg.pretty_text)
