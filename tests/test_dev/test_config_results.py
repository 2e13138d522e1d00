"""The record of reduced trainings survives and is resumed."""

import subprocess
import sys

import pytest
from check_configs import ROOT
from config_results import (
    Record,
    config_digest,
    make_page,
    read_records,
    write_records,
)

RECORDS = {
    'b': Record('0123abcd', 46_301_232, (6.0331, 5.8186)),
    'a': Record('89ef4567', 65_293_360, (6.5, 6.25)),
}


def test_records_are_read_as_written(tmp_path):
    path = tmp_path / 'new' / 'configs.json'

    write_records(path, RECORDS)

    assert read_records(path) == RECORDS
    assert path.with_suffix('.md').read_text() == make_page(RECORDS)
    assert sorted(p.name for p in path.parent.iterdir()) == [
        'configs.json',
        'configs.md',
    ]


def test_no_file_is_no_records(tmp_path):
    assert read_records(tmp_path / 'none.json') == {}


def test_the_page_has_a_sorted_row_per_config():
    assert make_page(RECORDS).splitlines()[-4:] == [
        '| config | parameters (M) | loss 1 | loss 2 | hash |',
        '| --- | --- | --- | --- | --- |',
        '| a | 65.29 | 6.500 | 6.250 | `89ef4567` |',
        '| b | 46.30 | 6.033 | 5.819 | `0123abcd` |',
    ]


def test_the_digest_depends_on_values_and_versions_not_on_order():
    config = {'a': 1, 'b': {'c': (1, 2)}}
    digest = config_digest(config, {'torch': '2'})

    assert len(digest) == 8
    assert digest == config_digest(
        {'b': {'c': (1, 2)}, 'a': 1}, {'torch': '2'}
    )
    assert digest != config_digest(
        {'a': 2, 'b': {'c': (1, 2)}}, {'torch': '2'}
    )
    assert digest != config_digest(config, {'torch': '3'})


@pytest.mark.slow
def test_a_second_run_skips_what_is_recorded(tmp_path):
    stem = 'mask-rcnn_r50_fpn_8xb8-lsj-scp-90k_coco-1024'
    results = tmp_path / 'configs.json'
    command = [
        sys.executable,
        str(ROOT / 'tools' / 'dev' / 'test_configs.py'),
        f'--results={results}',
        f'--only={stem}',
    ]

    first = subprocess.run(command, capture_output=True, text=True)
    written = results.read_text()
    second = subprocess.run(command, capture_output=True, text=True)

    assert first.returncode == 0, first.stderr
    assert f'[1/1] {stem}: ok in ' in first.stdout
    assert second.returncode == 0, second.stderr
    assert f'[1/1] {stem}: done before' in second.stdout
    assert results.read_text() == written
    assert read_records(results)[stem].parameters == 47_941_168
