"""Scalars of mmengine's logs and the curves made of them."""

import json
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from mmengine.visualization import LocalVisBackend

from mmcp.visualization import Panel, curves_png, plot_curves, read_scalars


def write_log(work_dir, run, records):
    path = work_dir / run / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(''.join(json.dumps(r) + '\n' for r in records))
    return path


def train(step, loss):
    return {'loss': loss, 'iter': step, 'step': step}


def test_one_run(tmp_path):
    write_log(tmp_path, '20300101_000000', [train(10, 2.0), train(20, 1.0)])
    assert read_scalars(tmp_path) == {
        'loss': [(10, 2.0), (20, 1.0)],
        'iter': [(10, 10.0), (20, 20.0)],
    }


def test_what_mmengine_writes_is_read(tmp_path):
    backend = LocalVisBackend(str(tmp_path / 'run' / 'vis_data'))
    backend.add_scalars({'loss': 0.5, 'iter': 7}, step=7)
    assert read_scalars(tmp_path)['loss'] == [(7, 0.5)]


@pytest.mark.parametrize('step', [0, 1, 20])
def test_validation_belongs_to_the_iteration_before_it(tmp_path, step):
    """Its own step is an epoch or, if so configured, the iteration."""
    write_log(
        tmp_path,
        'run',
        [train(20, 2.0), {'coco/segm_mAP': 0.1, 'step': step}, train(30, 1.0)],
    )
    assert read_scalars(tmp_path)['coco/segm_mAP'] == [(20, 0.1)]


def test_validation_knows_its_iteration_better_than_the_log(tmp_path):
    write_log(tmp_path, 'run', [train(20, 2.0), {'mAP': 0.1, 'step': 25}])
    assert read_scalars(tmp_path)['mAP'] == [(25, 0.1)]


def test_resumed_run_replaces_what_it_repeats(tmp_path):
    write_log(
        tmp_path,
        '20300101_000000',
        [train(10, 3.0), train(20, 2.0), train(30, 9.0)],
    )
    write_log(tmp_path, '20300101_000500', [train(30, 1.0), train(40, 0.5)])
    assert read_scalars(tmp_path)['loss'] == [
        (10, 3.0),
        (20, 2.0),
        (30, 1.0),
        (40, 0.5),
    ]


def test_run_that_only_validates_keeps_the_training(tmp_path):
    write_log(tmp_path, '1', [train(10, 3.0), train(20, 2.0)])
    write_log(tmp_path, '2', [{'coco/segm_mAP': 0.1, 'step': 0}])
    scalars = read_scalars(tmp_path)
    assert scalars['loss'][0] == (10, 3.0)
    assert scalars['coco/segm_mAP'] == [(20, 0.1)]


def test_broken_lines_and_values_are_left_out(tmp_path):
    path = write_log(tmp_path, 'run', [train(10, float('nan')), train(20, 1)])
    path.write_text(path.read_text() + '{"loss": 5.0, "st')
    assert read_scalars(tmp_path)['loss'] == [(20, 1.0)]


def test_no_log(tmp_path):
    assert read_scalars(tmp_path) == {}


PANELS = [
    Panel('Loss', {'all': [(0, 2.0), (10, 1.0)], 'mask': [(0, 1.0)]}),
    Panel('Average precision', {}),
]


def test_plot_is_an_svg_with_a_title_per_panel():
    svg = plot_curves(PANELS)
    root = ElementTree.fromstring(svg)
    assert root.tag == '{http://www.w3.org/2000/svg}svg'
    # Text is drawn as outlines, named by comments.
    assert '<!-- Loss -->' in svg
    assert '<!-- Average precision -->' in svg
    assert '<!-- mask -->' in svg


def test_same_panels_give_the_same_text():
    assert plot_curves(PANELS) == plot_curves(PANELS)


@pytest.mark.parametrize('draw', [plot_curves, curves_png])
def test_no_panel_is_refused(draw):
    with pytest.raises(ValueError, match='no panel'):
        draw([])


def read_png(content):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize(('count', 'rows'), [(1, 1), (3, 1), (4, 2), (7, 3)])
def test_png_has_rows_of_three(count, rows):
    image = read_png(curves_png(PANELS[:1] * count, width=4.5))
    assert image.shape == (rows * 320, 450, 3)


def test_panels_of_a_png_stand_row_by_row():
    image = read_png(curves_png([PANELS[0]] * 4, width=9.0))
    assert (image[330:, 310:] == 255).all()  # no fifth and sixth
    assert (image[330:, :290] != 255).any()
    assert (image[:310, 610:] != 255).any()


def test_levels_are_named():
    panel = Panel('Std', {'a': [(0, 0.1)]}, levels={'1 / sqrt(128)': 0.088})
    assert '<!-- 1 / sqrt(128) -->' in plot_curves([panel])
    assert '<!-- 1 / sqrt(128) -->' not in plot_curves(PANELS)
