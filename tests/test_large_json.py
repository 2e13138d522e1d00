import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcp.large_json import read_object

LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
VALUES = st.recursive(
    LEAVES | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
OBJECTS = st.dictionaries(
    st.sampled_from(['images', 'info', 'größe', '']), VALUES
)


@given(
    OBJECTS,
    st.lists(VALUES, max_size=4),
    st.sampled_from([None, 0, 1, '\t']),
    st.booleans(),
)
def test_is_what_json_reads(tmp_path_factory, data, rows, indent, ascii_only):
    data = {**data, 'rows': rows}
    path = tmp_path_factory.getbasetemp() / 'object.json'
    text = json.dumps(data, indent=indent, ensure_ascii=ascii_only)
    path.write_text(text, encoding='utf-8')
    assert read_object(path, {}) == data
    converted = read_object(path, {'rows': lambda row: [row], 'none': id})
    assert converted == {**data, 'rows': [[row] for row in rows]}


def test_rows_are_converted_one_by_one(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text('{"rows": [1, 2, 3], "rest": [4]}')
    seen = []
    read_object(path, {'rows': seen.append})
    assert seen == [1, 2, 3]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', "Expecting '{'"),
        ('[1]', "Expecting '{'"),
        ('{"a": 1', "Expecting '}'"),
        ('{"a" 1}', "Expecting ':'"),
        ('{"rows": {}}', r"Expecting '\['"),
        ('{"rows": [1, 2}', r"Expecting '\]'"),
        ('{"rows": [1,]}', 'Expecting value'),
        ('{"a": 1} 2', 'Extra data'),
        ('{"a": 1,}', 'Expecting value'),
    ],
)
def test_what_is_no_such_object(tmp_path, text, message):
    path = tmp_path / 'broken.json'
    path.write_text(text)
    with pytest.raises(
        ValueError, match=rf'broken.json holds no .* rows: {message}'
    ):
        read_object(path, {'rows': int})


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere.json'):
        read_object(tmp_path / 'nowhere.json', {})
