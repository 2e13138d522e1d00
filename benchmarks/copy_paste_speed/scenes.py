"""Copy-Paste alone: scenes of a given number of real objects."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
from mmdet.datasets.transforms import CopyPaste as MMDetCopyPaste
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import PolygonMasks
from numpy.typing import NDArray

from copy_paste_speed.images import Images
from copy_paste_speed.pipelines import SIZE
from mmcp.datasets.transforms import CopyPaste
from mmcp.structures import CroppedBitmapMasks, Polygons

Results = dict[str, Any]
Parts = list[NDArray[np.float64]]

# Sides of very large objects, as a share of the canvas.
_LARGE = (0.5, 0.9)


@dataclass(frozen=True)
class Scenario:
    """How many objects, and whether they are as large as real ones.

    Args:
        name: What tables call it.
        objects: Objects of the destination.
        pasted: Objects of the source, all of which are pasted.
        large: Whether their boxes have half to nine tenths of the canvas'
            sides.
    """

    name: str
    objects: int
    pasted: int
    large: bool = False


SCENARIOS = (
    Scenario('7 / 4', 7, 4),
    Scenario('20 / 10', 20, 10),
    Scenario('100 / 50', 100, 50),
    Scenario('20 / 10, very large', 20, 10, large=True),
)


@dataclass(frozen=True)
class Side:
    """One image of a scene and its objects.

    Args:
        image: Shape (H, W, 3), uint8.
        outlines: Polygons of each of M objects.
        boxes: Their boxes, shape (M, 4), ``xyxy``, float32.
    """

    image: NDArray[np.uint8]
    outlines: list[Parts]
    boxes: NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """A destination and a source."""

    destination: Side
    source: Side


class SceneMaker:
    """Puts real objects of many images together.

    Args:
        images: Where images and objects come from.
        seed: Seed of the draws. Defaults to 0.
    """

    def __init__(self, images: Images, seed: int = 0) -> None:
        content = images.annotations()
        self.paths = images.paths()
        self.pool = _outlines_on_canvas(content)
        self.rng = np.random.default_rng(seed)

    def scene(self, scenario: Scenario) -> Scene:
        """Draws a scene.

        Args:
            scenario: What it shall hold.

        Returns:
            A new scene.
        """
        large = scenario.large
        return Scene(
            self.side(scenario.objects, large),
            self.side(scenario.pasted, large),
        )

    def side(self, count: int, large: bool = False) -> Side:
        """Draws one image with objects.

        Args:
            count: How many objects.
            large: Whether to enlarge them. Defaults to False.

        Returns:
            A new image with its objects.
        """
        drawn = self.rng.choice(len(self.pool), count, len(self.pool) < count)
        outlines = [self.pool[row] for row in drawn]
        if large:
            outlines = [self._enlarge(parts) for parts in outlines]
        path = self.paths[self.rng.integers(len(self.paths))]
        image = cv2.resize(cv2.imread(str(path)), (SIZE, SIZE))
        boxes = [np.concatenate(_extent(parts)) for parts in outlines]
        return Side(image, outlines, np.array(boxes, np.float32))

    def _enlarge(self, parts: Parts) -> Parts:
        low, high = _extent(parts)
        side = self.rng.uniform(*_LARGE, 2) * SIZE
        corner = self.rng.uniform(0, SIZE - side)
        factor = side / np.maximum(high - low, 1)
        moved = [(p.reshape(-1, 2) - low) * factor + corner for p in parts]
        return [part.reshape(-1) for part in moved]


def _outlines_on_canvas(content: dict[str, Any]) -> list[Parts]:
    """Polygons of all ordinary objects, images enlarged to the canvas."""
    factor = {
        image['id']: SIZE / max(image['width'], image['height'])
        for image in content['images']
    }
    pool = []
    for annotation in content['annotations']:
        parts = annotation['segmentation']
        if isinstance(parts, list) and not annotation['iscrowd']:
            scale = factor[annotation['image_id']]
            pool.append([np.array(part, float) * scale for part in parts])
    return pool


def _extent(parts: Parts) -> tuple[NDArray[Any], NDArray[Any]]:
    points = np.concatenate(parts).reshape(-1, 2)
    return points.min(0), points.max(0)


def _as_results(side: Side, masks: Any) -> Results:
    count = len(side.boxes)
    return {
        'img': side.image.copy(),
        'gt_bboxes': HorizontalBoxes(side.boxes),
        'gt_bboxes_labels': np.zeros(count, np.int64),
        'gt_ignore_flags': np.zeros(count, bool),
        'gt_masks': masks,
    }


def _results_of(
    scene: Scene, make_masks: Callable[[Side], Any]
) -> tuple[Results, Results]:
    sides = scene.destination, scene.source
    destination, source = (_as_results(s, make_masks(s)) for s in sides)
    return destination, source


def _polygon_masks(side: Side) -> PolygonMasks:
    return PolygonMasks(side.outlines, SIZE, SIZE)


def _lazy_masks(side: Side) -> CroppedBitmapMasks:
    items = [Polygons(parts) for parts in side.outlines]
    return CroppedBitmapMasks(items, SIZE, SIZE)


# Both prepare without timing: MMDetection changes what it is given, and our
# masks keep the pixels that they have made.
mmdet_results = partial(_results_of, make_masks=_polygon_masks)
our_results = partial(_results_of, make_masks=_lazy_masks)


def mmdet_rasterise(both: tuple[Results, Results]) -> tuple[Results, Results]:
    """Makes bitmaps, as MMDetection's loading does.

    Args:
        both: Destination and source with polygons; changed.

    Returns:
        The same.
    """
    for results in both:
        results['gt_masks'] = results['gt_masks'].to_bitmap()
    return both


class MMDetPaste:
    """MMDetection's transform; it pastes every object."""

    def __init__(self) -> None:
        self.transform = MMDetCopyPaste(selected=False)

    def __call__(self, both: tuple[Results, Results]) -> Results:
        """Pastes the second image's objects onto the first."""
        results: Results = self.transform(dict(both[0], mix_results=[both[1]]))
        return results


class OurPaste:
    """Our transform, and every mask of the result as pixels."""

    def __init__(self) -> None:
        self.transform = CopyPaste(num_pasted='all')

    def __call__(self, both: tuple[Results, Results]) -> Results:
        """Pastes the second image's objects onto the first."""
        results: Results = self.transform(dict(both[0], mix_results=[both[1]]))
        results['gt_masks'] = results['gt_masks'].rasterised()
        return results
