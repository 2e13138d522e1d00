"""When hooks act that act every so often."""

from types import SimpleNamespace

import pytest
from mmengine.hooks import Hook, iter_timer_hook
from toy import make_runner

from mmcp.engine.hooks import periodic_hook
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


@pytest.mark.parametrize('by_epoch', [False, True])
def test_its_time_is_not_that_of_iterations(tmp_path, monkeypatch, by_epoch):
    clock = [0.0]
    for module in (iter_timer_hook, periodic_hook):
        fake = SimpleNamespace(time=lambda: clock[0])
        monkeypatch.setattr(module, 'time', fake)

    class Slow(Note):
        def act(self, runner, iteration):
            clock[0] += 100

    def tick(runner, *_, **__):
        clock[0] += 1

    work = Hook()
    work.before_train_iter = tick
    hook = Slow(1, by_epoch)
    runner = make_runner(
        tmp_path, hook, work, by_epoch=by_epoch, length=4, steps=3
    )
    runner.train()
    assert clock[0] > 300
    scalars = runner.message_hub.log_scalars
    for name, seconds in (('time', 1), ('data_time', 0)):
        values, _ = scalars[f'train/{name}'].data
        assert set(values) == {seconds}


@pytest.mark.parametrize('interval', [0, -1])
def test_interval_is_checked(interval):
    with pytest.raises(ValueError, match=f'at least 1, got {interval}'):
        Note(interval, by_epoch=True)
