import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from pycocotools import mask as rle
from reduce_config import IMAGE_SIZE, reduce_config

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'benchmarks' / 'studies'))

import nuclei_copy_paste as study  # noqa: E402
import training_cells  # noqa: E402
from coco_ap import coco_ap  # noqa: E402


def _square_mask(size, top, left, side):
    mask = np.zeros((size, size), np.uint8, order='F')
    mask[top : top + side, left : left + side] = 1
    return mask


def _encode(mask):
    encoded = rle.encode(np.asfortranarray(mask))
    return {'size': encoded['size'], 'counts': encoded['counts'].decode()}


def _annotation(index, mask):
    encoded = _encode(mask)
    return {
        'id': index + 1,
        'image_id': 1,
        'category_id': 1,
        'segmentation': encoded,
        'area': float(mask.sum()),
        'bbox': rle.toBbox(rle.encode(mask)).tolist(),
        'iscrowd': 0,
    }


def _write_coco(folder, masks, detected):
    """One image; ``detected`` holds (mask, score)."""
    annotations = [_annotation(i, m) for i, m in enumerate(masks)]
    size = len(masks[0])
    truth = {
        'images': [
            {'id': 1, 'file_name': 'a.png', 'width': size, 'height': size}
        ],
        'annotations': annotations,
        'categories': [{'id': 1, 'name': 'nucleus'}],
    }
    (folder / 'truth.json').write_text(json.dumps(truth))
    results = [
        {
            'image_id': 1,
            'category_id': 1,
            'segmentation': _encode(mask),
            'bbox': rle.toBbox(rle.encode(mask)).tolist(),
            'score': score,
        }
        for mask, score in detected
    ]
    (folder / 'predictions.segm.json').write_text(json.dumps(results))
    (folder / 'predictions.bbox.json').write_text(json.dumps(results))
    return folder / 'truth.json', folder / 'predictions.segm.json'


def _grid_of_masks(count):
    side = int(np.ceil(np.sqrt(count)))
    return [
        _square_mask(side * 4, i // side * 4, i % side * 4, 3)
        for i in range(count)
    ]


@pytest.mark.parametrize('iou_type', ['segm', 'bbox'])
def test_coco_ap_counts_as_many_detections_as_told(tmp_path, iou_type):
    masks = _grid_of_masks(200)
    detected = [(m, 1 - i / 1000) for i, m in enumerate(masks)]
    truth, results = _write_coco(tmp_path, masks, detected)
    assert coco_ap(truth, results, iou_type, 300) == {
        'ap': 100.0,
        'ap50': 100.0,
        'ap75': 100.0,
    }
    # Half of the objects are found: recalls 0, 0.01 .. 0.50 of 101.
    half = coco_ap(truth, results, iou_type, 100)
    assert half['ap'] == pytest.approx(100 * 51 / 101)


def test_coco_ap_of_shifted_mask_depends_on_the_threshold(tmp_path):
    mask = _square_mask(20, 2, 2, 10)
    shifted = _square_mask(20, 2, 4, 10)  # IoU 80 / 120
    truth, results = _write_coco(tmp_path, [mask], [(shifted, 0.9)])
    # 0.50, 0.55, 0.60 and 0.65 of the ten thresholds are reached.
    assert coco_ap(truth, results, 'segm', 300) == {
        'ap': pytest.approx(40.0),
        'ap50': pytest.approx(100.0),
        'ap75': 0.0,
    }


def test_coco_ap_without_detections_is_zero(tmp_path):
    truth, results = _write_coco(tmp_path, [_square_mask(8, 1, 1, 4)], [])
    assert coco_ap(truth, results, 'segm', 300)['ap'] == 0.0


def test_coco_ap_in_threads_gives_standard_output_back(tmp_path):
    masks = _grid_of_masks(20)
    files = _write_coco(tmp_path, masks, [(m, 0.9) for m in masks])
    stdout = sys.stdout
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: coco_ap(*files, 'segm', 300), range(40)))
    assert sys.stdout is stdout


def _write_scalars(folder, stamp, records):
    file = folder / stamp / 'vis_data' / 'scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text('\n'.join(map(json.dumps, records)) + '\n')


