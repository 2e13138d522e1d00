"""Tests of the AP of single categories."""

import contextlib
import io
import json

import lvis_samples
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmcp.evaluation.category_ap import category_ap, mean_over_runs, read_ap
from mmcp.evaluation.lvis_annotations import LVISAnnotations
from mmcp.evaluation.lvis_evaluation import evaluate_results

NAMES = ['cat', 'dog', 'bird']
SIZE = (60, 80)


def box_mask(box):
    mask = np.zeros(SIZE, np.uint8)
    x, y, w, h = (round(value) for value in box)
    mask[max(y, 0) : y + h, max(x, 0) : x + w] = 1
    rle = coco_mask.encode(np.asfortranarray(mask))
    return dict(rle, counts=rle['counts'].decode())


def random_truth(rng, images=4):
    """Boxes of the first two categories; the third has none."""
    annotations = []
    for number in range(int(rng.integers(1, 14))):
        x, y = rng.uniform(0, 40, 2)
        box = [x, y, *rng.uniform(8, 30, 2)]
        mask = box_mask(box)
        annotations.append(
            dict(
                id=number + 1,
                image_id=int(rng.integers(images)) + 1,
                category_id=int(rng.integers(2)) + 1,
                bbox=box,
                segmentation=mask,
                area=float(coco_mask.area(mask)),
                iscrowd=int(rng.random() < 0.15),
            )
        )
    return dict(
        images=[
            dict(id=k + 1, height=SIZE[0], width=SIZE[1])
            for k in range(images)
        ],
        annotations=annotations,
        categories=[dict(id=k + 1, name=n) for k, n in enumerate(NAMES)],
    )


def random_detections(rng, truth):
    rows = []
    for one in truth['annotations']:
        for _ in range(int(rng.integers(0, 3))):
            box = np.array(one['bbox']) + rng.normal(size=4) * 3
            box = np.maximum(box, [0, 0, 2, 2]).tolist()
            rows.append(
                dict(
                    image_id=one['image_id'],
                    category_id=int(rng.choice([1, 2, 3, one['category_id']])),
                    bbox=box,
                    segmentation=box_mask(box),
                    score=float(rng.random()),
                )
            )
    return rows


def official(path, rows, kind):
    unused = 'bbox' if kind == 'segm' else 'segmentation'
    rows = [{k: v for k, v in row.items() if k != unused} for row in rows]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        evaluation = COCOeval(truth, truth.loadRes(rows), kind)
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval['precision'][:, :, :, 0, -1]
    return {
        name: None
        if (precision[:, :, k] == -1).all()
        else pytest.approx(precision[:, :, k].mean(), abs=1e-9)
        for k, name in enumerate(NAMES)
    }


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('ap')


def write(path, content):
    path.write_text(json.dumps(content))
    return path


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), kind=st.sampled_from(['bbox', 'segm']))
def test_it_is_what_pycocotools_computes(folder, seed, kind):
    rng = np.random.default_rng(seed)
    truth = random_truth(rng)
    path = write(folder / 'truth.json', truth)
    rows = random_detections(rng, truth)
    if not rows:
        rows = [dict(image_id=1, category_id=1, score=0.5, bbox=[0, 0, 1, 1])]
        rows[0]['segmentation'] = box_mask([0, 0, 1, 1])
    before = json.dumps(rows)

    found = category_ap(path, rows, kind)

    assert found == official(path, rows, kind)
    assert found['bird'] is None
    assert json.dumps(rows) == before


def lvis_case(kind):
    truth = lvis_samples.make_annotations()
    rows = lvis_samples.make_detections(truth, per_image=40)
    if kind == 'segm':
        rows = lvis_samples.with_masks(truth, rows)
    return truth, rows


@pytest.mark.parametrize('kind', ['bbox', 'segm'])
def test_lvis_is_evaluated_as_lvis_is(tmp_path, kind):
    truth, rows = lvis_case(kind)
    path = write(tmp_path / 'lvis.json', truth)
    summary = evaluate_results(LVISAnnotations(truth), rows, kind)

    found = category_ap(path, rows, kind)

    known = {name: ap for name, ap in found.items() if ap is not None}
    assert known == summary.by_category()
    names = [one['name'] for one in truth['categories']]
    assert [*found] == names
    assert 0 < len(known) < len(names)
    for image in truth['images']:
        del image['neg_category_ids']
    # COCO's way: what is found of any category counts as a mistake.
    as_coco = category_ap(write(path, truth), rows, kind)
    assert sum(as_coco[name] for name in known) < sum(known.values())


