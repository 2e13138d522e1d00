"""The data-efficiency study: equal recipes, nested parts, honest figures."""

import json
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from config_values import flat
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from pycocotools import mask as rle

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'benchmarks' / 'studies'))
sys.path.insert(0, str(ROOT / 'tools' / 'converters'))

import data_efficiency as study  # noqa: E402
import efficiency_cells as cells  # noqa: E402
import efficiency_report as report  # noqa: E402
from coco_fractions import write_fractions  # noqa: E402
from efficiency_cells import Cell  # noqa: E402

ARMS = [*cells.ARMS]
IMAGES = 40


@pytest.fixture
def root(tmp_path):
    """A folder with training annotations: image i holds i objects."""
    truth = {
        'images': [{'id': i} for i in range(IMAGES)],
        'annotations': [
            {'image_id': i, 'iscrowd': 0}
            for i in range(IMAGES)
            for _ in range(i)
        ]
        + [{'image_id': i, 'iscrowd': 1} for i in range(IMAGES)],
    }
    for data in cells.DATA.values():
        file = tmp_path / data.train_file
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(truth))
    return tmp_path


def _images(count):
    return [{'id': 7 * i + 3} for i in range(count)]


def test_parts_are_nested_and_ascending():
    parts = [cells.choose(_images(200), p) for p in (1, 10, 25, 50, 100)]

    assert [len(part) for part in parts] == [2, 20, 50, 100, 200]
    for small, large in zip(parts, parts[1:], strict=False):
        assert set(small) < set(large)
        assert large == sorted(large)


def test_a_part_is_that_of_the_tool_for_coco(tmp_path):

    truth = dict(images=_images(20), annotations=[], categories=[])
    file = tmp_path / 'all.json'
    file.write_text(json.dumps(truth))
    write_fractions(file, tmp_path, [25], cells.SUBSET_SEED)

    chosen = json.loads((tmp_path / 'all_25pct.json').read_text())['images']
    places = cells.choose(truth['images'], 25)
    assert [truth['images'][i] for i in places] == chosen


@pytest.mark.parametrize('percent', [0, 101])
def test_no_such_part_is_refused(percent):
    with pytest.raises(ValueError, match='must be above 0 and 100'):
        cells.choose(_images(5), percent)


def test_objects_of_a_part_leave_crowds_out(root):
    file = root / cells.DATA['nuclei'].train_file
    chosen = cells.choose([{'id': i} for i in range(IMAGES)], 25)

    assert cells.count_objects(file, 25) == (10, sum(chosen))


def _changed(config, other):
    """Places at which two configs differ."""
    one, two = (flat(c.to_dict()) for c in (config, other))
    missing = object()
    return {
        '.'.join(map(str, place))
        for place in one.keys() | two.keys()
        if one.get(place, missing) != two.get(place, missing)
    }


@pytest.mark.parametrize('data', cells.DATA)
@pytest.mark.parametrize('jitter', cells.JITTERS)
def test_arms_differ_by_the_probability_of_pasting(data, jitter, root):
    arms = [
        cells.build_config(Cell(data, 25, jitter, arm, 0), 90, 192, root)
        for arm in ARMS
    ]

    assert _changed(*arms) == {'train_dataloader.dataset.prob'}
    assert [a.train_dataloader.dataset.prob for a in arms] == [0.0, 1.0]


def test_nuclei_differ_from_the_recipe_by_part_and_jitter(root):
    cell = Cell('nuclei', 10, 'lsj', 'copy-paste', 0)
    config = cells.build_config(cell, 300, 256, root)
    recipe = Config.fromfile(ROOT / cells.DATA['nuclei'].pasted)

    train = 'train_dataloader.dataset.dataset'
    assert _changed(config, recipe) == {
        f'{train}.indices',
        f'{train}.pipeline',
    }
    dataset = config.train_dataloader.dataset.dataset
    assert dataset.indices == cells.choose(
        [{'id': i} for i in range(IMAGES)], 10
    )
    assert [step['type'] for step in dataset.pipeline] == [
        step['type']
        for step in recipe.train_dataloader.dataset.dataset.pipeline
    ]
    assert dataset.pipeline[-1] == dict(
        type='mmcp.ScaleJitter',
        size=256,
        ratio_range=(0.1, 2.0),
        flip_prob=0.0,
    )


