#!/usr/bin/env python
r"""Makes foreground masks for CP2 from the attention of a DINO transformer.

For every image in a folder it writes a gray PNG of the same name and size,
into a folder that mirrors the images': the attention of the class token in
the last layer, averaged over the heads, enlarged and blurred, stretched to 0
to 255. Files that are there already are kept, so that an interrupted run goes
on where it stopped.

    python tools/converters/extract_attention_masks.py data/images \
        dino_vitbase16_pretrain.pth --out data/attention

A config uses them by mask=dict(type='file', folder='data/attention',
images='data/images', threshold='mean').
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from attention.maps import AttentionMaps
from attention.weights import find_transformer
from numpy.typing import NDArray

from mmcp.checkpoints import read_checkpoint
from mmcp.datasets import UnlabeledImageDataset, UnreadableImage
from mmcp.engine.config import UsageError
from mmcp.engine.launch import (
    add_traceback_argument,
    add_trust_argument,
    run_tool,
)
from mmcp.functional.decoding import EncodedImage, UndecodableImage

# All of DINO's transformers have 64 channels a head.
_CHANNELS = 64
_SECONDS = 10.0


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('images', type=Path, help='folder of images')
    parser.add_argument(
        'checkpoint',
        type=Path,
        help="weights with timm's names, such as DINO's ViT-B/16 backbone",
    )
    parser.add_argument(
        '--out', type=Path, required=True, help='folder for the masks'
    )
    parser.add_argument(
        '--size',
        type=int,
        default=480,
        help='longer side of what the transformer sees (default: %(default)s)',
    )
    parser.add_argument(
        '--sigma',
        type=float,
        default=0.5,
        help='blur of the map, in patches (default: %(default)s)',
    )
    parser.add_argument(
        '--heads',
        type=int,
        help='attention heads, which the weights do not tell (default: one '
        f'for {_CHANNELS} channels, as in all of DINO; MoCo v3 ViT-S has 12)',
    )
    parser.add_argument('--device', default='cpu', help='such as cuda')
    parser.add_argument(
        '--part',
        type=_part,
        default=(1, 1),
        metavar='I/N',
        help='do only part I of N, so that N processes share the work',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='make all masks anew'
    )
    add_trust_argument(parser)
    add_traceback_argument(parser)
    return parser.parse_args(argv)


def _part(text: str) -> tuple[int, int]:
    match = re.fullmatch(r'(\d+)/(\d+)', text)
    numbers = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= numbers[0] <= numbers[1]:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not I/N with 1 <= I <= N'
        )
    return numbers


def load_maps(args: argparse.Namespace) -> AttentionMaps:
    """Reads the transformer.

    Args:
        args: The command line.

    Returns:
        What makes maps.

    Raises:
        CheckpointError: If the checkpoint holds none.
        UsageError: If the number of heads does not fit.
    """
    checkpoint = read_checkpoint(args.checkpoint, trust=args.trust_checkpoint)
    weights = find_transformer(checkpoint, str(args.checkpoint))
    channels = weights['cls_token'].shape[2]
    heads = args.heads or max(channels // _CHANNELS, 1)
    if channels % heads:
        raise UsageError(
            f'{channels} channels cannot have {heads} heads; give --heads'
        )
    print(
        f'{args.checkpoint}: {channels} channels, {heads} heads, patches of '
        f'{weights["patch_embed.proj.weight"].shape[2]} pixels'
    )
    return AttentionMaps(weights, heads, args.size, args.sigma, args.device)


def outputs(
    images: UnlabeledImageDataset, folder: Path, out: Path
) -> Iterator[Path]:
    """Where the mask of each image goes.

    Args:
        images: The images.
        folder: Their folder.
        out: The folder for the masks.

    Yields:
        One path an image.

    Raises:
        UsageError: If two images have the same name but for the ending.
    """
    seen: set[int] = set()
    for index in range(len(images)):
        path = Path(images.path(index)).relative_to(folder).with_suffix('.png')
        if hash(path) in seen:
            raise UsageError(
                f'two images would have the mask {path}; names must differ '
                'in more than their ending'
            )
        seen.add(hash(path))
        yield out / path


def extract(args: argparse.Namespace) -> list[str]:
    """Makes all masks that are not there yet.

    Args:
        args: The command line.

    Returns:
        Images that could not be read, with the reason.
    """
    out, folder = args.out.resolve(), args.images.resolve()
    if folder in (out, *out.parents):
        raise UsageError(
            '--out must not lie in the folder of the images, or masks would '
            'be taken for images'
        )
    if args.size < 1 or args.sigma < 0:
        raise UsageError('--size must be > 0 and --sigma >= 0')
    maps = load_maps(args)
    images = UnlabeledImageDataset(str(args.images))
    number, parts = args.part
    places = list(outputs(images, args.images, args.out))[number - 1 :: parts]
    indices = range(number - 1, len(images), parts)
    todo = [
        (index, place)
        for index, place in zip(indices, places, strict=True)
        if args.overwrite or not place.exists()
    ]
    print(f'{len(places)} images, {len(places) - len(todo)} masks there')
    unreadable = []
    for index, place in _with_progress(todo):
        try:
            image = EncodedImage(images.read(index)).decode()
        except (UnreadableImage, UndecodableImage) as error:
            unreadable.append(f'{images.path(index)}: {error}')
            continue
        _write(place, maps(image))
    return unreadable


def _with_progress(
    todo: Sequence[tuple[int, Path]],
) -> Iterator[tuple[int, Path]]:
    started = last = time.monotonic()
    for done, item in enumerate(todo):
        yield item
        now = time.monotonic()
        if now - last >= _SECONDS or done + 1 == len(todo):
            last = now
            rate = (done + 1) / max(now - started, 1e-9)
            left = (len(todo) - done - 1) / rate / 60
            print(
                f'{done + 1} of {len(todo)}, {rate:.1f} a second, '
                f'{left:.0f} minutes left',
                flush=True,
            )


def _write(path: Path, values: NDArray[np.uint8]) -> None:
    """Writes a PNG that is whole as soon as it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f'.{path.name}.{os.getpid()}')
    draft.write_bytes(cv2.imencode('.png', values)[1].tobytes())
    draft.replace(path)


def main(argv: Sequence[str]) -> None:
    """Makes the masks and says what could not be read."""
    args = parse_args(argv)
    with torch.no_grad():
        unreadable = extract(args)
    if unreadable:
        print(f'{len(unreadable)} images have no mask:')
        print('\n'.join(unreadable))
    print(f'masks are in {args.out}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
