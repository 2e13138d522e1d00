import pytest
from hypothesis import given
from hypothesis import strategies as st
from migration.leaf import leaf_text, override, render
from mmengine.config import Config

PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-9, 99)
    | st.floats(allow_nan=False)
    | st.text('ab \'"\n\\', max_size=50)
)
KEYS = st.sampled_from(['type', 'a', 'b', 'c', 'long_name', 'd-e', 'in'])
VALUES = st.recursive(
    PLAIN,
    lambda child: (
        st.lists(child, max_size=4)
        | st.lists(child, max_size=3).map(tuple)
        | st.dictionaries(KEYS, child, max_size=4)
    ),
    max_leaves=20,
)


@given(VALUES, st.integers(0, 60))
def test_text_spells_the_value(value, used):
    assert repr(eval(render(value, used=used))) == repr(value)


def test_wrapped_where_it_must_be():
    value = dict(
        type='A', sizes=(1, 2), words=['x' * 40, 'y' * 40], one=(1,), none={}
    )
    assert render(value).splitlines() == [
        'dict(',
        "    type='A',",
        '    sizes=(1, 2),',
        '    words=[',
        f"        '{'x' * 40}',",
        f"        '{'y' * 40}',",
        '    ],',
        '    one=(1,),',
        '    none=dict(),',
        ')',
    ]
    # 79 columns with the comma that may follow.
    assert render(['x' * 72]) == f"['{'x' * 72}']"
    assert '\n' in render(['x' * 72], used=3)


def test_what_no_config_can_spell():
    with pytest.raises(TypeError, match='cannot spell a object'):
        render(dict(a=[object()]))


@pytest.mark.parametrize(
    ('old', 'new', 'expected'),
    [
        (dict(a=1, b=2), dict(a=1, b=3), dict(b=3)),
        (dict(a=1), dict(a=1, b=3), dict(b=3)),
        (dict(a=1), dict(a=True), dict(a=True)),
        (dict(a=1, b=2), dict(b=2), dict(_delete_=True, b=2)),
        (
            dict(x=dict(a=1, b=[1, 2]), y=0),
            dict(x=dict(a=1, b=[1, 3]), y=0),
            dict(x=dict(b=[1, 3])),
        ),
        (
            dict(type='A', x=dict(a=1, b=2)),
            dict(type='B', x=dict(a=1)),
            dict(type='B', x=dict(_delete_=True, a=1)),
        ),
        ([1], [1, 2], [1, 2]),
        (dict(a=None), dict(a=dict(b=1)), dict(a=dict(_delete_=True, b=1))),
    ],
)
def test_only_what_changes(old, new, expected):
    assert override(old, new) == expected


@given(
    st.dictionaries(KEYS, VALUES, max_size=4),
    st.dictionaries(KEYS, VALUES, max_size=4),
)
def test_merged_by_mmengine_it_gives_the_new_value(old, new):
    change = override(old, new)
    merged = Config._merge_a_into_b(dict(top=change), dict(top=old))
    assert _sorted(merged['top']) == _sorted(new)


def _sorted(value):
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return value


def test_text_of_a_leaf(tmp_path):
    (tmp_path / 'base.py').write_text('a = dict(x=1, y=2)\nb = 3\n')
    text = leaf_text('./base.py', 'A title.', dict(a=dict(x=5)))
    assert text == (
        '"""A title.\n\nWritten by tools/converters/migrate_config.py.\n"""\n'
        "\n_base_ = './base.py'\n\na = dict(x=5)\n"
    )
    (tmp_path / 'leaf.py').write_text(text)
    loaded = Config.fromfile(str(tmp_path / 'leaf.py')).to_dict()
    assert loaded == dict(a=dict(x=5, y=2), b=3)