def test_sample_has_the_network_of_the_nuclei_and_all_else_of_its_own(root):
    cell = Cell('sample', 100, 'lsj', 'baseline', 0)
    config = cells.build_config(cell, 900, 256, root)
    recipe = Config.fromfile(ROOT / cells.DATA['sample'].baseline)
    nuclei = Config.fromfile(ROOT / cells.DATA['nuclei'].baseline)

    changed = {
        place
        for place in _changed(config, recipe)
        if not place.startswith(('model.backbone', 'model.neck', 'model.r'))
    }
    assert changed == {
        'train_cfg.val_interval',
        'train_dataloader.dataset.dataset.indices',
    }
    parts = ('model.train_cfg', 'model.test_cfg')
    assert all(
        place.startswith(parts) or place.endswith('num_classes')
        for place in _changed(
            Config(dict(model=config.model)), Config(dict(model=nuclei.model))
        )
    )


def test_network_of_the_sample_can_be_built(root):
    cell = Cell('sample', 25, 'ssj', 'copy-paste', 0)
    config = cells.build_config(cell, 20, 128, root)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(config.model)

    assert model.roi_head.bbox_head.fc_cls.out_features == 11
    assert model.roi_head.mask_head.conv_logits.out_channels == 10


@pytest.mark.parametrize(('jitter', 'side'), [('ssj', 192), ('lsj', 288)])
def test_sizes_follow_jitter_and_size(jitter, side, root):
    cell = Cell('nuclei', 100, jitter, 'baseline', 0)
    config = cells.build_config(cell, 90, 192, root)

    step = config.train_dataloader.dataset.dataset.pipeline[-1]
    assert step.size == 192
    assert step.ratio_range == cells.JITTERS[jitter].ratio_range
    for loader in (config.val_dataloader, config.test_dataloader):
        (resize,) = (
            s for s in loader.dataset.pipeline if s['type'] == 'Resize'
        )
        assert resize.scale == (side, side)
    assert config.train_cfg.max_iters == 90
    assert config.param_scheduler[-1].end == 90


def test_plan_puts_the_arms_of_a_pair_side_by_side():
    args = study.parse_args(
        ['--data', 'nuclei', '--percents', '10', '--jitters', 'lsj']
        + ['--seeds', '0', '2']
    )

    assert [cell.name for cell in study.plan(args)] == [
        'nuclei-010_lsj-baseline_seed0',
        'nuclei-010_lsj-copy-paste_seed0',
        'nuclei-010_lsj-baseline_seed2',
        'nuclei-010_lsj-copy-paste_seed2',
    ]


def test_plan_of_everything_is_both_jitters_at_three_parts():
    planned = study.plan(study.parse_args([]))

    assert len(planned) == len(set(planned)) == 2 * 3 * 2 * 2 * 3
    assert {(c.data, c.percent) for c in planned} == {
        ('nuclei', 10),
        ('nuclei', 25),
        ('nuclei', 100),
        ('sample', 25),
        ('sample', 50),
        ('sample', 100),
    }


def test_plan_refuses_other_parts():
    args = study.parse_args(['--percents', '10', '25'])
    with pytest.raises(
        ValueError, match=r'sample is studied .* not at \[10\]'
    ):
        study.plan(args)


def _write_run(folder, mask, minutes):
    """What a training leaves: one image, its object found."""
    encoded = rle.encode(np.asfortranarray(mask))
    found = dict(
        image_id=1,
        category_id=1,
        score=0.9,
        bbox=rle.toBbox(encoded).tolist(),
        segmentation=dict(
            size=encoded['size'], counts=encoded['counts'].decode()
        ),
    )
    for kind in ('segm', 'bbox'):
        file = folder / f'predictions.{kind}.json'
        file.write_text(json.dumps([found]))
    scalars = folder / '20260101_000000' / 'vis_data' / 'scalars.json'
    scalars.parent.mkdir(parents=True)
    record = dict(loss=1.0, time=minutes * 6, step=10)
    scalars.write_text(json.dumps(record) + '\n')
    return dict(found, id=1, iscrowd=0, area=int(mask.sum()), ignore=0)


