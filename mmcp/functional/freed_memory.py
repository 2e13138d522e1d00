"""Memory that images leave to the images after them."""

import functools

import numpy as np

__all__ = ['keep_freed_memory']

# glibc maps larger blocks in any case (DEFAULT_MMAP_THRESHOLD_MAX).
_LARGEST = (32 << 20) - (64 << 10)


@functools.cache
def keep_freed_memory() -> None:
    """Lets the C library keep the memory of freed images, up to 64 MB.

    It returns what is free at the end of the heap once that is more than
    twice the largest block that was mapped and freed before (``mallopt(3)``,
    ``M_MMAP_THRESHOLD``). The images of one Copy-Paste sample are more than
    twice the largest of them, so every sample would fetch its pages anew,
    which takes a tenth of its time. A larger block, mapped and freed without
    being touched, is remembered instead; MMDetection's full-size masks have
    the same effect. Does nothing where the user set one of the variables
    ``MALLOC_TRIM_THRESHOLD_``, ``MALLOC_MMAP_THRESHOLD_``, ``MALLOC_TOP_PAD_``
    and ``MALLOC_MMAP_MAX_``, or its tunable, since each of them makes glibc
    keep its thresholds as they are, or where the C library is another.
    """
    np.empty(_LARGEST, np.uint8)
