"""Evaluations of LVIS: ours, the official one and faster-coco-eval's."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
import torch

from lvis_metric_speed.images import (
    FREQUENCIES,
    Detections,
    Stock,
    detect,
    make_annotations,
)

OURS, OFFICIAL, FASTER = 'mmcp', 'lvis', 'faster-coco-eval'
NAMES = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'APr', 'APc', 'APf')


class Clock:
    """Adds up CPU time of the process, all threads, and time of the clock."""

    def __init__(self) -> None:
        self.cpu = self.wall = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Counts what happens inside."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.cpu += time.process_time() - cpu
        self.wall += time.perf_counter() - wall


def run_ours(
    path: str, images: Iterator[Detections], metric: str, clock: Clock
) -> dict[str, float]:
    """``mmcp.LVISMetric``, called as mmengine's evaluator does."""
    from mmcp.evaluation import LVISMetric

    with clock.running():
        evaluation = LVISMetric(path, metric=metric)
    evaluation.dataset_meta = dict(
        classes=[f'category {i + 1}' for i in range(len(FREQUENCIES))]
    )
    for one in images:
        instances = dict(
            bboxes=torch.from_numpy(one.boxes),
            scores=torch.from_numpy(one.scores),
            labels=torch.from_numpy(one.labels),
            masks=one.masks,
        )
        sample = dict(img_id=one.image_id, pred_instances=instances)
        with clock.running():
            evaluation.process({}, [sample])
    with clock.running():
        found = evaluation.compute_metrics(evaluation.results)
    return {name: found[f'{metric}_{name}'] for name in NAMES}


def run_official(
    path: str, images: Iterator[Detections], metric: str, clock: Clock
) -> dict[str, float]:
    """The package ``lvis``, with the alias that numpy removed."""
    from lvis import LVIS, LVISEval, LVISResults

    rows = [row for one in images for row in _rows(one, metric)]
    with clock.running():
        truth = LVIS(path)
        evaluation = LVISEval(truth, LVISResults(truth, rows), metric)
        with mock.patch.object(np, 'float', float, create=True):
            evaluation.run()
        found = evaluation.get_results()
    return {name: float(found[name]) for name in NAMES}


def run_faster(
    path: str, images: Iterator[Detections], metric: str, clock: Clock
) -> dict[str, float]:
    """The mode for LVIS of faster-coco-eval."""
    from faster_coco_eval import COCO, COCOeval_faster

    rows = [row for one in images for row in _rows(one, metric)]
    with clock.running():
        truth = COCO(path)
        evaluation = COCOeval_faster(
            truth, truth.loadRes(rows), metric, lvis_style=True
        )
        evaluation.params.maxDets = [300]
        evaluation.run()
        stats = evaluation.all_stats.tolist()
    # It leaves room for three recalls, whatever maxDets says.
    return dict(zip(NAMES, [*stats[:6], *stats[-3:]], strict=True))


PEERS: dict[str, Callable[..., dict[str, float]]] = {
    OURS: run_ours,
    OFFICIAL: run_official,
    FASTER: run_faster,
}


def _rows(one: Detections, metric: str) -> Iterator[dict[str, Any]]:
    """Detections as a result file has them."""
    boxes = np.concatenate(
        [one.boxes[:, :2], one.boxes[:, 2:] - one.boxes[:, :2]], 1
    )
    columns = zip(
        one.labels.tolist(),
        one.scores.tolist(),
        boxes.tolist(),
        one.masks,
        strict=True,
    )
    for label, score, box, mask in columns:
        row = dict(image_id=one.image_id, category_id=label + 1, score=score)
        if metric == 'bbox':
            row['bbox'] = box
        else:
            row['segmentation'] = mask
        yield row


def measure(
    peer: str, metric: str, num_images: int, seed: int
) -> dict[str, Any]:
    """Evaluates made-up detections in this process.

    Args:
        peer: Key of ``PEERS``.
        metric: ``'bbox'`` or ``'segm'``.
        num_images: Number of images, of 300 detections each.
        seed: Of all random numbers.

    Returns:
        ``cpu_s`` and ``wall_s`` from reading the annotation file to the
        results, without the making of detections; ``peak_mb``, the largest
        memory above what the process held before; ``results``.
    """
    stock = Stock(seed)
    annotations = make_annotations(num_images, stock, seed)
    with TemporaryDirectory() as folder:
        path = Path(folder) / 'truth.json'
        path.write_text(json.dumps(annotations))
        for one in annotations['annotations']:
            del one['segmentation']
        clock = Clock()
        # Sets the peak to what is held now.
        Path('/proc/self/clear_refs').write_text('5')
        before = _status('VmRSS')
        images = detect(annotations, stock, seed)
        results = PEERS[peer](str(path), images, metric, clock)
        peak = _status('VmHWM')
    return dict(
        peer=peer,
        metric=metric,
        images=num_images,
        cpu_s=clock.cpu,
        wall_s=clock.wall,
        peak_mb=peak - before,
        results=results,
    )


def _status(field: str) -> float:
    """MB; Linux only."""
    for line in Path('/proc/self/status').read_text().splitlines():
        name, _, value = line.partition(':')
        if name == field:
            return int(value.split()[0]) / 1e3
    raise RuntimeError(f'/proc/self/status has no {field}')


def main() -> None:
    """Measures what the parent process asks for."""
    peer, metric, num_images, seed = sys.argv[1:]
    print(json.dumps(measure(peer, metric, int(num_images), int(seed))))


if __name__ == '__main__':
    main()
