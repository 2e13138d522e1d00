"""COCO metrics of predictions, by category and over the frequent ones."""

import contextlib
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

FREQUENT = 20  # training objects that make a category frequent
_SUMMARY = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl')

Metrics = dict[str, Any]


def evaluate(
    predictions: Sequence[Mapping[str, Any]],
    val_file: str | os.PathLike[str],
    train_file: str | os.PathLike[str],
) -> Metrics:
    """Compute the metrics that the demo reports.

    Args:
        predictions: What `DumpDetResults` wrote: one dictionary per image,
            with `img_id` and `pred_instances`: `bboxes` (M, 4) in `xyxy`,
            `scores` (M,), `labels` (M,) from 0 in the order of the
            categories, `masks` as M compressed RLEs.
        val_file: COCO annotations of the validation images.
        train_file: COCO annotations of the training images; they tell which
            categories are frequent.

    Returns:
        `bbox` and `segm`, each with AP, AP50, AP75, APs, APm and APl;
        `categories`, from the name of each to its number of training and
        validation objects and its AP and AP50 of boxes and masks;
        `mask_ap50_frequent`, the mean mask AP50 over
        `frequent_categories`, those with at least `frequent_min_objects`
        training objects. All in [0, 1]; None where there is no object.
    """
    truth = _load(val_file)
    counts = {'train': _count(_load(train_file)), 'val': _count(truth)}
    categories: dict[str, dict[str, Any]] = {
        category['name']: {
            f'{split}_objects': counts[split][category['id']]
            for split in counts
        }
        for category in truth.loadCats(truth.getCatIds())
    }
    metrics: Metrics = {}
    results = _to_results(predictions, truth.getCatIds())
    for kind in ('bbox', 'segm'):
        summary, by_category = _evaluate_kind(truth, results, kind)
        metrics[kind] = summary
        for entry, values in zip(
            categories.values(), by_category, strict=True
        ):
            entry.update({f'{kind}_{k}': v for k, v in values.items()})
    frequent = [
        name
        for name, entry in categories.items()
        if entry['train_objects'] >= FREQUENT
        and entry['segm_AP50'] is not None
    ]
    frequent_ap50 = [categories[name]['segm_AP50'] for name in frequent]
    metrics['categories'] = categories
    metrics['frequent_min_objects'] = FREQUENT
    metrics['frequent_categories'] = frequent
    metrics['mask_ap50_frequent'] = _mean(np.array(frequent_ap50))
    return metrics


def _load(path: str | os.PathLike[str]) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):  # COCO() is talkative
        return COCO(os.fspath(path))


def _count(coco: Any) -> Counter[int]:
    """Number of objects of each category, crowd regions left out."""
    return Counter(
        ann['category_id']
        for ann in coco.dataset['annotations']
        if not ann['iscrowd']
    )


def _to_results(
    predictions: Sequence[Mapping[str, Any]], category_ids: Sequence[int]
) -> list[dict[str, Any]]:
    """Predictions in COCO's result format, boxes as xywh."""
    results = []
    for prediction in predictions:
        instances = prediction['pred_instances']
        corners = np.asarray(instances['bboxes'], dtype=float).reshape(-1, 4)
        sizes = corners[:, 2:] - corners[:, :2]
        boxes = np.concatenate([corners[:, :2], sizes], axis=1)
        for box, score, label, mask in zip(
            boxes.tolist(),
            np.asarray(instances['scores']).tolist(),
            np.asarray(instances['labels']).tolist(),
            instances['masks'],
            strict=True,
        ):
            results.append(
                {
                    'image_id': prediction['img_id'],
                    'category_id': category_ids[label],
                    'bbox': box,
                    'score': score,
                    'segmentation': mask,
                }
            )
    return results


def _evaluate_kind(
    truth: Any, results: list[dict[str, Any]], kind: str
) -> tuple[dict[str, float | None], list[dict[str, float | None]]]:
    """The summary, and AP and AP50 of each category."""
    # A box, if there is one, would decide the area that masks are binned by.
    unused = 'bbox' if kind == 'segm' else 'segmentation'
    stripped = [
        {key: value for key, value in result.items() if key != unused}
        for result in results
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        found = truth.loadRes(stripped) if stripped else _nothing(truth)
        evaluation = COCOeval(truth, found, kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    summary = {
        name: _valid(value)
        for name, value in zip(_SUMMARY, evaluation.stats, strict=False)
    }
    # IoU thresholds, recalls, categories, areas (0 is all), detections.
    precision = evaluation.eval['precision'][:, :, :, 0, -1]
    by_category = [
        {'AP': _mean(precision[:, :, k]), 'AP50': _mean(precision[0, :, k])}
        for k in range(precision.shape[2])
    ]
    return summary, by_category


def _nothing(truth: Any) -> Any:
    """Results without a detection, which `loadRes` refuses."""
    empty = COCO()
    empty.dataset = {**truth.dataset, 'annotations': []}
    empty.createIndex()
    return empty


def _valid(value: float) -> float | None:
    """COCO writes -1 where there is nothing to find."""
    return float(value) if value >= 0 else None


def _mean(values: NDArray[Any]) -> float | None:
    values = values[values > -1]
    return float(values.mean()) if values.size else None
