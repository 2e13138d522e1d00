#!/usr/bin/env python
r"""Says how often objects are pasted into another kind of scene (Table 12).

    python tools/analysis/scene_context.py \
        data/coco/annotations/panoptic_train2017.json

Copy-Paste draws both images at random, so the probability of pasting from one
kind of scene into another follows from how many images are of each. COCO does
not say which images were taken indoors; as in the paper, its panoptic labels
do: an image is of the kind whose stuff covers more of it. The paper does not
give its rule, so the counts may differ a little.

Other data: a JSON file {"IMAGE ID": "SCENE", ...} with any kinds of scenes.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmcp.engine.config import UsageError
from mmcp.engine.launch import add_traceback_argument, run_tool
from mmcp.large_json import read_object

# Supercategories of COCO's stuff, in the two groups of COCO-Stuff.
SCENES = {
    'indoor': (
        'ceiling',
        'floor',
        'food-stuff',
        'furniture-stuff',
        'raw-material',
        'textile',
        'wall',
        'window',
    ),
    'outdoor': (
        'building',
        'ground',
        'plant',
        'sky',
        'solid',
        'structural',
        'water',
    ),
}
PAPER = """The paper, COCO train2017:
                to indoor   to outdoor
from indoor         14.1%        23.4%
from outdoor        23.4%        39.1%
46.8% of the pairs do not match; 42,538 indoor, 71,017 outdoor, 4,732 unknown
"""


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'scenes', type=Path, help="COCO's panoptic annotations, or scenes"
    )
    parser.add_argument(
        '--instances',
        type=Path,
        metavar='FILE',
        help='COCO annotations; images without an object to paste are then no '
        'sources',
    )
    parser.add_argument(
        '--out', type=Path, metavar='JSON', help='write the numbers, too'
    )
    add_traceback_argument(parser)
    return parser.parse_args(argv)


def read_scenes(path: Path) -> dict[str, str | None]:
    """Reads of which kind every image is.

    Args:
        path: COCO's panoptic annotations, or the scene of each image id.

    Returns:
        From the id of each image, as text, to its scene, None if unknown.

    Raises:
        UsageError: If the file is neither.
    """
    content = _read(path, {'annotations': _areas_of})
    if 'annotations' not in content:
        if all(isinstance(scene, str) for scene in content.values()):
            return dict(content)
        raise UsageError(
            f'{path} must be panoptic annotations of COCO, or map ids of '
            'images to names of scenes'
        )
    groups = {
        category['id']: scene
        for category in content.get('categories', ())
        for scene, supers in SCENES.items()
        if category.get('supercategory') in supers
    }
    if not groups:
        raise UsageError(
            f"{path} has no stuff of COCO's, such as sky or floor, by which "
            'scenes are told; annotations of instances have none'
        )
    return {
        image: _scene_of(areas, groups)
        for image, areas in content['annotations']
    }


def _read(
    path: Path, convert: Mapping[str, Callable[[Any], Any]]
) -> dict[str, Any]:
    try:
        return read_object(path, convert)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _areas_of(annotation: Mapping[str, Any]) -> tuple[str, Counter[int]]:
    """Id of an image, and how many pixels are of each category."""
    areas: Counter[int] = Counter()
    for segment in annotation.get('segments_info', ()):
        areas[segment['category_id']] += segment['area']
    return str(annotation['image_id']), areas


def _scene_of(
    areas: Mapping[int, int], groups: Mapping[int, str]
) -> str | None:
    """The kind of scene that covers the most pixels; None if there is none."""
    covered = dict.fromkeys(SCENES, 0)
    for category, area in areas.items():
        if category in groups:
            covered[groups[category]] += area
    first, second = sorted(covered, key=covered.__getitem__, reverse=True)
    return first if covered[first] > covered[second] else None


def pair_matrix(
    sources: Sequence[int], destinations: Sequence[int]
) -> NDArray[np.float64]:
    """Probability of each pair of scenes when both images are random.

    Args:
        sources: Images of each kind of scene to paste from, K numbers.
        destinations: Images of each kind to paste into, K numbers.

    Returns:
        Shape (K, K), from the row's scene to the column's; the sum is 1.

    Examples:
        >>> pair_matrix([1, 3], [2, 2])
        array([[0.125, 0.125],
               [0.375, 0.375]])
    """
    shares = [np.array(one) / sum(one) for one in (sources, destinations)]
    return np.outer(*shares)


def images_with_objects(path: Path) -> set[str]:
    """Ids of the images that have something to paste.

    Args:
        path: COCO annotations.

    Returns:
        Those with an object that is no crowd, as text.
    """
    found = set()

    def look_at(annotation: Mapping[str, Any]) -> None:
        if not annotation.get('iscrowd', 0):
            found.add(str(annotation['image_id']))

    _read(path, {'annotations': look_at})
    return found


def measure(
    scenes: Mapping[str, str | None], sources: set[str] | None = None
) -> dict[str, Any]:
    """Counts images and pairs.

    Args:
        scenes: Scene of each image, None if unknown.
        sources: Ids of the images to paste from. Defaults to None, meaning
            all.

    Returns:
        ``scenes`` (K names), ``sources``, ``destinations`` (K counts),
        ``unknown`` (images), ``matrix`` (K by K shares, from the row to the
        column), ``unmatched`` (their sum off the diagonal).

    Raises:
        UsageError: If there is no image of a known scene to paste from.
    """
    into = Counter(scenes.values())
    out_of = Counter(
        scene
        for image, scene in scenes.items()
        if sources is None or image in sources
    )
    names = sorted(scene for scene in into if scene is not None)
    counts = [[found[name] for name in names] for found in (out_of, into)]
    if not sum(counts[0]):
        raise UsageError(
            'there is no image of a known scene to paste from; are the ids '
            'of --instances those of the same images?'
        )
    matrix = pair_matrix(*counts)
    return dict(
        scenes=names,
        sources=counts[0],
        destinations=counts[1],
        unknown=into[None],
        matrix=matrix.tolist(),
        unmatched=float(1 - np.trace(matrix)),
    )


def make_table(found: Mapping[str, Any]) -> str:
    """Shows the matrix as the paper does.

    Args:
        found: What :func:`measure` gives.

    Returns:
        Some lines.
    """
    names = found['scenes']
    wide = max(len(f'from {name}') for name in names)
    lines = [' ' * wide + ''.join(f'{f"to {name}":>13}' for name in names)]
    for name, row in zip(names, found['matrix'], strict=True):
        cells = ''.join(f'{f"{share:.1%}":>13}' for share in row)
        lines.append(f'{f"from {name}":<{wide}}{cells}')
    counts = [
        f'{count:,} {name}'
        for name, count in zip(names, found['destinations'], strict=True)
    ]
    lines.append(
        f'{found["unmatched"]:.1%} of the pairs do not match; '
        f'{", ".join(counts)}, {found["unknown"]:,} unknown'
    )
    return '\n'.join(lines)


def main(argv: Sequence[str]) -> None:
    """Prints the matrix."""
    args = parse_args(argv)
    sources = args.instances and images_with_objects(args.instances)
    found = measure(read_scenes(args.scenes), sources)
    print(make_table(found))
    if found['scenes'] == list(SCENES):
        print(f'\n{PAPER}', end='')
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(found, indent=1) + '\n')


if __name__ == '__main__':
    sys.exit(run_tool(main))