def test_measurement_holds_ap_and_what_was_trained(root, tmp_path):
    mask = np.zeros((20, 20), np.uint8)
    mask[4:12, 4:12] = 1
    folder = tmp_path / 'cell'
    folder.mkdir()
    annotation = _write_run(folder, mask, 3.0)
    truth = dict(
        images=[dict(id=1, width=20, height=20)],
        annotations=[annotation],
        categories=[dict(id=1, name='nucleus')],
    )
    file = root / cells.DATA['nuclei'].val_file
    file.write_text(json.dumps(truth))

    cell = Cell('nuclei', 10, 'ssj', 'copy-paste', 1)
    got = study.measure(cell, 192, folder, root)

    images, objects = cells.count_objects(
        root / cells.DATA['nuclei'].train_file, 10
    )
    assert got == study.Measurement(
        'nuclei',
        10,
        'ssj',
        'copy-paste',
        1,
        size=192,
        images=images,
        objects=objects,
        iterations=10,
        minutes=pytest.approx(3.0),
        machine=study.describe_machine(),
        metrics=pytest.approx(dict.fromkeys(report.METRICS, 100.0)),
    )


def _measurement(arm, seed, value, data='nuclei', percent=10, **others):
    fields = dict(
        data=data,
        percent=percent,
        jitter='lsj',
        arm=arm,
        seed=seed,
        size=256,
        images=59,
        objects=2969,
        iterations=80,
        minutes=2.25,
        machine='a machine',
        metrics=dict.fromkeys(report.METRICS, value),
    )
    return study.Measurement(**{**fields, **others})


def _measurements():
    baseline, pasted = ARMS
    return [
        _measurement(baseline, 0, 40.0),
        _measurement(baseline, 1, 38.0),
        _measurement(pasted, 0, 41.0),
        _measurement(pasted, 1, 42.0),
    ]


def test_cells_are_run_in_turn_and_the_rest_is_told(
    monkeypatch, tmp_path, capsys
):
    ran = []

    def run_cell(folder, config, seed, measure):
        ran.append((folder.name, Config.fromfile(config).train_cfg.max_iters))
        arm = 'copy-paste' if 'copy-paste' in folder.name else 'baseline'
        return json.loads(
            json.dumps(study.asdict(_measurement(arm, seed, 12.34)))
        )

    monkeypatch.setattr(study, 'run_cell', run_cell)
    monkeypatch.setattr(
        study,
        'write_config',
        lambda cell, steps, size, folder: _tiny_config(tmp_path, steps),
    )
    args = Namespace(
        data=['nuclei'],
        percents=[10],
        jitters=['lsj'],
        seeds=[4],
        steps=None,
        size=None,
        jobs=1,
        work_dir=tmp_path,
    )
    found = list(study.run_all(args))

    assert ran == [
        ('nuclei-010_lsj-baseline_seed4', 300),
        ('nuclei-010_lsj-copy-paste_seed4', 300),
    ]
    assert [m.arm for m in found] == ARMS
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(
        '[1/2] nuclei-010_lsj-baseline_seed4: box AP 12.3, mask AP 12.3; '
        '2.2 min of steps; about '
    )
    assert lines[1].endswith('about 0 min left')


def _tiny_config(folder, steps):
    file = folder / 'tiny.py'
    file.write_text(f'train_cfg = dict(max_iters={steps})\n')
    return file


def test_finished_cells_are_found(tmp_path):
    for m in _measurements():
        cell = Cell(m.data, m.percent, m.jitter, m.arm, m.seed)
        folder = tmp_path / cell.name
        folder.mkdir()
        text = json.dumps(study.asdict(m))
        (folder / 'measurement.json').write_text(text)
    (tmp_path / 'nuclei-010_lsj-baseline_seed7').mkdir()  # unfinished

    assert study.read_finished(tmp_path) == _measurements()


def test_gain_is_that_of_the_seeds_that_both_arms_have():
    extra = _measurement(ARMS[0], 2, 99.0)
    gains = report.differences([*_measurements(), extra])

    ((key, by_metric),) = gains.items()
    assert key == ('nuclei', 10, 'lsj')
    # Pooled variance (0.5 + 2) / 2, two degrees of freedom: t = 4.3027.
    assert by_metric['mask_ap'].mean == 2.5
    assert by_metric['mask_ap'].margin == pytest.approx(
        4.3027 * 1.25**0.5, rel=1e-4
    )


