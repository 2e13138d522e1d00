"""The comparison of data paths: equal recipes, honest statistics."""

import json
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from mmengine.runner import set_random_seed
from reduce_config import IMAGE_SIZE, reduce_config

from mmcp.structures import CroppedBitmapMasks

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'benchmarks' / 'studies'))

import masks_equality as study  # noqa: E402
from stock_path import on_stock_path  # noqa: E402

LEAF = ROOT / (
    'configs/copy_paste/mask-rcnn_r50_fpn_8xb8-lsj-scp-270k_coco-1024.py'
)
STOCK_LEAF = LEAF.with_name(LEAF.name.replace('-scp-', '-mmdet-scp-'))


def _recipe(data):
    return Config.fromfile(ROOT / study.DATA[data].config)


def _types(pipeline):
    return [step['type'] for step in pipeline]


def test_stock_path_of_the_coco_leaf_is_the_shipped_one():
    config = Config.fromfile(LEAF)
    before = config.to_dict()

    stock = on_stock_path(config)

    assert stock.to_dict() == Config.fromfile(STOCK_LEAF).to_dict()
    assert config.to_dict() == before


def test_stock_path_of_the_nuclei_flips_once():
    pipeline = on_stock_path(_recipe('nuclei')).train_dataloader.dataset
    steps = pipeline.dataset.pipeline

    assert _types(steps) == [
        'LoadImageFromFile',
        'LoadAnnotations',
        'RandomFlip',
        'RandomResize',
        'RandomCrop',
        'FilterAnnotations',
        'Pad',
    ]
    assert steps[2].direction == ['horizontal', 'vertical']


@pytest.mark.parametrize('change', [dict(prob=0.5), dict(source=dict())])
def test_stock_path_refuses_what_the_stock_wrapper_cannot_do(change):
    config = _recipe('sample')
    config.train_dataloader.dataset.update(change)

    with pytest.raises(ValueError, match=r'must have prob=1\.0 and no source'):
        on_stock_path(config)


@pytest.mark.parametrize('data', study.DATA)
@pytest.mark.parametrize(
    ('path', 'kind'),
    [(study.OURS, CroppedBitmapMasks), (study.STOCK, BitmapMasks)],
)
def test_both_paths_give_samples_of_their_kind(data, path, kind, tmp_path):
    file = study.write_config(data, path, 20, tmp_path / 'configs')
    small = reduce_config(Config.fromfile(file), tmp_path)
    set_random_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(small.train_dataloader.dataset)
        samples = [dataset[i % len(dataset)] for i in range(8)]

    counts = [len(s['data_samples'].gt_instances) for s in samples]
    assert max(counts) > 3  # More than an image has by itself.
    for sample in samples:
        masks = sample['data_samples'].gt_instances.masks
        assert type(masks) is kind
        assert sample['inputs'].shape == (3, IMAGE_SIZE, IMAGE_SIZE)
        assert (np.asarray(masks.areas) > 0).all()


@pytest.mark.parametrize(
    ('steps', 'warm_up', 'interval'), [(300, 50, 20), (6, 3, 6)]
)
def test_shortened_schedule_ends_with_the_training(steps, warm_up, interval):
    config = study.shorten(_recipe('sample'), steps)
    first, last = config.param_scheduler

    assert (first.begin, first.end) == (0, warm_up)
    assert (last.begin, last.end, last.T_max) == (
        warm_up,
        steps,
        steps - warm_up,
    )
    assert config.train_cfg.max_iters == steps
    assert config.train_cfg.val_interval == steps
    assert config.default_hooks.logger.interval == interval


def test_margin_is_that_of_students_t():
    # Pooled variance (0.5 + 2) / 2, two degrees of freedom: t = 4.3027.
    difference = study.compare([41.0, 42.0], [40.0, 38.0])

    assert difference.mean == 2.5
    assert difference.margin == pytest.approx(4.3027 * 1.25**0.5, rel=1e-4)
    assert difference.within_noise is True


