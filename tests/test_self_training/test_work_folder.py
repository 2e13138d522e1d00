import json
from datetime import datetime

import pytest

from mmcp.engine.config import UsageError
from mmcp.self_training.work_folder import WorkFolder, _lock

SETTINGS = dict(score=0.5, config='a.py', images='x', versions=dict(torch=2))


def test_the_first_attempt_keeps_its_date(tmp_path, monkeypatch):
    monkeypatch.delenv('SOURCE_DATE_EPOCH', raising=False)
    folder = WorkFolder(tmp_path / 'new' / 'pseudo.json')
    first = folder.begin(SETTINGS, restart=False)
    date = datetime.fromisoformat(first['date'])
    monkeypatch.setenv('SOURCE_DATE_EPOCH', '0')

    assert date.utcoffset().total_seconds() == 0
    assert first == dict(SETTINGS, date=first['date'])
    assert folder.begin(SETTINGS, restart=False) == first
    # Files may have moved.
    moved = dict(SETTINGS, config='b.py', images='y')
    assert folder.begin(moved, restart=False) == first
    again = folder.begin(moved, restart=True)
    assert again == dict(moved, date='1970-01-01T00:00:00+00:00')


def test_other_settings_are_named(tmp_path):
    folder = WorkFolder(tmp_path / 'pseudo.json')
    folder.begin(SETTINGS, restart=False)
    changed = dict(SETTINGS, score=0.6, versions=dict(torch=3))
    with pytest.raises(UsageError, match=r'\(score, versions\)'):
        folder.begin(changed, restart=False)
    # As they come back from JSON, tuples are lists.
    folder.begin(dict(SETTINGS, pair=(1, 2)), restart=True)
    folder.begin(dict(SETTINGS, pair=(1, 2)), restart=False)


def test_finished_work_is_forgotten(tmp_path):
    out = tmp_path / 'pseudo.json'
    folder = WorkFolder(out)
    folder.begin(SETTINGS, restart=False)
    (folder.path / 'part-00000.jsonl').touch()
    out.write_text('{}')
    # A kill came between writing and removing.
    folder.begin(SETTINGS, restart=False)
    folder.remove()
    assert list(tmp_path.iterdir()) == [out]
    with pytest.raises(UsageError, match='exists already'):
        folder.begin(SETTINGS, restart=False)
    folder.begin(SETTINGS, restart=True)
    assert json.loads(out.read_text()) == {}


def test_one_job_at_a_time(tmp_path):
    out = tmp_path / 'pseudo.json'
    with WorkFolder(out).reserved():
        with (
            pytest.raises(UsageError, match='Another process is writing'),
            WorkFolder(out).reserved(),
        ):
            pass
        with WorkFolder(tmp_path / 'other.json').reserved():
            pass
    with WorkFolder(out).reserved():
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_was_removed_meanwhile_is_none(tmp_path):
    path = tmp_path / 'lock'
    with path.open('ab') as file:
        assert _lock(file, path)
        path.unlink()
        assert not _lock(file, path)
        path.touch()
        assert not _lock(file, path)
