"""When hooks act that act every so often."""

import pytest
from toy import make_runner

from mmcp.engine.hooks.periodic_hook import PeriodicHook


class Note(PeriodicHook):
    """Remembers when it acted."""

    def __init__(self, interval, by_epoch):
        super().__init__(interval, by_epoch)
        self.seen = []

    def act(self, runner, iteration):
        self.seen.append(iteration)


@pytest.mark.parametrize(
    ('interval', 'epochs', 'seen'),
    [(1, 3, [6, 12, 18]), (2, 4, [12, 24]), (2, 3, [12, 18]), (9, 2, [12])],
)
def test_by_epoch_and_at_the_end_once(tmp_path, interval, epochs, seen):
    hook = Note(interval, by_epoch=True)
    make_runner(tmp_path, hook, by_epoch=True, steps=epochs).train()
    assert hook.seen == seen


@pytest.mark.parametrize(
    ('interval', 'steps', 'seen'),
    [(1, 3, [1, 2, 3]), (2, 4, [2, 4]), (2, 5, [2, 4, 5]), (9, 2, [2])],
)
@pytest.mark.parametrize('by_epoch', [False, True])
def test_by_iteration_in_either_loop(
    tmp_path, by_epoch, interval, steps, seen
):
    hook = Note(interval, by_epoch=False)
    length = 2 * steps if by_epoch else 12
    make_runner(
        tmp_path,
        hook,
        by_epoch=by_epoch,
        length=length,
        steps=1 if by_epoch else steps,
    ).train()
    assert hook.seen == seen


def test_a_second_training_begins_anew(tmp_path):
    hook = Note(2, by_epoch=False)
    for run in 'ab':
        make_runner(tmp_path / run, hook, by_epoch=False, steps=2).train()
    assert hook.seen == [2, 2]


@pytest.mark.parametrize('interval', [0, -1])
def test_interval_is_checked(interval):
    with pytest.raises(ValueError, match=f'at least 1, got {interval}'):
        Note(interval, by_epoch=True)
