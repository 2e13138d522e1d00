import itertools
import json
import logging
import pickle

import numpy as np
import pytest
import torch
from lvis_samples import (
    corners,
    make_annotations,
    make_detections,
    with_masks,
    write,
)
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.registry import METRICS, MODELS
from mmengine.structures import BaseDataElement, InstanceData
from pycocotools import mask as mask_api
from tiny_detectors import SIDE, config_of, make_batch

from mmcp.evaluation import LVISMetric
from mmcp.evaluation.lvis_annotations import LVISAnnotations
from mmcp.evaluation.lvis_evaluation import evaluate_results

DATA = make_annotations(10, 8, seed=2)
BOXES = make_detections(DATA, 60)
MASKS = with_masks(DATA, BOXES)
NAMES = [one['name'] for one in DATA['categories']]


@pytest.fixture
def ann_file(tmp_path):
    return write(tmp_path / 'truth.json', DATA)


def samples(as_tensors=True, masks=True):
    """The detections as a detector gives them, one sample an image."""
    label = {one['id']: i for i, one in enumerate(DATA['categories'])}
    found = []
    for image in DATA['images']:
        places = [
            i for i, one in enumerate(BOXES) if one['image_id'] == image['id']
        ]
        instances = InstanceData(
            bboxes=xyxy([BOXES[i]['bbox'] for i in places]),
            scores=torch.tensor(
                [BOXES[i]['score'] for i in places], dtype=torch.float64
            ),
            labels=torch.tensor(
                [label[BOXES[i]['category_id']] for i in places],
                dtype=torch.long,
            ),
        )
        if masks:
            rles = [MASKS[i]['segmentation'] for i in places]
            instances.masks = bitmaps(rles, image) if as_tensors else rles
        element = BaseDataElement(metainfo=dict(img_id=image['id']))
        element.pred_instances = instances
        found.append(element)
    return found


