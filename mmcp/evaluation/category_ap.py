"""Average precision of single categories."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from mmcp.evaluation.lvis_annotations import LVISAnnotations
from mmcp.evaluation.lvis_evaluation import evaluate_results

__all__ = ['KINDS', 'CategoryAP', 'category_ap', 'mean_over_runs', 'read_ap']

KINDS = ('bbox', 'segm')
# AP in [0, 1] by category, None without ground truth, for each kind.
CategoryAP = dict[str, dict[str, float | None]]

_CLASSWISE = '_precision'


def category_ap(
    ann_file: str | os.PathLike[str],
    detections: Sequence[Mapping[str, Any]],
    kind: str,
    max_dets: int = 100,
) -> dict[str, float | None]:
    """Computes AP, the mean over IoU 0.50:0.95, by category.

    As COCO does, or, if the file says which categories are known to be absent
    from an image (``neg_category_ids``), as LVIS does: detections of other
    unannotated categories are then no mistakes.

    Args:
        ann_file: Ground truth, JSON of COCO or LVIS.
        detections: As in COCO's result files.
        kind: ``'bbox'`` or ``'segm'``.
        max_dets: Detections of a category and image that count, best first.
            Of LVIS 300 of an image do, whatever is given. Defaults to 100.

    Returns:
        From the name of each category to its AP in [0, 1], None if it has no
        object.

    Raises:
        ValueError: If a detection belongs to no image of the file, or if a
            file of LVIS lacks something.
    """
    truth = COCO(os.fspath(ann_file))
    strangers = {row['image_id'] for row in detections} - truth.imgs.keys()
    if strangers:
        raise ValueError(
            f'{ann_file} has no image {min(strangers)}, but a detection is on '
            'it; give the annotations of the images that were tested'
        )
    # With a box, masks would be sorted into ranges of area by it.
    unused = 'bbox' if kind == 'segm' else 'segmentation'
    rows = [{k: v for k, v in d.items() if k != unused} for d in detections]
    if any('neg_category_ids' in image for image in truth.imgs.values()):
        annotations = LVISAnnotations(truth.dataset, os.fspath(ann_file))
        known = evaluate_results(annotations, rows, kind).by_category()
        return {name: known.get(name) for name in annotations.names}
    evaluation = COCOeval_faster(truth, truth.loadRes(rows), kind)
    evaluation.params.maxDets = [max_dets]
    evaluation.params.areaRng = evaluation.params.areaRng[:1]
    evaluation.params.areaRngLbl = ['all']
    evaluation.evaluate()
    evaluation.accumulate()
    # IoU thresholds, recalls, categories, areas, numbers of detections.
    precision = np.asarray(evaluation.eval['precision'])[:, :, :, 0, 0]
    ids = evaluation.params.catIds
    return {
        truth.cats[one]['name']: _mean(precision[:, :, k])
        for k, one in enumerate(ids)
    }


def _mean(values: np.typing.NDArray[np.float64]) -> float | None:
    values = values[values > -1]
    return float(values.mean()) if values.size else None


def read_ap(
    path: str | os.PathLike[str],
    ann_file: str | os.PathLike[str] | None = None,
    max_dets: int = 100,
) -> CategoryAP:
    """Reads, or computes, the AP of each category of one run.

    Args:
        path: One of

            - a COCO result file: a list of detections with ``bbox``, with
              ``segmentation`` or with both;
            - the start of two of them, as ``CocoMetric(outfile_prefix=)``
              has it: ``{path}.bbox.json``, ``{path}.segm.json`` or both;
            - the metrics that ``tools/test.py`` leaves, with
              ``classwise=True``, of a ``CocoMetric``, which keeps the last
              kind only, or of an ``mmcp.LVISMetric``;
            - ``{"bbox": {name: AP}, "segm": {name: AP}}``.
        ann_file: Ground truth of detections. Defaults to None.
        max_dets: Detections that count. Defaults to 100.

    Returns:
        AP by kind and category.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a file holds nothing of the kind, or if there is no
            ground truth for detections.
    """
    found: CategoryAP = {}
    for file in _files_at(Path(path)):
        try:
            content = json.loads(file.read_text(encoding='utf-8'))
        except ValueError as error:
            raise ValueError(f'{file} is no JSON file: {error}') from error
        if isinstance(content, dict):
            found.update(_from_metrics(content, file))
            continue
        if ann_file is None:
            raise ValueError(
                f'{file} holds detections; their ground truth is needed, too'
            )
        for kind in _kinds_of(content, file):
            found[kind] = category_ap(ann_file, content, kind, max_dets)
    return found


def _files_at(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    files = [Path(f'{path}.{kind}.json') for kind in KINDS]
    files = [file for file in files if file.is_file()]
    if not files:
        raise FileNotFoundError(
            2, 'Neither this nor .bbox.json or .segm.json of it', str(path)
        )
    return files


def _kinds_of(content: Any, file: Path) -> list[str]:
    """Which kinds a list of detections is."""
    named = [kind for kind in KINDS if file.name.endswith(f'.{kind}.json')]
    if named:
        return named
    keys = dict(bbox='bbox', segm='segmentation')
    kinds = [k for k in KINDS if content and keys[k] in content[0]]
    if not kinds:
        raise ValueError(
            f'{file} holds no detections with bbox or segmentation; if a '
            'model found nothing, call the file *.bbox.json or *.segm.json'
        )
    return kinds


def _from_metrics(content: dict[str, Any], file: Path) -> CategoryAP:
    if content and content.keys() <= set(KINDS):
        return content
    classwise = {
        key.rpartition('/')[2].removesuffix(_CLASSWISE): (
            None if np.isnan(value) else value
        )
        for key, value in content.items()
        if key.endswith(_CLASSWISE)
    }
    if not classwise:
        raise ValueError(
            f'{file} holds no AP of categories; test with --cfg-options '
            'test_evaluator.classwise=True, or with '
            'test_evaluator.outfile_prefix=PREFIX and give the results'
        )
    # LVISMetric writes 'lvis/segm_person_precision'.
    by_kind = {
        kind: {
            name.removeprefix(f'{kind}_'): value
            for name, value in classwise.items()
            if name.startswith(f'{kind}_')
        }
        for kind in KINDS
    }
    if sum(map(len, by_kind.values())) == len(classwise):
        return {kind: found for kind, found in by_kind.items() if found}
    # mmdet writes 'coco/person_precision'; the second kind overwrites the
    # first, and segm is the second.
    masks = any(key.endswith('segm_mAP') for key in content)
    return {'segm' if masks else 'bbox': classwise}


def mean_over_runs(runs: Sequence[CategoryAP]) -> CategoryAP:
    """Averages runs; the paper's Figure 6 has the mean of five.

    Args:
        runs: AP by kind and category of each; at least one.

    Returns:
        The mean of each category, None if any run has none, for the kinds
        that all runs have.

    Raises:
        ValueError: If the runs have different categories.
    """
    means: CategoryAP = {}
    for kind in KINDS:
        if not all(kind in run for run in runs):
            continue
        first = runs[0][kind]
        for run in runs:
            differing = sorted(run[kind].keys() ^ first.keys())
            if differing:
                raise ValueError(
                    f'all runs need the same categories, but {differing[0]!r} '
                    'is not in all'
                )
        means[kind] = {
            name: _mean_or_none([run[kind][name] for run in runs])
            for name in first
        }
    return means


def _mean_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None
