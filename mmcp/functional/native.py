"""The compiled twins of some functions, where a compiler was at hand.

``_native.c`` holds loops over vertices and mask pixels for which numpy needs
many small calls. The functions of this package take them where they are built
and give the same without them, some milliseconds a sample later.
``MMCP_NATIVE=0`` in the environment leaves them unused.
"""

import os
from importlib import import_module
from typing import Any

__all__ = ['VERSION', 'compiled']

# That of the C source: what an older checkout built is not used.
VERSION = 3


def _load() -> Any:
    """The compiled module, or None."""
    if os.environ.get('MMCP_NATIVE') == '0':
        return None
    try:
        module = import_module('mmcp.functional._native')
    except ImportError:
        return None
    return module if getattr(module, 'VERSION', 0) == VERSION else None


compiled = _load()
"""Its functions are described in ``_native.c``; None where it is missing."""
