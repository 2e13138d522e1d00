"""CP2 in two processes on the CPU, compared with one process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cp2_ranks import CASES, train

TESTS = Path(__file__).parent

pytestmark = [pytest.mark.dist, pytest.mark.slow]


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    """What both ranks wrote."""
    folder = tmp_path_factory.mktemp('ranks')
    # This folder's modules, and the package that this process tests.
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    process = subprocess.Popen(
        [
            sys.executable, '-m', 'torch.distributed.run', '--standalone',
            '--nproc_per_node', '2', str(TESTS / 'cp2_ranks.py'), str(folder),
        ],
        env=os.environ | dict(OMP_NUM_THREADS='1', PYTHONPATH=path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode == 0, output
    return [
        torch.load(folder / f'rank{rank}.pt', weights_only=True)
        for rank in range(2)
    ]


@pytest.mark.parametrize('case', CASES)
def test_two_ranks_are_one_process_with_twice_the_batch(ranks, case):
    """Batch norm too: two parts on one device stand for two devices.

    The order in which keys are shuffled is the same then, so a wrong order of
    gathering, shuffling or restoring would show.
    """
    splits = 1 if case == 'group-norm' else 2
    log, weights = train(case, splits)
    tolerance = dict(rel=0.03, abs=0.03) if case == 'half' else dict(rel=1e-3)
    for step, expected in enumerate(log):
        both = [rank[case][0][step] for rank in ranks]
        for name, value in expected.items():
            if name != 'std_pooled':  # of four samples, not of eight
                mean = sum(values[name] for values in both) / 2
                assert mean == pytest.approx(value, **tolerance), name
    close = (
        dict(atol=0.02, rtol=0.05)
        if case == 'half'
        else dict(atol=1e-4, rtol=1e-3)
    )
    for name, expected in weights.items():
        # Each device counts its own batches; one has the mean of two.
        found = [rank[case][1][name] for rank in ranks]
        if 'running_' in name:
            found = [sum(found) / 2]
        for value in found:
            torch.testing.assert_close(value, expected, **close)


@pytest.mark.parametrize('case', CASES)
def test_ranks_hold_the_same_queue_and_weights(ranks, case):
    first, second = (rank[case][1] for rank in ranks)
    for name in first:
        if 'running_' not in name:
            assert torch.equal(first[name], second[name]), name
    # 3 steps of 8 keys in a queue of 20.
    assert int(first['queue.pointer']) == 4
    assert int(first['queue.filled']) == 20
    torch.testing.assert_close(
        first['queue.keys'].norm(dim=0), torch.ones(20), atol=1e-5, rtol=0
    )


def test_compiled_steps_of_ranks_are_the_same(ranks):
    for rank in ranks:
        for found, expected in zip(
            rank['compiled'], rank['eager'], strict=True
        ):
            assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert ranks[0]['compiled'] != ranks[1]['compiled']


def test_batches_are_gathered_in_the_order_of_ranks(ranks):
    for rank in ranks:
        exchange = rank['exchange']
        assert exchange['whole'].tolist() == [
            [0, 1], [2, 3], [10, 11], [12, 13],
        ]  # fmt: skip
        assert exchange['own']
        assert exchange['last']
        assert exchange['format']


def test_uneven_batches_are_an_error_on_both_ranks(ranks):
    for rank in ranks:
        assert 'ranks 0 to 1 have batches of [4, 5] samples' in rank['uneven']
