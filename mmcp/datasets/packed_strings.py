"""Many short strings in two arrays."""

from array import array

import numpy as np
from numpy.typing import NDArray

__all__ = ['PackedStrings', 'PackedStringsBuilder']


class PackedStrings:
    """A million file names without a million Python objects.

    A list of ``str`` costs about 90 bytes a name, and every forked worker
    copies it page by page, because touching an object writes its reference
    count. Two arrays cost 8 bytes more than the names themselves, and workers
    share them.

    Args:
        data: All strings one after the other, shape (bytes,), uint8.
        offsets: Where each begins, and the end of the last, shape
            (count + 1,), int64.

    Raises:
        ValueError: If the offsets do not fit the data.
    """

    def __init__(
        self, data: NDArray[np.uint8], offsets: NDArray[np.int64]
    ) -> None:
        if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(data):
            raise ValueError(
                f'{len(offsets)} offsets do not fit {len(data)} bytes'
            )
        self.data = data
        self.offsets = offsets

    def __len__(self) -> int:
        """Number of strings."""
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> bytes:
        """One string; negative indices are not counted from the end.

        Args:
            index: From 0 to ``len - 1``.

        Returns:
            The string.

        Raises:
            IndexError: If there is no such string.
        """
        if not 0 <= index < len(self):
            raise IndexError(f'string {index} of {len(self)}')
        begin, end = self.offsets[index], self.offsets[index + 1]
        return self.data[begin:end].tobytes()

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self.data.nbytes + self.offsets.nbytes


class PackedStringsBuilder:
    """Collects strings, one by one."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._offsets = array('q', [0])

    def __len__(self) -> int:
        """Number of strings so far."""
        return len(self._offsets) - 1

    def append(self, string: bytes) -> None:
        """Adds one.

        Args:
            string: The string.
        """
        self._data += string
        self._offsets.append(len(self._data))

    def build(self) -> PackedStrings:
        """The strings so far, in arrays of exactly their size."""
        return PackedStrings(
            np.array(self._data, np.uint8),
            np.array(self._offsets, np.int64),
        )
