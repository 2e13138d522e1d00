"""Pictures of the nuclei study: augmented samples, predictions.

    python benchmarks/studies/nuclei_pictures.py

reads the predictions that ``nuclei_copy_paste.py`` left in its work folder
and writes ``docs/results/nuclei_samples.jpg`` and ``nuclei_predictions.jpg``.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from nuclei_copy_paste import ANN_FILE, CONFIGS, Cell
from numpy.typing import NDArray
from pycocotools import mask as rle
from pycocotools.coco import COCO
from training_cells import ROOT

Image = NDArray[np.uint8]
TILE = 256
# BGR
OWN = (80, 200, 60)
PASTED = (40, 120, 255)
_IMAGES = ROOT / 'data/dsb2018_nuclei/images'


def outline(
    image: Image, masks: Iterable[NDArray[Any]], color: tuple[int, int, int]
) -> Image:
    """Draws the contours of masks.

    Args:
        image: BGR image of shape (H, W, 3).
        masks: Masks of shape (H, W), non-zero inside.
        color: BGR.

    Returns:
        A new image.
    """
    drawn = image.copy()
    for mask in masks:
        contours, _ = cv2.findContours(
            mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(drawn, contours, -1, color, 1)
    return drawn


def tile_grid(rows: Sequence[Sequence[Image]], gap: int = 4) -> Image:
    """Puts images of one size into a grid with white gaps.

    Args:
        rows: Rows of the same number of images of shape (h, w, 3).
        gap: Pixels between two images. Defaults to 4.

    Returns:
        One image.
    """
    height, width = rows[0][0].shape[:2]
    grid = np.full(
        (
            len(rows) * (height + gap) - gap,
            len(rows[0]) * (width + gap) - gap,
            3,
        ),
        255,
        np.uint8,
    )
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            top, left = i * (height + gap), j * (width + gap)
            grid[top : top + height, left : left + width] = image
    return grid


def caption(image: Image, text: str) -> Image:
    """Writes a line above an image.

    Args:
        image: BGR image of shape (H, W, 3).
        text: ASCII text.

    Returns:
        A new image of shape (H + 20, W, 3).
    """
    strip = np.full((20, image.shape[1], 3), 255, np.uint8)
    cv2.putText(
        strip, text, (2, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, 0, 1, cv2.LINE_AA
    )
    return np.vstack([strip, image])


def paste_samples(config: Config, seed: int, count: int) -> list[list[Image]]:
    """Draws destination, source and result of training samples.

    Args:
        config: A recipe with Copy-Paste and one class.
        seed: Seed of the augmentation.
        count: Number of samples.

    Returns:
        Rows of three images: the destination with its objects, the source with
        its objects, and the result, where pasted ones have another colour.
    """
    init_default_scope('mmdet')
    wrapper = DATASETS.build(config.train_dataloader.dataset)
    data, paste = wrapper.dataset, wrapper.copy_paste
    np.random.seed(seed)  # noqa: NPY002
    rows = []
    for index in range(count):
        destination = data[index]
        source = data[np.random.randint(len(data))]  # noqa: NPY002
        # Labels tell the two kinds apart; there is one class only.
        source['gt_bboxes_labels'] = np.ones_like(source['gt_bboxes_labels'])
        result = paste({**destination, 'mix_results': [source]})
        is_pasted = result['gt_bboxes_labels'] == 1
        masks = result['gt_masks'].to_ndarray()
        own = outline(result['img'], masks[~is_pasted], OWN)
        rows.append(
            [
                _outlined(destination, OWN),
                _outlined(source, PASTED),
                outline(own, masks[is_pasted], PASTED),
            ]
        )
    return rows


def prediction_rows(
    image_ids: Sequence[int], work_dir: Path, seed: int, threshold: float
) -> list[list[Image]]:
    """Draws validation images beside their ground truth and predictions.

    Args:
        image_ids: COCO ids.
        work_dir: Folder of the study.
        seed: Seed whose predictions are drawn.
        threshold: Lowest score that is drawn.

    Returns:
        Rows of four images: image, ground truth, and both recipes.
    """
    truth = COCO(str(ROOT / ANN_FILE))
    rows = []
    for image_id in image_ids:
        info = truth.loadImgs([image_id])[0]
        image = cv2.imread(str(_IMAGES / info['file_name']))
        annotations = truth.loadAnns(truth.getAnnIds([image_id]))
        row = [image, outline(image, map(truth.annToMask, annotations), OWN)]
        for arm in CONFIGS:
            file = work_dir / Cell(arm, seed).name / 'predictions.segm.json'
            masks = [
                rle.decode(d['segmentation'])
                for d in json.loads(file.read_text(encoding='utf-8'))
                if d['image_id'] == image_id and d['score'] >= threshold
            ]
            row.append(outline(image, masks, PASTED))
        rows.append([_square(tile) for tile in row])
    return rows


def _outlined(results: dict[str, Any], color: tuple[int, int, int]) -> Image:
    return outline(results['img'], results['gt_masks'].to_ndarray(), color)


def _square(image: Image) -> Image:
    """Cuts the top left square and resizes it to a tile."""
    side = min(image.shape[:2])
    interpolation = cv2.INTER_AREA if side > TILE else cv2.INTER_CUBIC
    return cv2.resize(
        image[:side, :side], (TILE, TILE), interpolation=interpolation
    )


def _write(
    file: Path, heads: Sequence[str], rows: list[list[Image]], quality: int
) -> None:
    first = [caption(t, h) for t, h in zip(rows[0], heads, strict=True)]
    grid = tile_grid(rows)
    strip = tile_grid([[tile[:20] for tile in first]])
    picture = np.vstack([strip, grid])
    cv2.imwrite(str(file), picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    print(f'{file}: {file.stat().st_size // 1000} kB')


def main() -> None:
    """Writes both pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/nuclei_study')
    )
    parser.add_argument('--out', type=Path, default=ROOT / 'docs/results')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--images',
        type=int,
        nargs='+',
        default=[150, 339, 102, 302],
        help='COCO ids',
    )
    args = parser.parse_args()
    recipe = Config.fromfile(ROOT / CONFIGS['copy-paste'])
    _write(
        args.out / 'nuclei_samples.jpg',
        ['destination after jitter', 'source after jitter', 'training sample'],
        paste_samples(recipe, args.seed, 4),
        quality=85,
    )
    _write(
        args.out / 'nuclei_predictions.jpg',
        ['image', 'ground truth', *(f'{a}, score >= 0.5' for a in CONFIGS)],
        prediction_rows(args.images, args.work_dir, args.seed, 0.5),
        quality=85,
    )


if __name__ == '__main__':
    main()
