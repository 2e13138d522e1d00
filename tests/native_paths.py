"""Runs the tests of a file with and without the compiled functions."""

import pytest

from mmcp.functional import native


@pytest.fixture(scope='module', autouse=True, params=['compiled', 'numpy'])
def path(request):
    """Which of the two is taken; import it into a file of tests."""
    if request.param == 'compiled':
        needs_compiled()
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, 'compiled', None)
        yield


def needs_compiled():
    """Skips where nothing was compiled, as without a compiler."""
    if native.compiled is None:
        pytest.skip('mmcp was installed without a C compiler')
