import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcp.self_training.journal import Journal, JournalWriter


def opened(folder):
    journal = Journal(folder)
    journal.open()
    return journal


def write(folder, rank, batches):
    writer = JournalWriter(folder, rank)
    for batch in batches:
        writer.append(batch, dict(images=[f'image {batch}']))
    writer.close()


def record(batch):
    return dict(batch=batch, images=[f'image {batch}'])


def test_records_of_all_processes_in_the_order_of_batches(tmp_path):
    write(tmp_path, 0, [4, 0])
    write(tmp_path, 1, [1, 7])
    write(tmp_path, 0, [2])
    journal = opened(tmp_path)

    assert journal.batches == [0, 1, 2, 4, 7]
    assert list(journal) == [record(batch) for batch in (0, 1, 2, 4, 7)]
    assert list(journal) == list(journal)


def test_an_empty_folder_and_none(tmp_path):
    assert opened(tmp_path).batches == []
    assert list(opened(tmp_path / 'none')) == []


@given(cut=st.integers(0, 200))
def test_what_is_cut_off_anywhere_is_forgotten(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp('journal')
    write(folder, 0, range(4))
    path = folder / 'part-00000.jsonl'
    whole = path.read_bytes()
    cut = min(cut, len(whole))
    path.write_bytes(whole[:cut])
    complete = whole[:cut].count(b'\n')

    assert opened(folder).batches == list(range(complete))
    # What comes next begins a new line.
    write(folder, 0, range(complete, 6))
    assert list(opened(folder)) == [record(batch) for batch in range(6)]


@pytest.mark.parametrize('damage', [b'\0', b'x'])
def test_a_last_line_of_the_right_length_may_be_damaged(tmp_path, damage):
    write(tmp_path, 0, range(3))
    path = tmp_path / 'part-00000.jsonl'
    content = bytearray(path.read_bytes())
    content[-6:-1] = damage * 5
    path.write_bytes(content)

    assert opened(tmp_path).batches == [0, 1]
    assert path.read_bytes().count(b'\n') == 2


def test_lines_that_are_no_records_end_a_file(tmp_path):
    write(tmp_path, 0, range(2))
    path = tmp_path / 'part-00000.jsonl'
    path.write_bytes(path.read_bytes() + b'\0' * 50 + b'\n')
    assert opened(tmp_path).batches == [0, 1]


def test_nothing_is_there_twice(tmp_path):
    write(tmp_path, 0, [0, 1])
    writer = JournalWriter(tmp_path, 1)
    writer.append(1, dict(images=['another']))
    writer.close()
    assert list(opened(tmp_path)) == [record(0), record(1)]


def test_every_record_is_on_the_disk_before_the_next(tmp_path, monkeypatch):
    lengths = []
    path = tmp_path / 'part-00000.jsonl'
    monkeypatch.setattr(
        'os.fsync', lambda number: lengths.append(path.stat().st_size)
    )
    write(tmp_path, 0, range(3))

    lines = [
        len(json.dumps(record(batch), separators=(',', ':'))) + 1
        for batch in range(3)
    ]
    assert lengths == [sum(lines[: n + 1]) for n in range(3)]
