"""Settings and fixtures that the whole test suite shares."""

import os
from pathlib import Path

# Before numpy and torch start their thread pools: several test processes
# share the cores.
for _name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS'):
    os.environ.setdefault(_name, '1')
os.environ.setdefault('MPLBACKEND', 'Agg')

import cv2
import pytest
import torch
from hypothesis import HealthCheck, settings

cv2.setNumThreads(0)
torch.set_num_threads(1)

ROOT = Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / 'shared' / 'data'

# No deadline: the cores are shared. CI repeats the same examples every time.
settings.register_profile(
    'local',
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    'ci', settings.get_profile('local'), derandomize=True
)
settings.load_profile('ci' if os.environ.get('CI') else 'local')


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Gives pytest-xdist one group per file, and one for all of ``dist``.

    A file's module-scoped fixtures are then made once, and tests that start
    several processes never run beside each other.
    """
    for item in items:
        group = 'dist' if item.get_closest_marker('dist') else item.location[0]
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope='session')
def repo_root():
    """The folder that holds ``mmcp/``, ``configs/`` and ``tools/``."""
    return ROOT


@pytest.fixture(scope='session')
def shared_data():
    """The folder of real data sets beside the clone; skips without it."""
    path = Path(os.environ.get('MMCP_SHARED_DATA', SHARED_DATA))
    if not path.is_dir():
        pytest.skip(
            f'no real data at {path}; MMCP_SHARED_DATA can name another folder'
        )
    return path
