import re

from mmcp.engine import progress as module
from mmcp.engine.progress import progress


def test_lines_in_a_log(monkeypatch, capfd):
    clock = iter([0.0, 10.0, 31.0, 40.0, 70.0])
    monkeypatch.setattr(module.time, 'monotonic', lambda: next(clock))
    with progress(1200, 'images', done=200) as advance:
        for count in (100, 210, 90, 600):
            advance(count)
    assert capfd.readouterr().err.splitlines() == [
        '510 of 1,200 images, 10.0 a second, 0:01:09 left',
        '1,200 of 1,200 images, 14.3 a second, 0:00:00 left',
    ]


def test_a_bar_on_a_terminal(monkeypatch, capfd):
    monkeypatch.setattr(module.sys.stderr, 'isatty', lambda: True)
    monkeypatch.setenv('FORCE_COLOR', '1')
    with progress(20, 'images', done=3) as advance:
        advance(17)
    shown = re.sub('\x1b\\[[0-9;?]*[a-zA-Z]', '', capfd.readouterr().err)
    assert '20/20 images' in shown


def test_other_processes_are_silent(monkeypatch, capfd):
    monkeypatch.setenv('RANK', '1')
    with progress(2, 'images') as advance:
        advance(2)
    assert capfd.readouterr() == ('', '')
