"""COCO average precision with any number of detections per image.

The ``mAP`` that ``CocoMetric`` prints, pycocotools' first number, always
counts the 100 best detections of an image, whatever ``max_per_img`` and
``proposal_nums`` say; its AP50 counts 1000. An image of ``dsb2018_nuclei``
holds up to 369 objects, so the difference matters here.
"""

import contextlib
import io
import json
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

# pycocotools prints, and ``sys.stdout`` belongs to the whole process.
_QUIET = threading.Lock()


def coco_ap(
    ann_file: Path, result_file: Path, iou_type: str, max_dets: int
) -> dict[str, float]:
    """Computes COCO AP over all classes and areas.

    Args:
        ann_file: Ground truth, COCO JSON.
        result_file: COCO results: a list of detections, as ``CocoMetric``
            writes with ``outfile_prefix``.
        iou_type: ``'segm'`` or ``'bbox'``.
        max_dets: Detections per image that count, best first.

    Returns:
        ``ap`` (mean over IoU 0.50:0.95), ``ap50`` and ``ap75``, in percent;
        0 without any detection.
    """
    detections = json.loads(Path(result_file).read_text(encoding='utf-8'))
    if not detections:
        return {'ap': 0.0, 'ap50': 0.0, 'ap75': 0.0}
    if iou_type == 'segm':
        for detection in detections:
            # Areas are to be those of the masks, not of the boxes.
            detection.pop('bbox', None)
    with _QUIET, contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(ann_file))
        evaluation = COCOeval(truth, truth.loadRes(detections), iou_type)
        evaluation.params.maxDets = [max_dets]
        evaluation.params.areaRng = evaluation.params.areaRng[:1]
        evaluation.params.areaRngLbl = ['all']
        evaluation.evaluate()
        evaluation.accumulate()
    # (IoU thresholds, recalls, classes, areas=1, max_dets=1)
    precision = evaluation.eval['precision'][..., 0, 0]
    return {
        'ap': _mean_percent(precision),
        'ap50': _mean_percent(precision[0]),
        'ap75': _mean_percent(precision[5]),
    }


def _mean_percent(precision: NDArray[np.float64]) -> float:
    known = precision[precision > -1]
    return float(known.mean() * 100) if known.size else 0.0
