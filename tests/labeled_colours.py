"""Folders of labelled images that colour alone tells apart."""

import cv2
import numpy as np

CHANNELS = dict(blue=0, green=1, red=2)


def write_labelled(root):
    """Writes `train/{colour}/` of 5 images each and `val/` of 3."""
    for part, count in (('train', 5), ('val', 3)):
        rng = np.random.default_rng(count)
        for name, channel in CHANNELS.items():
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                image = rng.integers(0, 60, (40, 40, 3), np.uint8)
                image[..., channel] += 180
                path = root / part / name / f'{number}.png'
                cv2.imwrite(str(path), image)
    return root