def xyxy(boxes):
    boxes = torch.tensor(boxes, dtype=torch.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def bitmaps(rles, image):
    if not rles:
        return torch.zeros(
            0, image['height'], image['width'], dtype=torch.bool
        )
    return torch.from_numpy(mask_api.decode(rles)).permute(2, 0, 1).bool()


def evaluate(metric, batches=None, names=NAMES):
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = dict(classes=names)
    batches = batches or [samples()]
    for batch in batches:
        evaluator.process(batch)
    return evaluator.evaluate(sum(map(len, batches)))


def expected(metric):
    rows = BOXES if metric == 'bbox' else MASKS
    summary = evaluate_results(LVISAnnotations(DATA), rows, metric)
    return {
        f'lvis/{metric}_{key}': pytest.approx(value, abs=1e-12)
        for key, value in summary.results().items()
    }


@pytest.mark.parametrize('as_tensors', [True, False])
def test_results_are_those_of_the_same_detections_in_files(
    ann_file, as_tensors
):
    items = ['AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'APr', 'APc', 'APf']
    items += ['AR@300', 'ARs@300', 'ARm@300', 'ARl@300']
    metric = METRICS.build(
        dict(
            type='mmcp.LVISMetric',
            ann_file=ann_file,
            metric=['bbox', 'segm'],
            metric_items=items,
        )
    )
    rows = samples(as_tensors)
    found = evaluate(metric, [rows[:3], rows[3:4], rows[4:]])
    assert found == expected('bbox') | expected('segm')
    assert found['lvis/bbox_AP'] > 0.1
    # A second epoch starts anew.
    assert evaluate(metric, [rows]) == found


def test_images_without_detections(ann_file):
    rows = samples()
    for row in rows[1:]:
        row.pred_instances = row.pred_instances[:0]
    found = evaluate(LVISMetric(ann_file, metric=['bbox', 'segm']), [rows])
    whole = expected('segm')['lvis/segm_AP'].expected
    assert 0 <= found['lvis/segm_AP'] < whole
    rows[0].pred_instances = rows[0].pred_instances[:0]
    found = evaluate(LVISMetric(ann_file, metric=['bbox', 'segm']), [rows])
    assert found['lvis/bbox_AP'] == found['lvis/segm_AP'] == 0


def test_predictions_stay_as_they_are_and_may_be_of_half_precision(ann_file):
    rows = samples()
    before = [one.clone() for one in rows]
    evaluate(LVISMetric(ann_file, metric=['bbox', 'segm']), [rows])
    for one, other in zip(rows, before, strict=True):
        for key, value in one.pred_instances.items():
            assert torch.equal(value, other.pred_instances[key])
    for one in rows:
        one.pred_instances.scores = one.pred_instances.scores.bfloat16()
    found = evaluate(LVISMetric(ann_file), [rows])
    assert 0 < found['lvis/bbox_AP'] < 1


def test_nine_results_are_given(ann_file):
    found = evaluate(LVISMetric(ann_file, prefix='val'))
    assert [*found] == [
        f'val/bbox_{key}'
        for key in (
            *('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl'),
            *('APr', 'APc', 'APf'),
        )
    ]


def test_masks_with_scores_of_their_own(ann_file):
    rows = samples()
    for row in rows:
        scores = row.pred_instances.scores
        row.pred_instances.mask_scores = scores
        row.pred_instances.scores = torch.flip(scores, (0,))
    found = evaluate(LVISMetric(ann_file, metric=['bbox', 'segm']), [rows])
    assert found['lvis/segm_AP'] == expected('segm')['lvis/segm_AP']
    assert found['lvis/bbox_AP'] != expected('bbox')['lvis/bbox_AP']


def test_what_is_kept_of_images_is_small(ann_file):
    metric = LVISMetric(ann_file, metric='segm')
    metric.dataset_meta = dict(classes=NAMES)
    metric.process({}, [one.to_dict() for one in samples()])
    for kept in metric.results:
        assert kept.detections is None
        one = kept.matches['segm']
        sizes = [one.classes, one.scores, one.right, one.wrong]
        assert sum(x.nbytes for x in sizes) == 22 * len(one.scores)
    assert sum(len(k.matches['segm'].scores) for k in metric.results) > 50


def test_an_image_shown_twice_counts_once(ann_file):
    rows = samples()
    metric = LVISMetric(ann_file)
    assert evaluate(metric, [rows, rows[:3]]) == evaluate(metric, [rows])


def test_ranks_exchange_what_was_kept(ann_file):
    """Two ranks take samples in turn; what they keep is pickled."""
    rows = [one.to_dict() for one in samples()]
    ranks = []
    for rank in (0, 1):
        metric = LVISMetric(ann_file, metric=['bbox', 'segm'])
        metric.dataset_meta = dict(classes=NAMES)
        metric.process({}, rows[rank::2])
        ranks.append(pickle.loads(pickle.dumps(metric.results)))
    merged = [one for pair in zip(*ranks, strict=True) for one in pair]
    alone = LVISMetric(ann_file, metric=['bbox', 'segm'])
    found = metric.compute_metrics(merged)
    assert {f'lvis/{key}': one for key, one in found.items()} == evaluate(
        alone
    )


def test_predictions_of_a_detector(tmp_path):
    """Its results are those of the files that it writes."""
    config = config_of('mask')
    config.type = 'mmdet.MaskRCNN'
    config.test_cfg.rcnn.score_thr = 0.0
    torch.manual_seed(0)
    model = MODELS.build(config).eval()
    data = make_batch()
    truth = detector_truth(data['data_samples'])
    prefix = str(tmp_path / 'run')
    metric = LVISMetric(
        write(tmp_path / 'truth.json', truth),
        metric=['bbox', 'segm'],
        outfile_prefix=prefix,
    )
    names = [one['name'] for one in truth['categories']]
    found = evaluate(metric, [model.test_step(data)], names)
    for name in ('bbox', 'segm'):
        rows = json.loads((tmp_path / f'run.{name}.json').read_text())
        assert len(rows) > 10
        summary = evaluate_results(LVISAnnotations(truth), rows, name)
        assert found[f'lvis/{name}_AP'] == summary.results()['AP'] >= 0


def detector_truth(batch):
    """The squares of a batch in LVIS's format."""
    number = itertools.count(1)
    objects = [
        dict(
            id=next(number),
            image_id=sample.img_id,
            category_id=label + 1,
            bbox=[x, y, 30, 30],
            area=900.0,
            segmentation=[corners(x, y, 30, 30)],
        )
        for sample in batch
        for label, (x, y, *_) in enumerate(sample.gt_instances.bboxes.tolist())
    ]
    image = dict(height=SIDE, width=SIDE)
    image |= dict(neg_category_ids=[], not_exhaustive_category_ids=[])
    return dict(
        images=[image | dict(id=sample.img_id) for sample in batch],
        categories=[
            dict(id=i + 1, name=f'class {i}', frequency='f') for i in range(3)
        ],
        annotations=objects,
    )


def test_some_of_the_classes(ann_file):
    """As CocoDataset with ``classes``: labels number those that are left."""
    chosen = NAMES[1:4]
    rows = samples()
    for row in rows:
        instances = row.pred_instances
        kept = (instances.labels >= 1) & (instances.labels < 4)
        row.pred_instances = instances[kept]
        row.pred_instances.labels -= 1
    metric = LVISMetric(ann_file, classwise=True)
    found = evaluate(metric, [rows], chosen)
    summary = evaluate_results(LVISAnnotations(DATA), BOXES, 'bbox')
    by_name = summary.by_category()
    by_category = {
        key: value for key, value in found.items() if 'precision' in key
    }
    assert by_category == {
        f'lvis/bbox_{name}_precision': pytest.approx(by_name[name])
        for name in chosen
        if name in by_name
    }
    mean = np.mean([by_name[name] for name in chosen if name in by_name])
    assert found['lvis/bbox_AP'] == pytest.approx(mean)


def test_table_of_categories(ann_file, caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        found = evaluate(LVISMetric(ann_file, classwise=True))
    finally:
        logger.removeHandler(caplog.handler)
        logger.setLevel(level)
    name = next(n for n in NAMES if f'lvis/bbox_{n}_precision' in found)
    value = found[f'lvis/bbox_{name}_precision']
    assert f'{name:8} {value:6.3f}' in caplog.text
    assert f'bbox: AP {found["lvis/bbox_AP"]:.3f}, AP50' in caplog.text


def by_image(rows):
    return sorted(rows, key=lambda one: one['image_id'])


def test_files_for_the_server(ann_file, tmp_path):
    prefix = str(tmp_path / 'out' / 'run')
    metric = LVISMetric(
        ann_file, metric=['bbox', 'segm'], outfile_prefix=prefix
    )
    found = evaluate(metric)
    assert found['lvis/bbox_AP'] == expected('bbox')['lvis/bbox_AP']
    boxes = json.loads((tmp_path / 'out/run.bbox.json').read_text())
    assert by_image(boxes) == [
        one | dict(bbox=pytest.approx(one['bbox'])) for one in by_image(BOXES)
    ]
    masks = json.loads((tmp_path / 'out/run.segm.json').read_text())
    assert by_image(masks) == by_image(MASKS)


def test_files_only(tmp_path):
    """The file of a test set has no annotations."""
    data = dict(categories=DATA['categories'], images=[])
    metric = LVISMetric(
        write(tmp_path / 'test.json', data),
        format_only=True,
        outfile_prefix=str(tmp_path / 'run'),
    )
    assert evaluate(metric, [samples(masks=False)]) == {}
    boxes = json.loads((tmp_path / 'run.bbox.json').read_text())
    assert len(boxes) == len(BOXES)
    assert not (tmp_path / 'run.segm.json').exists()


def test_wrong_arguments(ann_file, tmp_path):
    with pytest.raises(ValueError, match="some of bbox, segm, but is .'prop"):
        LVISMetric(ann_file, metric='proposal')
    with pytest.raises(ValueError, match='metric_items takes some of AP, '):
        LVISMetric(ann_file, metric_items=['mAP'])
    with pytest.raises(ValueError, match='give outfile_prefix'):
        LVISMetric(ann_file, format_only=True)
    with pytest.raises(FileNotFoundError):
        LVISMetric(str(tmp_path / 'none.json'))


def test_wrong_samples(ann_file):
    metric = LVISMetric(ann_file, metric='segm')
    with pytest.raises(ValueError, match='has no predicted masks'):
        evaluate(metric, [samples(masks=False)])
    rows = samples()
    rows[0].set_metainfo(dict(img_id=1))
    with pytest.raises(ValueError, match='image 1 is not in ann_file'):
        evaluate(metric, [rows])
    with pytest.raises(ValueError, match='must know the classes'):
        LVISMetric(ann_file).process({}, [samples()[0].to_dict()])