def test_clear_differences_are_not_noise():
    assert study.compare([41.0, 41.2], [38.0, 38.2]).within_noise is False
    assert study.compare([38.0, 38.2], [41.0, 41.2]).within_noise is False


def test_one_seed_says_nothing_about_noise():
    difference = study.compare([41.0], [38.0])

    assert (difference.mean, difference.margin) == (3.0, None)
    assert difference.within_noise is None


def _measurements(ours=(41.0, 42.0), stock=(40.0, 38.0), data='nuclei'):
    values = {study.OURS: ours, study.STOCK: stock}
    return [
        study.Measurement(
            data, path, seed, 300, 2.25, dict.fromkeys(study.METRICS, value)
        )
        for path, group in values.items()
        for seed, value in enumerate(group)
    ]


def test_unequal_comparisons_are_refused():
    with pytest.raises(ValueError, match='same seeds and steps'):
        study.differences(_measurements()[:-1])


def test_table_has_runs_means_and_differences():
    rows = [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in study.make_table(_measurements()).splitlines()
    ]

    assert rows[2] == ['nuclei', 'mmcp', '0', *['41.0'] * 4, '300', '2.2']
    assert rows[5][:4] == ['nuclei', 'MMDetection', '1', '38.0']
    assert rows[6][1:4] == ['mmcp', 'mean', '**41.5 ± 0.7**']
    assert rows[7][1:4] == ['MMDetection', 'mean', '**39.0 ± 1.4**']
    assert rows[8][:4] == ['nuclei', 'difference', '', '+2.5 ± 4.8']
    assert {len(row) for row in rows} == {9}


@pytest.mark.parametrize(
    ('ours', 'words'),
    [
        ((41.0, 42.0), 'On nuclei: no difference beyond the noise'),
        ((60.0, 60.1), 'On nuclei: beyond the noise in mask AP, mask AP50'),
    ],
)
def test_page_says_what_was_found(ours, words):
    page = study.make_page(_measurements(ours), '--seeds 0 1', '2 cores')

    assert words in page
    assert 'masks_equality.py --seeds 0 1`' in page
    assert 'for 300 steps each' in page
    assert study.make_table(_measurements(ours)) in page


def test_record_holds_cells_and_differences(tmp_path):
    study.write_record(_measurements(), '--seeds 0 1', tmp_path)
    record = json.loads((tmp_path / 'masks_equality.json').read_text())

    assert [cell['seed'] for cell in record['cells']] == [0, 1, 0, 1]
    assert record['differences']['nuclei']['mask_ap']['mean'] == 2.5
    assert (tmp_path / 'masks_equality.md').is_file()


def test_all_cells_are_run_once_with_the_config_of_their_path(
    monkeypatch, tmp_path
):
    ran = []

    def run_cell(folder, config, seed, measure):
        dataset = Config.fromfile(config).train_dataloader.dataset
        ran.append((folder.name, dataset.type, seed))
        data, path, _ = folder.name.split('_')
        metrics = dict.fromkeys(study.METRICS, 1.0)
        return dict(
            data=data,
            path=path,
            seed=seed,
            iterations=9,
            minutes=1.0,
            metrics=metrics,
        )

    monkeypatch.setattr(study, 'run_cell', run_cell)
    args = Namespace(
        work_dir=tmp_path, data=['sample'], seeds=[0, 3], steps=9, jobs=1
    )
    measurements = list(study.run_all(args))

    stock = 'MultiImageMixDataset'
    assert ran == [
        ('sample_mmcp_seed0', 'mmcp.CopyPasteDataset', 0),
        ('sample_MMDetection_seed0', stock, 0),
        ('sample_mmcp_seed3', 'mmcp.CopyPasteDataset', 3),
        ('sample_MMDetection_seed3', stock, 3),
    ]
    assert [m.seed for m in measurements] == [0, 0, 3, 3]
