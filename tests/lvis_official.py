"""Results of the official package ``lvis``, live or as it gave them.

It is not part of the environment: it needs an alias that numpy 1.24 removed,
sets up logging when imported, and MMDetection imports it where it is found.
Its results are in ``lvis_official.json``, written by::

    pip install --no-deps --target <folder> lvis==0.5.3
    PYTHONPATH=<folder>:tests python tests/lvis_official.py <lvis_tiny>

With it on the path the tests run it too.
"""

import copy
import importlib.util
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np
from lvis_samples import (
    make_annotations,
    make_detections,
    with_masks,
    write,
)

RECORDED = Path(__file__).with_suffix('.json')
REAL = 'lvis_val_100_full.json'


def installed():
    """Whether the package can be imported."""
    return importlib.util.find_spec('lvis') is not None


def synthetic_case(metric):
    """Annotations and detections, more than 300 in some images."""
    annotations = make_annotations(30, 12, seed=5)
    return annotations, _results(annotations, metric)


def real_case(folder, metric):
    """Real annotations of 100 images."""
    annotations = json.loads((Path(folder) / REAL).read_text())
    return annotations, _results(annotations, metric)


def _results(annotations, metric):
    detections = make_detections(annotations, 400)
    if metric == 'segm':
        return with_masks(annotations, detections)
    return detections


def evaluate(annotation_file, results, metric):
    """Runs the official evaluation."""
    from lvis import LVIS, LVISEval, LVISResults

    with mock.patch.object(np, 'float', float, create=True):
        truth = LVIS(annotation_file)
        found = LVISResults(truth, copy.deepcopy(results))
        evaluation = LVISEval(truth, found, metric)
        evaluation.run()
    return {k: float(v) for k, v in evaluation.get_results().items()}


def main():
    recorded = {}
    with TemporaryDirectory() as folder:
        for metric in ('bbox', 'segm'):
            cases = dict(
                synthetic=synthetic_case(metric),
                real=real_case(sys.argv[1], metric),
            )
            for name, (annotations, results) in cases.items():
                path = write(Path(folder) / 'truth.json', annotations)
                found = evaluate(path, results, metric)
                recorded[f'{name} {metric}'] = found
    RECORDED.write_text(json.dumps(recorded, indent=1) + '\n')


if __name__ == '__main__':
    main()
