"""Multiply-adds and parameters of the paper's models."""

import json
from functools import cache

import pytest
from mmengine.config import Config
from model_complexity import (
    ROOT,
    Row,
    as_json,
    as_table,
    count,
    main,
    paper_rows,
    training_size,
)

from mmcp.engine.config import UsageError
from mmcp.models.complexity import Complexity

# Table 1 and, with parameters, Table 4.
FLOPS = {
    'Res-50 FPN (1024)': 431,
    'Res-101 FPN (1024)': 509,
    'Res-101 FPN (1280)': 693,
    'Eff-B7 FPN (640)': 286,
    'Eff-B7 FPN (1024)': 447,
    'Eff-B7 FPN (1280)': 595,
    'Cascade Eff-B7 FPN(1280)': 854,
    'Cascade Eff-B7 NAS-FPN (1280)': 1440,
}
ROWS = {row.title: row for row in paper_rows()}
COCO = ROOT / 'configs' / 'copy_paste'


@cache
def result_of(title):
    return as_json(ROWS[title], count(ROWS[title]))


def test_the_rows_are_the_papers():
    assert {title: row.flops for title, row in ROWS.items()} == FLOPS
    assert ROWS['Cascade Eff-B7 NAS-FPN (1280)'].parameters == 185
    assert {'-scp-' in row.config.name for row in ROWS.values()} == {False}


@pytest.mark.parametrize('title', FLOPS)
def test_multiply_adds_and_parameters_are_the_papers(title):
    found = result_of(title)

    # Counted as in the paper, the deviation is below half a percent.
    assert abs(found['multiply_adds_deviation']) < 0.5
    assert found['multiply_adds'] == pytest.approx(FLOPS[title], rel=0.005)
    assert abs(found['parameters_deviation']) < 0.5
    assert found['size'] == int(title[-5:-1].lstrip('('))


def test_the_table_of_the_readme_is_the_tools():
    table = as_table([result_of(title) for title in FLOPS])

    # After a change of a model: python tools/analysis/model_complexity.py
    assert f'```\n{table}\n```' in (COCO / 'README.md').read_text()


@pytest.mark.parametrize(
    ('loader', 'size'),
    [
        (dict(pipeline=[dict(type='mmcp.ScaleJitter', size=640)]), 640),
        (
            dict(
                dataset=dict(
                    pipeline=[
                        dict(type='Resize', scale=(2048, 1024)),
                        dict(type='RandomCrop', crop_size=(512, 512)),
                    ]
                )
            ),
            512,
        ),
    ],
)
def test_the_size_is_that_of_the_training(loader, size):
    assert training_size(Config(dict(train_dataloader=loader))) == size


def test_a_training_without_squares_needs_a_size():
    loader = dict(pipeline=[dict(type='Resize', scale=(1333, 800))])
    with pytest.raises(UsageError, match='give --size'):
        training_size(Config(dict(train_dataloader=loader)))


def test_a_model_that_cannot_be_counted_is_named():
    path = ROOT / 'configs/cp2/mocov2_r50_8xb32-200e_in1k.py'
    with pytest.raises(UsageError, match='mocov2_r50.*MoCo has no backbone'):
        count(Row('x', path))


def test_the_table():
    costs = dict(backbone=400_000_000, neck=1_100_000_000)
    known = as_json(Row('one', COCO / 'a.py', 2, 4), _complexity(costs))
    unknown = as_json(Row('second', COCO / 'b.py'), _complexity(costs))

    lines = as_table([known, unknown], parts=True).split('\n')

    assert lines == [
        '        multiply-adds   paper           parameters  paper',
        'one             1.5 B       2  -25.0 %       5.0 M      4  +25.0 %',
        '    64 px: backbone 0.4 B, neck 1.1 B',
        'second          1.5 B       -        -       5.0 M      -        -',
        '    64 px: backbone 0.4 B, neck 1.1 B',
    ]


def _complexity(costs):
    return Complexity(64, costs, 5_000_000)


def test_a_config_is_counted_from_the_command_line(tmp_path, capsys):
    config = COCO / 'mask-rcnn_mobilenetv2_fpn_in1k-pre_1xb4-100i_cocosmall.py'
    out = tmp_path / 'new' / 'out.json'

    main([str(config), '--size', '64', '--json', str(out)])

    (row,) = json.loads(out.read_text())
    assert row['row'] == config.stem
    assert row['size'] == 64
    assert row['multiply_adds'] == pytest.approx(
        sum(row['parts'].values()), abs=0.03
    )
    assert row['paper_parameters'] is None
    assert f'{config.stem} ' in capsys.readouterr().out
    assert 'memory' not in row


def test_memory_is_added_on_request(tmp_path, capsys):
    config = COCO / 'mask-rcnn_effb7_fpn_64xb4-lsj-576e_coco-640.py'
    out = tmp_path / 'out.json'

    main([str(config), '--memory', '--json', str(out)])

    kept = json.loads(out.read_text())[0]['memory']
    assert list(kept) == ['backbone', 'neck', 'rpn_head']
    # Float32; mmcv's Swish in the place of torch's would keep 5.2.
    assert kept['backbone'] == pytest.approx(4.06, abs=0.05)
    total = f'{sum(kept.values()):.1f}'
    assert f'    640 px: {total} GiB an image' in capsys.readouterr().out
