"""Curves of a pretraining."""

import cv2
import numpy as np
from toy_pairs import make_runner

from mmcp.engine.hooks import CurvesHook, curves_hook
from mmcp.visualization import read_scalars

WATCHED = {
    *('loss', 'loss_instance', 'loss_dense', 'acc_instance', 'acc_dense'),
    *('cos_fg_fg', 'cos_fg_bg', 'std_pooled', 'std_pixels', 'queue_fill'),
    *('time', 'data_time', 'lr'),
}


def drawn_panels(monkeypatch):
    """Collects the panels of every drawing."""
    calls = []

    def curves_png(panels):
        calls.append(panels)
        return b'png'

    monkeypatch.setattr(curves_hook, 'curves_png', curves_png)
    return calls


def test_the_log_holds_what_is_watched(tmp_path):
    make_runner(tmp_path, epochs=2).train()
    scalars = read_scalars(tmp_path)
    assert scalars.keys() >= WATCHED
    assert [step for step, _ in scalars['cos_fg_fg']] == [1, 2, 3, 4, 5, 6]


def test_a_picture_is_drawn_every_epoch_from_all_that_was_logged(
    tmp_path, monkeypatch
):
    calls = drawn_panels(monkeypatch)
    make_runner(tmp_path, CurvesHook(), epochs=2).train()
    steps = [
        [step for step, _ in panels[0].lines['instance']] for panels in calls
    ]
    assert steps == [[1, 2, 3], [1, 2, 3, 4, 5, 6]]
    assert len(calls[0]) == 8
    (levels,) = [panel.levels for panel in calls[0] if panel.levels]
    assert levels == {'1 / sqrt(16)': 0.25}
    assert (tmp_path / 'curves.png').read_bytes() == b'png'


def test_by_iteration_and_in_a_resumed_run(tmp_path, monkeypatch):
    calls = drawn_panels(monkeypatch)
    hook = dict(type='mmcp.CurvesHook', interval=2, by_epoch=False)
    save = dict(type='CheckpointHook', interval=3, by_epoch=False)
    make_runner(tmp_path, hook, save, iterations=3).train()
    make_runner(tmp_path, hook, save, iterations=5, resume=True).train()
    lengths = [len(panels[0].lines['instance']) for panels in calls]
    assert lengths == [2, 3, 4, 5]


def test_the_picture_is_a_png_and_no_draft_is_left(tmp_path):
    make_runner(tmp_path, CurvesHook()).train()
    image = cv2.imread(str(tmp_path / 'curves.png'))
    assert image.shape == (960, 1300, 3)
    assert len(np.unique(image)) > 50
    assert not list(tmp_path.glob('.*'))


def test_before_anything_is_logged_there_is_no_picture(tmp_path):
    CurvesHook().act(make_runner(tmp_path), 0)
    assert not (tmp_path / 'curves.png').exists()


def test_only_the_first_rank_draws(tmp_path, monkeypatch):
    monkeypatch.setattr('mmengine.dist.utils.get_rank', lambda group=None: 1)
    runner = make_runner(tmp_path, CurvesHook())
    runner.train()
    assert not (tmp_path / 'curves.png').exists()
