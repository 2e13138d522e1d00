"""Which panels a log of a pretraining gives."""

import pytest

from mmcp.visualization import Panel, pretraining_panels

WHOLE = {
    name: [(10, 1.0), (20, 2.0)]
    for name in (
        *('loss_instance', 'loss_dense', 'acc_instance', 'acc_dense'),
        *('cos_fg_fg', 'cos_fg_bg', 'std_pooled', 'std_pixels'),
        *('queue_fill', 'lr', 'knn/top1', 'linear/top1'),
    )
} | {
    'time': [(10, 0.5), (20, 0.25)],
    'data_time': [(10, 0.1), (20, 0.2)],
}


def lines_of(panels):
    return {panel.title: sorted(panel.lines) for panel in panels}


def test_everything_that_is_watched_is_drawn():
    assert lines_of(pretraining_panels(WHOLE)) == {
        'Instance loss': ['instance'],
        'Dense loss': ['dense'],
        'Cosine of foreground with': ['background', 'foreground'],
        'Accuracy (%)': ['dense', 'instance'],
        'Standard deviation of features': ['between images', 'between pixels'],
        'Queue filled (%)': ['queue'],
        'Waiting for data': ['share of time (%)'],
        'Learning rate': ['learning rate'],
        'Top-1 accuracy of probes (%)': ['linear', 'nearest neighbours'],
    }


def test_what_the_log_lacks_is_left_out():
    scalars = {'loss_instance': [(1, 3.0)], 'acc_instance': [(1, 50.0)]}
    assert pretraining_panels(scalars) == [
        Panel('Instance loss', {'instance': [(1, 3.0)]}, None),
        Panel('Accuracy (%)', {'instance': [(1, 50.0)]}, 0),
    ]
    assert pretraining_panels({}) == []


def test_share_of_time_is_in_percent():
    (panel,) = [
        p for p in pretraining_panels(WHOLE) if p.title == 'Waiting for data'
    ]
    ((_, points),) = panel.lines.items()
    assert points == [(10, pytest.approx(20.0)), (20, pytest.approx(80.0))]


def test_times_that_cannot_be_divided_are_left_out():
    scalars = {'data_time': [(1, 0.1), (2, 0.1)], 'time': [(1, 0.0)]}
    assert pretraining_panels(scalars) == []


def test_an_even_spread_is_marked_where_the_length_is_known():
    marks = [p.levels for p in pretraining_panels(WHOLE, 128) if p.levels]
    assert marks == [{'1 / sqrt(128)': pytest.approx(0.0883883)}]
    assert not any(p.levels for p in pretraining_panels(WHOLE))
