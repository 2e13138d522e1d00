"""The demo's metrics against MMDetection's CocoMetric."""

import numpy as np
import pytest
import torch
from demo_predictions import predict
from mmdet.evaluation import CocoMetric

from mmcp.demo import CLASSES
from mmcp.demo.evaluation import evaluate
from mmcp.demo.reading import read_annotations


@pytest.fixture(scope='module')
def coco(sample):
    return read_annotations(sample, 'val')


def measure(sample, predictions):
    return evaluate(
        predictions,
        sample / 'annotations' / 'instances_val.json',
        sample / 'annotations' / 'instances_train.json',
    )


def test_ground_truth_scores_one(sample, coco):
    metrics = measure(sample, predict(coco))
    for kind in ('bbox', 'segm'):
        assert metrics[kind] == {
            'AP': pytest.approx(1),
            'AP50': pytest.approx(1),
            'AP75': pytest.approx(1),
            'APs': pytest.approx(1),
            'APm': pytest.approx(1),
            'APl': None,  # no object is that large
        }
    assert metrics['mask_ap50_frequent'] == pytest.approx(1)


def test_categories_and_counts(sample, coco):
    metrics = measure(sample, predict(coco))
    assert tuple(metrics['categories']) == CLASSES
    assert metrics['frequent_min_objects'] == 20
    assert metrics['frequent_categories'] == list(CLASSES[:7])
    star = metrics['categories']['star']
    assert (star['train_objects'], star['val_objects']) == (120, 60)


def test_equal_to_mmdetection(sample, coco):
    predictions = predict(coco, keep=0.8, shift=4, wrong=0.2)
    metric = CocoMetric(
        ann_file=str(sample / 'annotations' / 'instances_val.json'),
        metric=['bbox', 'segm'],
        classwise=False,
    )
    metric.dataset_meta = {'classes': CLASSES}
    metric.process({}, predictions)
    expected = metric.evaluate(len(predictions))
    metrics = measure(sample, predictions)
    names = {'AP': 'mAP', 'AP50': 'mAP_50', 'AP75': 'mAP_75', 'APs': 'mAP_s'}
    for kind in ('bbox', 'segm'):
        for name, theirs in names.items():
            # Theirs are rounded to three digits.
            assert metrics[kind][name] == pytest.approx(
                expected[f'coco/{kind}_{theirs}'], abs=5.1e-4
            )
            assert 0.05 < metrics[kind][name] < 0.95


def test_mean_over_categories_is_the_summary(sample, coco):
    metrics = measure(sample, predict(coco, keep=0.7, shift=3, wrong=0.3))
    entries = metrics['categories']
    for kind in ('bbox', 'segm'):
        for name in ('AP', 'AP50'):
            values = [entry[f'{kind}_{name}'] for entry in entries.values()]
            assert np.mean(values) == pytest.approx(metrics[kind][name])
    frequent = [
        entries[name]['segm_AP50'] for name in metrics['frequent_categories']
    ]
    assert metrics['mask_ap50_frequent'] == pytest.approx(np.mean(frequent))


def test_rare_categories_do_not_count_as_frequent(sample, coco):
    predictions = predict(coco)
    for prediction in predictions:
        instances = prediction['pred_instances']
        rows = torch.nonzero(instances['labels'] < 7).flatten()
        instances['masks'] = [instances['masks'][i] for i in rows]
        for name in ('bboxes', 'scores', 'labels'):
            instances[name] = instances[name][rows]
    metrics = measure(sample, predictions)
    assert metrics['mask_ap50_frequent'] == pytest.approx(1)
    assert metrics['segm']['AP50'] == pytest.approx(0.7)


def test_no_predictions_score_zero(sample, coco):
    metrics = measure(sample, predict(coco, keep=0))
    assert metrics['mask_ap50_frequent'] == 0
    assert metrics['segm']['AP'] == metrics['bbox']['AP50'] == 0
    assert metrics['segm']['APl'] is None


def test_predictions_are_not_changed(sample, coco):
    predictions = predict(coco)
    before = [set(p['pred_instances']) for p in predictions]
    measure(sample, predictions)
    assert [set(p['pred_instances']) for p in predictions] == before
