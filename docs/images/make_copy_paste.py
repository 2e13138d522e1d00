"""Renders the README's figure from the built-in sample.

Run from the repository root: ``python docs/images/make_copy_paste.py``.
"""

import json
import tempfile
from pathlib import Path

import cv2
import numpy as np

from mmcp.demo import make_sample
from mmcp.functional.paste import cut_patches, paste_image, union_of
from mmcp.functional.patches import patch_from_polygons

SOURCE, DESTINATION = 59, 43  # image ids that show overlap and a subset
PASTED = (0, 2, 4)
SCALE, SIZE, GAP = 2, 256, 8
COLOURS = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (204, 121, 167))


def load(root, image_id):
    """Image of shape (H, W, 3), RGB, and the patches of its objects."""
    coco = json.loads((root / 'annotations/instances_train.json').read_text())
    name = next(i['file_name'] for i in coco['images'] if i['id'] == image_id)
    image = cv2.imread(str(root / 'train' / name))[..., ::-1]
    canvas = np.full((SIZE, SIZE, 3), (124, 116, 104), np.uint8)
    height, width = image.shape[:2]
    canvas[:height, :width] = image
    polygons = [
        a['segmentation']
        for a in coco['annotations']
        if a['image_id'] == image_id and not a['iscrowd']
    ]
    return canvas, [patch_from_polygons(p, SIZE, SIZE) for p in polygons]


def draw_masks(patches, pasted):
    """Pasted masks in white over the cut masks in colours."""
    picture = np.full((SIZE, SIZE, 3), 32, np.uint8)
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(patches))]
    colours += [(255, 255, 255)] * len(pasted)
    for patch, colour in zip([*patches, *pasted], colours, strict=True):
        x0, y0, x1, y1 = patch.extent
        picture[y0:y1, x0:x1][patch.bitmap != 0] = colour
    return picture


def main():
    """Writes ``copy_paste.jpg`` beside this file."""
    with tempfile.TemporaryDirectory() as folder:
        root = make_sample(Path(folder) / 'sample')
        source, objects = load(root, SOURCE)
        destination, below = load(root, DESTINATION)
    pasted = [objects[i] for i in PASTED]
    cut = cut_patches(below, union_of(pasted))
    result = paste_image(destination, source, pasted)
    panels = [source, destination, draw_masks(cut.patches, pasted), result]
    gap = np.full((SIZE, GAP, 3), 255, np.uint8)
    row = panels[0]
    for panel in panels[1:]:
        row = np.hstack([row, gap, panel])
    large = cv2.resize(
        row, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC
    )
    out = Path(__file__).with_name('copy_paste.jpg')
    cv2.imwrite(str(out), large[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    print(f'wrote {out.name}, {large.shape[1]}x{large.shape[0]}')


if __name__ == '__main__':
    main()
