"""The pins are complete, agree with each other and with the extras."""

from importlib import metadata

import pytest
from envsetup.pins import normalise, read_pins
from envsetup.preflight import SUPPORTED
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from pretend_machine import ROOT

PINS = read_pins(ROOT / 'requirements')
# torch is resolved with its dependencies: its CUDA builds have these, which
# are not pinned.
OF_CUDA = ('nvidia-', 'cuda-', 'triton')


def installed_as_pinned(name):
    """Returns a distribution; None if another version is installed."""
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    public = distribution.version.split('+')[0]
    return distribution if public == PINS[name] else None


def needs_of(distribution):
    """Yields what a distribution needs here, without its extras."""
    for text in distribution.requires or ():
        need = Requirement(text)
        if need.marker is None or need.marker.evaluate({'extra': ''}):
            yield need


@pytest.fixture(params=sorted(PINS))
def distribution(request):
    """Every pinned distribution; its metadata is known once installed."""
    found = installed_as_pinned(request.param)
    if found is None:
        pytest.skip(f'{request.param} is not installed as pinned (make env)')
    return found


def test_whatever_a_pin_needs_is_pinned_to_a_version_that_will_do(
    distribution,
):
    needs = [
        need
        for need in needs_of(distribution)
        if not normalise(need.name).startswith(OF_CUDA)
    ]
    wrong = [
        f'{need} (pinned: {PINS.get(normalise(need.name))})'
        for need in needs
        if not need.specifier.contains(
            PINS.get(normalise(need.name), 'none'), prereleases=True
        )
    ]
    assert wrong == []


def test_every_supported_python_will_do(distribution):
    wanted = SpecifierSet(distribution.metadata.get('Requires-Python') or '')

    for major, minor in SUPPORTED:
        assert wanted.contains(f'{major}.{minor}.0')


@pytest.mark.parametrize('name', ['onedl', 'dev'])
def test_the_pins_are_within_the_extras(name):
    text = (ROOT / 'requirements' / f'{name}.txt').read_text()
    lines = [line for line in text.splitlines() if line[:1] not in ('#', '')]

    assert len(lines) > 5
    for need in map(Requirement, lines):
        assert need.specifier.contains(PINS[normalise(need.name)]), need


def test_what_the_package_itself_needs_is_pinned():
    needs = {normalise(need.name) for need in needs_of_mmcp()}

    assert needs == {'numpy', 'pycocotools'}
    assert needs <= set(PINS)


def needs_of_mmcp():
    return needs_of(metadata.distribution('mmcp'))


def test_every_pinned_transitive_package_is_needed():
    """What nothing needs any more does not stay behind."""
    tops = set()
    for name in ('runtime', 'dev'):
        text = (ROOT / 'requirements' / f'{name}.txt').read_text()
        tops |= {
            normalise(line.split('==')[0])
            for line in text.splitlines()
            if line[:1] not in ('#', '')
        }
    found = {name: installed_as_pinned(name) for name in PINS}
    if None in found.values():
        pytest.skip('not everything is installed as pinned (make env)')
    needed = tops | {
        normalise(need.name)
        for distribution in found.values()
        for need in needs_of(distribution)
    }
    assert set(PINS) - needed <= {
        *('pip', 'setuptools', 'wheel', 'ninja', 'psutil')
    }
