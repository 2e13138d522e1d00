"""The pinned versions are read, and what is wrong is told with its line."""

import pytest
from envsetup.pins import FILES, normalise, read_pins
from envsetup.shell import SetupError
from hypothesis import given
from hypothesis import strategies as st
from pretend_machine import ROOT

NAMES = st.from_regex(
    r'[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?', fullmatch=True
)


@pytest.fixture
def folder(tmp_path):
    """A folder in which every file has one pin."""
    for name in FILES:
        tmp_path.joinpath(name).write_text(f'{name[0]}-package==1.0\n')
    return tmp_path


def test_comments_and_empty_lines_are_no_pins(folder):
    folder.joinpath(FILES[0]).write_text(
        '# why\n\nPy_YAML==6.0.3\ntorch==2.13.0+cpu\n'
    )
    assert read_pins(folder) == {
        'py-yaml': '6.0.3',
        'torch': '2.13.0+cpu',
        'd-package': '1.0',
        't-package': '1.0',
    }


@pytest.mark.parametrize(
    'line', ['numpy', 'numpy>=2', 'numpy==2.*', ' numpy==2', 'a==1; b', '-e .']
)
def test_whatever_is_no_pin_is_refused(folder, line):
    folder.joinpath('dev.txt').write_text(f'# first\n{line}\n')

    with pytest.raises(SetupError) as error:
        read_pins(folder)
    assert str(error.value) == (
        f'requirements/dev.txt, line 2: {line!r} is not NAME==VERSION'
    )


def test_a_package_stands_in_one_place_only(folder):
    folder.joinpath('transitive.txt').write_text('R.Package==1.0\n')

    with pytest.raises(SetupError) as error:
        read_pins(folder)
    assert str(error.value) == (
        'requirements/transitive.txt, line 1: r-package is pinned already'
    )


@pytest.mark.parametrize('name', FILES)
def test_a_missing_file_is_named(folder, name):
    folder.joinpath(name).unlink()

    with pytest.raises(SetupError, match=f'requirements/{name} is missing'):
        read_pins(folder)


@given(NAMES)
def test_names_that_an_index_takes_for_one_are_one(name):
    once = normalise(name)

    assert normalise(once) == once
    assert normalise(name.upper().replace('-', '_.')) == once


def test_the_repositorys_pins_can_be_read():
    pins = read_pins(ROOT / 'requirements')

    assert pins['torch'] == '2.13.0'
    assert pins['onedl-mmcv'] == '2.3.6'
