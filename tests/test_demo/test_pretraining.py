"""What counts as learnt in CP2's demo."""

from dataclasses import asdict

import pytest
from pretraining_log import LEARNT, log_of

from mmcp.demo.pretraining import Change, measure_pretraining

NAMES = (
    'loss_instance',
    'loss_dense',
    'acc_instance',
    'cos_fg_fg',
    'cos_fg_bg',
    'std_pooled',
)


def test_first_and_last_twentieth_are_averaged():
    metrics = measure_pretraining(log_of())

    assert metrics.iterations == 200
    changes = {n: v for n, v in asdict(metrics).items() if n != 'iterations'}
    assert sorted(changes) == sorted(NAMES)
    for name, change in changes.items():
        first, last = LEARNT[name]
        half = (last - first) / 39 / 2
        assert change['first'] == pytest.approx(first + half)
        assert change['last'] == pytest.approx(last - half)


def test_a_single_point_is_start_and_end():
    scalars = {name: [(7, 0.5)] for name in NAMES}

    metrics = measure_pretraining(scalars)

    assert metrics.iterations == 7
    assert metrics.acc_instance == Change(0.5, 0.5)


def test_a_training_that_learns_has_no_failures():
    metrics = measure_pretraining(log_of())

    assert metrics.failures() == []
    assert not metrics.collapsed


@pytest.mark.parametrize(
    ('ends', 'told'),
    [
        (dict(acc_instance=(50.0, 55.0)), 'instance accuracy changed by +4.'),
        (dict(cos_fg_bg=(0.5, 0.36)), 'with foreground is +0.03'),
        (dict(std_pooled=(0.08, 0.01)), 'collapsed: their standard'),
        # Not a number is never learnt.
        (dict(acc_instance=(2.0, float('nan'))), 'accuracy changed by +nan'),
    ],
)
def test_what_is_missing_is_told(ends, told):
    (failure,) = measure_pretraining(log_of(**ends)).failures()

    assert told in failure


def test_all_that_is_missing_is_told():
    ends = dict(
        acc_instance=(2.0, 2.0), cos_fg_fg=(0.9, 0.9), cos_fg_bg=(0.9, 0.9)
    )
    metrics = measure_pretraining(log_of(**ends, std_pooled=(0.0, 0.0)))

    assert len(metrics.failures()) == 3
    assert metrics.collapsed


@pytest.mark.parametrize('name', NAMES)
def test_a_value_that_was_not_logged_is_named(name):
    scalars = log_of()
    del scalars[name]

    with pytest.raises(ValueError, match=f'{name} was not logged'):
        measure_pretraining(scalars)
