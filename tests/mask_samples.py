"""Random instance masks for the tests of the mask containers."""

import cv2
import numpy as np
from hypothesis import strategies as st
from mmdet.structures.mask import BitmapMasks


def random_bitmap(rng, height, width):
    """A filled shape, scattered pixels, or nothing at all."""
    mask = np.zeros((height, width), np.uint8)
    kind = rng.integers(4)
    if kind == 0:
        return mask
    x, y = (int(rng.integers(-2, n + 2)) for n in (width, height))
    a, b = (int(rng.integers(0, n)) for n in (width, height))
    if kind == 1:
        cv2.ellipse(mask, (x, y), (a, b), 30, 0, 360, 1, -1)
    else:
        mask[max(y - b, 0) : max(y + b, 0), max(x - a, 0) : max(x + a, 0)] = 1
        if kind == 3:
            mask[rng.random(mask.shape) > 0.3] = 0
    return mask


def random_masks(rng, count, height, width):
    """``BitmapMasks`` of ``count`` objects."""
    bitmaps = [random_bitmap(rng, height, width) for _ in range(count)]
    return BitmapMasks(bitmaps, height, width)


@st.composite
def bitmap_masks(draw, least=0):
    """Zero to five objects on small canvases of any shape."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    return random_masks(rng, draw(st.integers(least, 5)), height, width)
