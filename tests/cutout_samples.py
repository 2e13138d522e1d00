"""Small folders of cut-outs and backgrounds."""

import cv2
import numpy as np

COLOURS = {'apple': (40, 40, 220), 'pear': (60, 220, 120)}


def disc(side=24, colour=(0, 0, 255), alpha=255):
    """A disc that touches the edges, on transparent black; BGRA."""
    image = np.zeros((side, side, 4), np.uint8)
    middle = side // 2
    cv2.circle(image, (middle, middle), middle - 1, (*colour, alpha), -1)
    return image


def write_cutouts(folder, count=3):
    """Writes ``apple/*.png`` and ``pear/*.png``, discs of two colours."""
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            image = disc(20 + 4 * number, colour)
            cv2.imwrite(str(folder / name / f'{number}.png'), image)
    return folder


def write_backgrounds(folder, count=3, size=(80, 96)):
    """Writes ``*.jpg`` of gray levels 100, 101 ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image = np.full((*size, 3), 100 + number, np.uint8)
        cv2.imwrite(str(folder / f'{number}.jpg'), image)
    return folder
