import os
import platform
import subprocess
import sys

import pytest

# Variables that change the allocator or put another into its place.
_SETTINGS = ('MALLOC_', 'GLIBC_TUNABLES', 'LD_PRELOAD')
# Faults of pages per round of three images, after some rounds.
_PROGRAM = """
import resource
import sys
import numpy as np
from mmcp.functional.freed_memory import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def make_sample():
    images = [np.ones(3 << 20, np.uint8) for _ in range(4)]

if sys.argv[1] == 'keep':
    keep_freed_memory()
for _ in range(5):
    make_sample()
before = faults()
for _ in range(20):
    make_sample()
print((faults() - before) / 20)
"""


def _faults(how):
    own = {k: v for k, v in os.environ.items() if not k.startswith(_SETTINGS)}
    done = subprocess.run(
        [sys.executable, '-c', _PROGRAM, how],
        capture_output=True,
        text=True,
        check=True,
        env=own,
    )
    return float(done.stdout.splitlines()[-1])


@pytest.mark.skipif(
    platform.libc_ver()[0] != 'glibc', reason='another allocator'
)
def test_pages_of_freed_images_are_used_again():
    # 12 MB are 3072 pages, of which the allocator may keep half.
    if _faults('leave') <= 1000:
        pytest.skip('huge pages, or an allocator that keeps more')
    assert _faults('keep') < 50
