"""Defaults in docstrings are compared with those of the signature."""

import ast
import textwrap

import check_docstring_defaults
import pytest
from check_docstring_defaults import (
    actual_defaults,
    documented_defaults,
    main,
    problems_of,
)
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.from_regex(r'[a-z_]{1,8}', fullmatch=True),
    lambda inner: st.tuples(inner, inner),
    max_leaves=4,
)


def function(signature, text):
    """Returns the source of a function that documents ``size``."""
    return (
        f'def resize(image, {signature}):\n'
        f'    """Resizes.\n\n'
        f'    Args:\n'
        f'        image: An image, by default of any kind.\n'
        f'        size: A size. {text}\n\n'
        f'    Returns:\n'
        f'        size: Defaults to nothing at all.\n'
        f'    """\n'
    )


def problems(source):
    return [*problems_of(source)]


@pytest.mark.parametrize(
    ('signature', 'text'),
    [
        ('size=3', 'Defaults to 3.'),
        ('size=3', 'Defaults to 3'),
        ('size=3', 'Defaults to ``3``.'),
        ('size=3', 'Defaults to 3, the size of a thumbnail.'),
        ('size=3', 'Defaults to\n            3.'),
        ('size=0.5', 'Defaults to 0.5.'),
        ('size=-1', 'Defaults to -1.'),
        ('size=4e-5', 'Defaults to 4e-5.'),
        ('size=None', 'Defaults to None, which keeps it.'),
        ("size='auto'", "Defaults to 'auto'."),
        ("size='auto'", 'Defaults to auto.'),
        ("size='auto'", "Defaults to ``'auto'``."),
        ('size=(0.1, 2.0)', 'Defaults to (0.1, 2.0).'),
        ('size=(0.1, 2.0)', 'Defaults to (0.1, 2.0), large jitter.'),
        ('size=()', 'Defaults to ().'),
        ('size=[1, 2]', 'Defaults to [1, 2].'),
        ('*, size=3', 'Defaults to 3.'),
        ('*, key, size=3', 'Defaults to 3.'),
        ('size=3, /', 'Defaults to 3.'),
        ('other=1, size=3', 'Defaults to 3.'),
        ('size=make()', 'Defaults to something computed.'),
        ('size', 'It has no default.'),
        ('size=3', 'It is not said what it defaults to.'),
    ],
)
def test_right_defaults(signature, text):
    assert problems(function(signature, text)) == []


@pytest.mark.parametrize(
    ('signature', 'text', 'actual', 'said'),
    [
        ('size=3', 'Defaults to 4.', '3', '4'),
        ('size=3', 'Defaults to 3.5.', '3', '3.5'),
        ('size=3', 'Defaults to 30.', '3', '30'),
        ('size=3', 'Defaults to the size 3.', '3', 'the size 3'),
        ('size=0.999', 'Defaults to 0.001.', '0.999', '0.001'),
        ('size=None', 'Defaults to 0, nothing.', 'None', '0, nothing'),
        ("size='auto'", "Defaults to 'auto '.", "'auto'", "'auto '"),
        ('size=(1, 2)', 'Defaults to (1, 3).', '(1, 2)', '(1, 3)'),
        ('size=(1, 2)', 'Defaults to 1.', '(1, 2)', '1'),
        ('*, size=3', 'Defaults to 4.', '3', '4'),
        ('other=4, size=3', 'Defaults to 4.', '3', '4'),
        ('size=3, *, other=4', 'Defaults to 4.', '3', '4'),
    ],
)
def test_wrong_defaults(signature, text, actual, said):
    assert problems(function(signature, text)) == [
        (
            1,
            f'resize: size defaults to {actual}, but the docstring says '
            f'{said}',
        )
    ]


@pytest.mark.parametrize('signature', ['size', '*, size', 'size, other=3'])
def test_a_default_that_is_not_there(signature):
    assert problems(function(signature, 'Defaults to 3.')) == [
        (1, 'resize: size has no default, but the docstring says 3')
    ]


def test_an_argument_that_is_not_there():
    assert problems(function('sizes=3', 'Defaults to 3.')) == [
        (1, 'resize: size has no default, but the docstring says 3')
    ]


@pytest.mark.parametrize(
    'assignment', ['_GRAY = (1, 2)', '_GRAY: tuple[int, int] = (1, 2)']
)
@pytest.mark.parametrize(
    ('said', 'right'), [('(1, 2)', True), ('_GRAY', True), ('(1, 3)', False)]
)
def test_constants_of_the_module_are_looked_up(assignment, said, right):
    source = function('size=_GRAY', f'Defaults to {said}.')

    message = f'resize: size defaults to _GRAY, but the docstring says {said}'
    found = problems(f'{assignment}\n{source}')
    assert found == ([] if right else [(2, message)])


CLASS = '''
class Resize:
    """Resizes.

    Args:
        size: A size. Defaults to 3.
        keep: Whether to keep it. Defaults to True.
    """

    def __init__(self, size={size}, keep=True):
        self.size = size

    def __call__(self, size=5):
        """Does it.

        Args:
            size: Another. Defaults to {call}.
        """
'''


def test_the_docstring_of_a_class_is_that_of_its_init():
    assert problems(CLASS.format(size=3, call=5)) == []
    assert problems(CLASS.format(size=4, call=6)) == [
        (2, 'Resize: size defaults to 4, but the docstring says 3'),
        (13, '__call__: size defaults to 5, but the docstring says 6'),
    ]


def test_functions_inside_others_and_async_ones_are_seen():
    inner = textwrap.indent(function('size=3', 'Defaults to 4.'), '    ')
    source = f'def outer():\n{inner}'.replace('    def', '    async def')

    assert [line for line, _ in problems(source)] == [2]


def test_only_the_section_of_arguments_counts():
    docstring = (
        'Defaults to 1.\n\nArgs:\n    a: Defaults to 2.\n        b: not an '
        'entry.\n    **kw: More.\n    c: Defaults to (3,\n        4).\n\n'
        'Examples:\n    d: Defaults to 5.'
    )
    assert documented_defaults(docstring) == {'a': '2', 'c': '(3, 4)'}
    assert documented_defaults('No section.') == {}


def test_every_kind_of_argument_is_read():
    tree = ast.parse('def f(a, b=1, /, c=2, *d, e, f=3, **g): ...')
    defaults = actual_defaults(tree.body[0])

    assert {name: ast.unparse(value) for name, value in defaults.items()} == {
        'b': '1',
        'c': '2',
        'f': '3',
    }


@given(VALUES, VALUES)
def test_a_value_is_its_own_default_and_no_others(value, other):
    source = function(f'size={value!r}', f'Defaults to {value!r}.')
    assert problems(source) == []

    source = function(f'size={value!r}', f'Defaults to {other!r}.')
    assert (problems(source) == []) == (value == other)


def test_the_whole_repository_is_right():
    assert main() == 0


def test_problems_are_printed_with_their_place(tmp_path, monkeypatch, capsys):
    path = tmp_path / 'mmcp' / 'a' / 'resize.py'
    path.parent.mkdir(parents=True)
    path.write_text(function('size=3', 'Defaults to 4.'))
    monkeypatch.setattr(check_docstring_defaults, 'ROOT', tmp_path)

    assert main() == 1
    assert capsys.readouterr().out == (
        'mmcp/a/resize.py:1: resize: size defaults to 3, but the docstring '
        'says 4\n1 wrong defaults in docstrings\n'
    )
