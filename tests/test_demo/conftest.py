from pathlib import Path

import pytest

from mmcp.demo import make_sample


@pytest.fixture(scope='session')
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample of seed 0; read only."""
    return make_sample(tmp_path_factory.mktemp('data') / 'demo')
