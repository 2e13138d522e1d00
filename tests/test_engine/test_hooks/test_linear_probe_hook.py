"""The accuracy of a linear classifier in a training."""

import pytest
from labeled_colours import write_labelled
from toy_pairs import make_runner

from mmcp.engine.hooks import LinearProbeHook
from mmcp.visualization import read_scalars


def test_it_is_logged_before_and_after_the_training(tmp_path):
    folder = write_labelled(tmp_path / 'data')
    probe = LinearProbeHook(
        str(folder), size=32, interval=1, batch_size=4, num_workers=0
    )
    runner = make_runner(tmp_path / 'work', probe, epochs=1)
    runner.train()
    points = read_scalars(tmp_path / 'work')['linear/top1']
    assert [step for step, _ in points] == [0, 3]
    assert all(60 <= value <= 100 for _, value in points)


@pytest.mark.parametrize('name', ['weight_decay', 'max_iter', 'size'])
def test_bad_arguments(name):
    with pytest.raises(ValueError, match=name):
        LinearProbeHook('data', **{name: 0})
