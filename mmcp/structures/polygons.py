"""One object's mask as polygons."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ['Polygons']


@dataclass(frozen=True, eq=False)
class Polygons:
    """The polygons whose union is one object; not yet pixels.

    Args:
        parts: Each of shape (2 * vertices,), float64, ``x0, y0, x1, y1, ...``
            in pixels, three vertices at least. They may reach over the
            image's border. No part at all is an empty mask.
    """

    parts: list[NDArray[np.float64]]
