"""The demo's report on predictions made from the ground truth."""

import re

import pytest
from demo_predictions import predict
from mmengine.config import Config

from mmcp.demo import CLASSES
from mmcp.demo.evaluation import evaluate
from mmcp.demo.reading import read_annotations
from mmcp.demo.report import (
    COCO_CONFIG,
    draw_comparisons,
    draw_training_samples,
    write_demo_report,
)

SCALARS = {
    'loss': [(20, 4.0), (40, 2.0)],
    'loss_mask': [(20, 1.0), (40, 0.5)],
    'coco/segm_mAP_50': [(40, 0.3)],
}


@pytest.fixture(scope='module')
def cfg(sample, repo_root):
    """The demo's training data, read from the test's sample."""
    folder = repo_root / 'configs' / 'demo'
    (path,) = folder.glob('*-scp-*.py')
    cfg = Config.fromfile(path)
    innermost = cfg.train_dataloader.dataset
    while 'dataset' in innermost:
        innermost = innermost.dataset
    innermost.data_root = str(sample)
    return cfg


@pytest.fixture(scope='module')
def predictions(sample):
    return predict(read_annotations(sample, 'val'), keep=0.8, wrong=0.2)


def test_classes_of_the_config_are_the_samples(cfg):
    assert tuple(cfg.classes) == CLASSES


def test_training_samples_are_drawn_and_repeat(cfg):
    first = draw_training_samples(cfg, count=3)
    again = draw_training_samples(cfg, count=3)
    assert len(first) == 3
    for picture, other in zip(first, again, strict=True):
        assert picture.images[0].shape == (512, 512, 3)
        assert (picture.images[0] == other.images[0]).all()
        assert picture.caption == other.caption
        assert re.fullmatch(r'\d+ objects', picture.caption)
    assert (first[0].images[0] != first[1].images[0]).any()


def test_comparisons_are_spread_over_the_split(sample, predictions):
    pictures = draw_comparisons(sample, predictions, count=4)
    names = [picture.caption.split(':')[0] for picture in pictures]
    assert names == [f'{number:06d}.png' for number in (1, 13, 25, 37)]
    for picture in pictures:
        truth, found = picture.images
        assert truth.shape == found.shape


def test_prediction_below_the_score_is_not_drawn(sample):
    coco = read_annotations(sample, 'val')
    (prediction,) = predict(coco)[:1]
    scores = prediction['pred_instances']['scores']
    scores[:] = 0.49
    (none,) = draw_comparisons(sample, [prediction])
    scores[0] = 0.5
    (one,) = draw_comparisons(sample, [prediction])
    assert none.caption.endswith(f'{len(scores)} objects, 0 predicted')
    assert one.caption.endswith('1 predicted')
    box = prediction['pred_instances']['bboxes'][0].numpy().astype(int) * 2
    changed = (one.images[1] != none.images[1]).any(axis=2)
    inside = changed[box[1] : box[3], box[0] : box[2]]
    assert inside.mean() > 0.2


def test_fewer_pictures_than_asked(sample, predictions):
    assert len(draw_comparisons(sample, predictions[:2])) == 2
    assert draw_comparisons(sample, []) == []


def test_report_holds_everything(cfg, sample, predictions, tmp_path):
    metrics = evaluate(
        predictions,
        sample / 'annotations' / 'instances_val.json',
        sample / 'annotations' / 'instances_train.json',
    )
    metrics |= {'iterations': 40, 'train_seconds': 90.0}
    path = write_demo_report(
        tmp_path / 'report.html',
        cfg=cfg,
        data_root=sample,
        metrics=metrics,
        scalars=SCALARS,
        predictions=predictions,
        command='python tools/demo.py --restart',
    )
    html = path.read_text(encoding='utf-8')
    assert html.count('data:image/jpeg') == 12 + 2 * 8
    assert html.count('data:image/svg+xml') == 1
    assert f'<b>{metrics["mask_ap50_frequent"]:.3f}</b>' in html
    assert '<b>1.5 min</b>' in html
    assert '<code>python tools/demo.py --restart</code>' in html
    assert f'tools/dist_train.sh {COCO_CONFIG} 8' in html
    assert 'mmcp.CopyPasteDataset' in html
    for name, entry in metrics['categories'].items():
        row = f'<tr><td>{name}</td><td>{entry["train_objects"]}</td>'
        assert row in html
    assert len(html) < 4e6


def test_report_without_a_validation_in_the_log(
    cfg, sample, predictions, tmp_path
):
    """A training cut short has a loss, and AP only from the test."""
    metrics = evaluate(
        predictions,
        sample / 'annotations' / 'instances_val.json',
        sample / 'annotations' / 'instances_train.json',
    )
    path = write_demo_report(
        tmp_path / 'report.html',
        cfg=cfg,
        data_root=sample,
        metrics=metrics | {'iterations': 1, 'train_seconds': 1.0},
        scalars={'loss': [(1, 4.0)]},
        predictions=predictions,
        command='python tools/demo.py',
    )
    assert 'How the training went' in path.read_text(encoding='utf-8')


def test_command_for_coco_names_a_config(repo_root):
    assert (repo_root / COCO_CONFIG).is_file()