@pytest.fixture
def run(tmp_path):
    """Ground truth, and a run that finds every cat and no dog."""
    boxes = [[5, 5, 20, 10], [40, 30, 20, 20]]
    truth = random_truth(np.random.default_rng(0))
    truth['annotations'] = [
        dict(
            id=k + 1,
            image_id=1,
            category_id=k + 1,
            bbox=box,
            segmentation=box_mask(box),
            area=box[2] * box[3],
            iscrowd=0,
        )
        for k, box in enumerate(boxes)
    ]
    row = dict(image_id=1, category_id=1, score=0.9)
    write(tmp_path / 'truth.json', truth)
    write(tmp_path / 'r.bbox.json', [dict(row, bbox=boxes[0])])
    masks = [dict(row, segmentation=box_mask(boxes[0]))]
    write(tmp_path / 'r.segm.json', masks)
    write(tmp_path / 'both.json', [dict(masks[0], bbox=boxes[1])])
    return tmp_path


FOUND = {'cat': pytest.approx(1), 'dog': 0, 'bird': None}
MISSED = {'cat': 0, 'dog': 0, 'bird': None}


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('r', dict(bbox=FOUND, segm=FOUND)),
        ('r.bbox.json', dict(bbox=FOUND)),
        ('r.segm.json', dict(segm=FOUND)),
        ('both.json', dict(bbox=MISSED, segm=FOUND)),
    ],
)
def test_result_files(run, name, expected):
    assert read_ap(run / name, run / 'truth.json') == expected


def test_a_model_that_finds_nothing(run):
    write(run / 'n.bbox.json', [])
    assert read_ap(run / 'n', run / 'truth.json') == dict(bbox=MISSED)


def test_only_the_best_detections_count(run):
    rows = json.loads((run / 'r.bbox.json').read_text())
    worse = [dict(rows[0], score=0.95, bbox=[60, 0, 5, 5]), *rows]
    assert category_ap(run / 'truth.json', worse, 'bbox', 1)['cat'] == 0
    assert category_ap(run / 'truth.json', worse, 'bbox', 2)['cat'] > 0.4


def test_metrics_of_a_test(tmp_path):
    metrics = {
        'coco/cat_precision': 0.25,
        'coco/bird_precision': float('nan'),
        'coco/bbox_mAP': 0.5,
    }
    path = write(tmp_path / 'm.json', metrics)
    assert read_ap(path) == dict(bbox={'cat': 0.25, 'bird': None})
    path = write(tmp_path / 'm.json', dict(metrics, **{'coco/segm_mAP': 0.2}))
    assert read_ap(path) == dict(segm={'cat': 0.25, 'bird': None})
    metrics = {
        'lvis/bbox_AP': 0.5,
        'lvis/bbox_cat_precision': 0.25,
        'lvis/bbox_segm_cat_precision': 0.75,
        'lvis/segm_cat_precision': 0.5,
    }
    found = read_ap(write(tmp_path / 'l.json', metrics))
    assert found == dict(
        bbox={'cat': 0.25, 'segm_cat': 0.75}, segm={'cat': 0.5}
    )
    kept = dict(bbox={'cat': 0.1}, segm={'cat': None})
    assert read_ap(write(tmp_path / 'k.json', kept)) == kept


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({'coco/bbox_mAP': 0.5}, 'classwise=True'),
        ([], 'no detections with bbox or segmentation'),
        ([dict(score=1)], 'no detections with bbox or segmentation'),
    ],
)
def test_files_without_it(run, content, message):
    path = write(run / 'x.json', content)
    with pytest.raises(ValueError, match=message):
        read_ap(path, run / 'truth.json')


def test_other_mistakes(run):
    with pytest.raises(FileNotFoundError, match=r'Neither this nor \.bbox'):
        read_ap(run / 'nothing')
    with pytest.raises(ValueError, match='ground truth is needed'):
        read_ap(run / 'r')
    (run / 'torn.json').write_text('[1,')
    with pytest.raises(ValueError, match='no JSON file'):
        read_ap(run / 'torn.json')
    stranger = [dict(image_id=77, category_id=1, score=1, bbox=[0, 0, 1, 1])]
    with pytest.raises(ValueError, match='has no image 77'):
        category_ap(run / 'truth.json', stranger, 'bbox')


def test_runs_are_averaged():
    runs = [
        dict(bbox={'cat': 0.2, 'dog': None}, segm={'cat': 0.1}),
        dict(bbox={'cat': 0.4, 'dog': 0.3}),
    ]
    mean = dict(bbox={'cat': pytest.approx(0.3), 'dog': None})
    assert mean_over_runs(runs) == mean
    assert mean_over_runs(runs[:1]) == runs[0]
    with pytest.raises(ValueError, match="'dog' is not in all"):
        mean_over_runs([runs[0], dict(bbox={'cat': 1.0})])