def test_training_time_sums_windows_and_ignores_evaluation(tmp_path):
    records = [
        {'loss': 3.0, 'time': 1.0, 'step': 20},
        {'loss': 2.0, 'time': 2.0, 'step': 40},
        {'coco/segm_mAP': 0.4, 'time': 0.2, 'step': 40},
    ]
    _write_scalars(tmp_path, '20260101_000000', records)
    steps, minutes = study.training_time(tmp_path)
    assert steps == 40
    assert minutes == pytest.approx((20 * 1.0 + 20 * 2.0) / 60)


def test_training_time_counts_repeated_steps_of_a_resumed_run_once(tmp_path):
    first = [{'loss': 3.0, 'time': 1.0, 'step': s} for s in (20, 40)]
    second = [{'loss': 2.0, 'time': 3.0, 'step': s} for s in (40, 60)]
    _write_scalars(tmp_path, '20260101_000000', first)
    _write_scalars(tmp_path, '20260102_000000', second)
    steps, minutes = study.training_time(tmp_path)
    assert steps == 60
    assert minutes == pytest.approx(20 * (1.0 + 3.0 + 3.0) / 60)


def test_training_time_without_a_log_names_the_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        study.training_time(tmp_path)


def _measurements():
    values = {
        ('baseline', 0): 40.0,
        ('baseline', 1): 38.0,
        ('copy-paste', 0): 41.0,
        ('copy-paste', 1): 42.0,
    }
    return [
        study.Measurement(
            arm, seed, 300, 7.25, dict.fromkeys(study.METRICS, v)
        )
        for (arm, seed), v in values.items()
    ]


def test_summary_averages_over_seeds():
    summary = study.summarise(_measurements())
    assert summary['mean']['baseline']['mask_ap'] == 39.0
    assert summary['mean']['copy-paste']['box_ap'] == 41.5
    assert summary['std']['baseline']['mask_ap'] == pytest.approx(2**0.5)
    assert summary['difference'] == dict.fromkeys(study.METRICS, 2.5)


def test_summary_of_one_seed_has_no_deviation():
    one = [m for m in _measurements() if m.seed == 0]
    summary = study.summarise(one)
    assert summary['std']['baseline']['mask_ap'] is None
    assert summary['difference']['mask_ap'] == 1.0


def test_summary_refuses_an_unequal_comparison():
    measurements = _measurements()
    with pytest.raises(ValueError, match='same seeds'):
        study.summarise(measurements[:-1])
    shorter = study.Measurement(
        'copy-paste', 1, 200, 5.0, dict.fromkeys(study.METRICS, 1.0)
    )
    with pytest.raises(ValueError, match='same steps'):
        study.summarise([*measurements[:-1], shorter])


def test_table_has_cells_means_and_difference():
    rows = [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in study.make_table(_measurements()).splitlines()
    ]
    assert rows[0] == ['recipe', 'seed', *study.METRICS.values()] + [
        'steps',
        'minutes',
    ]
    assert rows[2] == ['baseline', '0', *['40.0'] * 5, '300', '7.2']
    assert rows[5] == ['copy-paste', '1', *['42.0'] * 5, '300', '7.2']
    assert rows[6] == ['baseline', 'mean', *['**39.0**'] * 5, '', '']
    assert rows[8] == ['difference', '', *['+2.5'] * 5, '', '']
    assert {len(row) for row in rows} == {9}


def test_record_replaces_only_the_table(tmp_path):
    page = tmp_path / 'nuclei.md'
    page.write_text(f'above\n{study.BEGIN}\nold\n{study.END}\nbelow\n')
    study.write_record(_measurements(), tmp_path)
    text = page.read_text()
    table = study.make_table(_measurements())
    assert text == (f'above\n{study.BEGIN}\n\n{table}\n\n{study.END}\nbelow\n')
    record = json.loads((tmp_path / 'nuclei.json').read_text())
    assert record['difference']['mask_ap'] == 2.5
    assert [c['seed'] for c in record['cells']] == [0, 1, 0, 1]


def test_record_without_markers_is_refused(tmp_path):
    (tmp_path / 'nuclei.md').write_text('nothing\n')
    with pytest.raises(ValueError, match='are needed'):
        study.write_record(_measurements(), tmp_path)


def test_command_sets_seed_folder_and_recipe(tmp_path):
    config = Path(study.CONFIGS['copy-paste'])
    command = training_cells.train_command(tmp_path, config, 3)
    assert command[1:3] == ['tools/train.py', str(config)]
    assert command[command.index('--seed') + 1] == '3'
    assert command[command.index('--work-dir') + 1] == str(tmp_path)
    assert f'val_evaluator.outfile_prefix={tmp_path}/predictions' in command


