"""Whether files and folders are as they were."""

import os
import time
from array import array
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmcp.datasets.packed_strings import PackedStrings, PackedStringsBuilder

__all__ = ['FileStamps', 'FileStampsBuilder']

# A change soon after a look may leave the time of change as it was: some file
# systems count in seconds.
_SETTLED_NS = 2_000_000_000
_NEVER = (-1, -1)
_MISSING = (-2, -2)


class FileStamps(NamedTuple):
    """Time of change and size of files and folders.

    Args:
        paths: The files and folders.
        states: Time of change in ns and size in bytes of each, shape
            (count, 2), int64; what had just changed has -1 twice, and is
            never taken for unchanged.
    """

    paths: PackedStrings
    states: NDArray[np.int64]

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self.paths.nbytes + self.states.nbytes

    def unchanged(self) -> bool:
        """Whether all files and folders are as they were."""
        return all(
            _state(self.paths[place]) == tuple(self.states[place].tolist())
            for place in range(len(self.paths))
        )


class FileStampsBuilder:
    """Looks at files and folders, one by one."""

    def __init__(self) -> None:
        self._paths = PackedStringsBuilder()
        self._states = array('q')

    def add(self, path: bytes) -> None:
        """Looks at one; to be called before its content is read.

        Args:
            path: The file or folder.
        """
        state = _state(path)
        recent = abs(time.time_ns() - state[0]) < _SETTLED_NS
        self._paths.append(path)
        self._states.extend(_NEVER if recent else state)

    def build(self) -> FileStamps:
        """All that was looked at."""
        states = np.array(self._states, np.int64).reshape(-1, 2)
        return FileStamps(self._paths.build(), states)


def _state(path: bytes) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return _MISSING
    return found.st_mtime_ns, found.st_size