def test_arms_without_a_common_seed_have_no_gain():
    one = [_measurement(ARMS[0], 0, 1.0), _measurement(ARMS[1], 1, 1.0)]

    assert report.differences(one) == {}
    assert '| gain |' not in report.make_table(one)


@pytest.mark.parametrize('change', [dict(iterations=90), dict(size=128)])
def test_unequal_lengths_or_sizes_are_refused(change):
    other = _measurement(ARMS[1], 2, 1.0, **change)
    with pytest.raises(ValueError, match='nuclei 10 lsj: cells can only'):
        report.group([*_measurements(), other])


def _rows(table):
    return [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in table.splitlines()
    ]


def test_table_has_means_deviations_and_gains():
    rows = _rows(report.make_table(_measurements()))
    what = ['nuclei', '59 (10 %)', '2,969', 'LSJ']

    assert rows[2:] == [
        [*what, 'baseline', *['39.0 ± 1.4'] * 4, '0 1', '80', '2.2'],
        [*what, 'copy-paste', *['41.5 ± 0.7'] * 4, '0 1', '80', '2.2'],
        [*what, 'gain', *['**+2.5 ± 4.8**'] * 4, '', '', ''],
    ]
    assert {len(row) for row in rows} == {12}


def test_cell_table_has_every_cell():
    rows = _rows(report.make_cell_table(_measurements()))

    assert [row[3:6] for row in rows[2:]] == [
        ['baseline', '0', '40.0'],
        ['baseline', '1', '38.0'],
        ['copy-paste', '0', '41.0'],
        ['copy-paste', '1', '42.0'],
    ]


def test_chart_has_a_line_an_arm_with_bars_of_one_deviation():
    more = [
        _measurement(arm, seed, 60.0, percent=100, images=587)
        for arm in ARMS
        for seed in (0, 1)
    ]
    figure = report.draw([*_measurements(), *more])

    top, bottom = figure.axes
    assert [a.get_ylabel() for a in (top, bottom)] == ['box AP', 'mask AP']
    baseline, pasted = top.containers
    assert baseline.lines[0].get_ydata().tolist() == [39.0, 60.0]
    assert pasted.lines[0].get_ydata().tolist() == [41.5, 60.0]
    (bars,) = pasted.lines[2]
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    half = 0.5**0.5
    assert ends == [pytest.approx([41.5 - half, 41.5 + half]), [60.0, 60.0]]
    assert [label.get_text() for label in bottom.get_xticklabels()] == [
        '10 %\n59 images',
        '100 %\n587 images',
    ]
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ['LSJ, baseline', 'LSJ, copy-paste']


def test_chart_of_the_same_cells_is_the_same_file():
    assert report.chart(_measurements()) == report.chart(_measurements())


def test_tables_are_replaced_and_nothing_else():
    page = (
        'above\n<!-- a: begin -->\nold\n<!-- a: end -->\nbetween\n'
        '<!-- b: begin --><!-- b: end -->\nbelow\n'
    )
    assert report.replace_tables(page, {'a': '| 1 |', 'b': '| 2 |'}) == (
        'above\n<!-- a: begin -->\n\n| 1 |\n\n<!-- a: end -->\nbetween\n'
        '<!-- b: begin -->\n\n| 2 |\n\n<!-- b: end -->\nbelow\n'
    )


def test_page_without_markers_is_refused():
    with pytest.raises(ValueError, match='needs the lines <!-- a: begin -->'):
        report.replace_tables('nothing', {'a': ''})


def test_record_holds_cells_gains_chart_and_tables(tmp_path):
    page = tmp_path / 'data_efficiency.md'
    names = ('summary', 'cells')
    page.write_text(
        '\n'.join(f'<!-- {n}: begin -->\n<!-- {n}: end -->' for n in names)
    )
    study.write_record(_measurements(), tmp_path)

    record = json.loads((tmp_path / 'data_efficiency.json').read_text())
    assert [cell['seed'] for cell in record['cells']] == [0, 1, 0, 1]
    (gain,) = record['gains']
    assert (gain['data'], gain['percent']) == ('nuclei', 10)
    assert gain['box_ap']['mean'] == 2.5
    assert report.make_table(_measurements()) in page.read_text()
    assert report.make_cell_table(_measurements()) in page.read_text()
    picture = (tmp_path / 'data_efficiency.svg').read_text()
    assert picture == report.chart(_measurements())