def test_recipes_exist_and_differ_by_the_name_of_the_augmentation():
    baseline, pasted = study.CONFIGS.values()
    assert (ROOT / baseline).is_file()
    assert (ROOT / pasted).is_file()
    assert pasted.replace('-scp-', '-') == baseline


@pytest.fixture
def fake_training(monkeypatch, tmp_path):
    """Replaces the subprocess; returns the list of commands that ran."""
    ran = []
    mask = _square_mask(8, 1, 1, 4)
    truth, _ = _write_coco(tmp_path, [mask], [(mask, 0.9)])
    monkeypatch.setattr(study, 'ANN_FILE', truth)

    def run(command, **_):
        ran.append(command)
        folder = Path(command[command.index('--work-dir') + 1])
        _write_coco(folder, [mask], [(mask, 0.9)])
        scalars = [{'loss': 1.0, 'time': 0.6, 'step': 300}]
        _write_scalars(folder, '20260101_000000', scalars)
        return type('Done', (), {'returncode': 0})()

    monkeypatch.setattr(training_cells.subprocess, 'run', run)
    return ran


def test_finished_cell_is_not_trained_again(fake_training, tmp_path):
    cell = study.Cell('baseline', 0)
    first = study.run(cell, tmp_path / 'work')
    again = study.run(cell, tmp_path / 'work')
    assert len(fake_training) == 1
    assert again == first
    assert first.metrics == pytest.approx(dict.fromkeys(study.METRICS, 100.0))
    assert (first.iterations, first.minutes) == (300, pytest.approx(3.0))


def test_cell_of_another_recipe_is_refused(fake_training, tmp_path):
    cell = study.Cell('baseline', 0)
    study.run(cell, tmp_path / 'work')
    (tmp_path / 'work' / cell.name / 'config.sha256').write_text('other')
    with pytest.raises(ValueError, match='another config'):
        study.run(cell, tmp_path / 'work')


def test_failed_training_is_reported_with_its_log(monkeypatch, tmp_path):
    monkeypatch.setattr(
        training_cells.subprocess,
        'run',
        lambda *_, **__: type('Done', (), {'returncode': 2})(),
    )
    with pytest.raises(RuntimeError, match=r'status 2.*train\.log'):
        study.run(study.Cell('baseline', 0), tmp_path)
    assert not list(tmp_path.rglob('measurement.json'))


def test_outline_colours_the_contour_only():
    from nuclei_pictures import outline

    image = np.zeros((6, 6, 3), np.uint8)
    drawn = outline(image, [_square_mask(6, 1, 1, 4)], (1, 2, 3))
    ring = _square_mask(6, 1, 1, 4) - _square_mask(6, 2, 2, 2)
    assert (drawn == ring[..., None] * np.array([1, 2, 3])).all()
    assert not image.any()


def test_tile_grid_places_images_with_white_gaps():
    from nuclei_pictures import tile_grid

    tiles = [np.full((2, 2, 3), v, np.uint8) for v in (1, 2, 3, 4)]
    grid = tile_grid([tiles[:2], tiles[2:]], gap=1)
    expected = np.array(
        [
            [1, 1, 255, 2, 2],
            [1, 1, 255, 2, 2],
            [255, 255, 255, 255, 255],
            [3, 3, 255, 4, 4],
            [3, 3, 255, 4, 4],
        ]
    )
    assert (grid == expected[..., None]).all()
    assert cv2.imencode('.png', grid)[0]


def test_drawn_samples_are_those_of_the_recipe(tmp_path):
    from nuclei_pictures import OWN, PASTED, paste_samples

    recipe = Config.fromfile(ROOT / study.CONFIGS['copy-paste'])
    small = reduce_config(recipe, tmp_path)

    rows = paste_samples(small, 0, 4)

    assert {image.shape for row in rows for image in row} == {
        (IMAGE_SIZE, IMAGE_SIZE, 3)
    }
    for destination, source, _ in rows:
        assert not (destination == PASTED).all(2).any()
        assert not (source == OWN).all(2).any()
    # Of four samples of random images one at least has an object of each kind.
    for color in (OWN, PASTED):
        assert any((result == color).all(2).any() for *_, result in rows)
