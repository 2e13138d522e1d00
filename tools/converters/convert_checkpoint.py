#!/usr/bin/env python
r"""Converts a checkpoint of any known kind for OpenMMLab's models.

It reads MoCo v1 to v3, DenseCL, PixPro, InfoMin, InsLoc, SimCLR, BYOL, DINO,
torchvision, MMPreTrain, CP2 as released and as trained there or here,
EfficientNets of timm, EfficientNet-PyTorch and MMPreTrain (Noisy Student
among them), and says what it took and what it left out. Before anything is
written, tensors are compared with those of the model they look like, and
features of the converted backbone with those of the source.

    python tools/converters/convert_checkpoint.py \
        moco_v2_800ep_pretrain.pth.tar checkpoints/moco_v2_800ep.pth

The result is for load_from, or for init_cfg of type Pretrained at the model
(at its backbone with prefix='backbone.'). init_cfg of type mmcp.Pretrained
needs no conversion.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from conversion.check import ForwardCheck, check_backbone, check_head
from conversion.report import as_json, as_text
from torch import Tensor

from mmcp.checkpoints import (
    CheckpointError,
    ModelWeights,
    load_safely,
    sort_weights,
)
from mmcp.checkpoints.export import (
    TARGETS,
    export_meta,
    export_weights,
    file_hash,
    fit_positions,
)
from mmcp.engine.config import UsageError
from mmcp.engine.launch import (
    add_traceback_argument,
    add_trust_argument,
    run_tool,
)
from mmcp.engine.messages import say


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'source', help='checkpoint: a path, or an address such as https://...'
    )
    parser.add_argument('out', type=Path, help='file to write')
    parser.add_argument(
        '--to',
        choices=list(TARGETS),
        default='mmseg',
        help='mmseg: backbone. and decode_head.; mmdet: backbone. and neck.; '
        'backbone: no prefix (default: %(default)s)',
    )
    parser.add_argument(
        '--part',
        choices=['backbone', 'backbone+neck', 'backbone+head'],
        help='what to write; backbone+neck is for the pyramid of a detector '
        '(default: backbone and head, if there is one)',
    )
    parser.add_argument(
        '--img-size',
        type=int,
        nargs=2,
        metavar=('HEIGHT', 'WIDTH'),
        help="resize a transformer's position embedding for images of this "
        'size; load_from does not resize it',
    )
    parser.add_argument(
        '--prefix',
        help="what the backbone's names begin with, for an unknown layout",
    )
    parser.add_argument(
        '--num-heads',
        type=int,
        help='attention heads, where the file is read wrongly in this respect',
    )
    parser.add_argument(
        '--report', type=Path, help='JSON file for all names, used or not'
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace an existing file'
    )
    add_trust_argument(parser)
    add_traceback_argument(parser)
    return parser.parse_args(argv)


def convert(args: argparse.Namespace) -> ForwardCheck:
    """Converts a checkpoint.

    Args:
        args: The command line.

    Returns:
        What the forward check found.

    Raises:
        CheckpointError: If the source cannot be used.
        UsageError: If a file cannot be written where it should, or an
            argument does not fit.
    """
    _check_paths(args)
    checkpoint = load_safely(args.source, trust=args.trust_checkpoint)
    weights = sort_weights(
        checkpoint, args.source, prefix=args.prefix, num_heads=args.num_heads
    )
    if args.num_heads is not None:
        found = sort_weights(checkpoint, args.source, prefix=args.prefix)
        _compare_heads(weights, found.num_heads)
    try:
        state = export_weights(weights, args.to, args.part)
        check = _check(checkpoint, weights, state, args)
        if args.img_size:
            fit_positions(state, tuple(args.img_size))
    except ValueError as error:
        raise UsageError(str(error)) from error
    _save(
        dict(meta=dict(mmcp=export_meta(weights)), state_dict=state), args.out
    )
    print(as_text(weights, state, check))
    print(f'{args.out}: sha256 {file_hash(args.out)}')
    if args.report:
        args.report.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(as_json(weights, state, check), indent=2)
        args.report.write_text(f'{text}\n')
    return check


def _check_paths(args: argparse.Namespace) -> None:
    """Raises, before any work, if a file cannot be written."""
    taken = [Path(args.source).resolve()]
    for path in filter(None, (args.out, args.report)):
        if path.is_dir():
            raise UsageError(f'{path} is a folder; name a file in it')
        above = next(p for p in path.absolute().parents if p.exists())
        if not above.is_dir():
            raise UsageError(f'{above} is a file, so {path} cannot be written')
        if path.resolve() in taken:
            raise UsageError(
                f'{path} would be overwritten by another file of this '
                'conversion; source, result and report need names of their own'
            )
        taken.append(path.resolve())
    if args.out.exists() and not args.overwrite:
        raise UsageError(f'{args.out} exists; --overwrite replaces it')


def _compare_heads(weights: ModelWeights, found: int | None) -> None:
    """Warns if a given number of attention heads is not the one found."""
    if found not in (None, weights.num_heads):
        say(
            f'warning: {weights.source}: you gave {weights.num_heads} '
            f'attention heads, but the file or its width tells {found}; the '
            'forward check cannot see which of them is right'
        )


def _save(content: dict[str, Any], path: Path) -> None:
    """Writes a checkpoint whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f'.{path.name}.draft')
    try:
        torch.save(content, draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _check(
    checkpoint: Mapping[str, Any],
    weights: ModelWeights,
    state: Mapping[str, Tensor],
    args: argparse.Namespace,
) -> ForwardCheck:
    """Raises if a part is incomplete; says which could not be compared."""
    parts = {
        part: {
            name.removeprefix(prefix): value
            for name, value in state.items()
            if name.startswith(prefix)
        }
        for part, prefix in TARGETS[args.to].items()
    }
    unknown = []
    try:
        check = check_backbone(
            checkpoint,
            weights,
            parts['backbone'],
            heads_given=args.num_heads is not None,
        )
        if not check.model:
            unknown.append('backbone')
        if parts.get('head') and not check_head(weights, parts['head']):
            unknown.append('head')
    except (IndexError, KeyError, RuntimeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f'{weights.source} ({weights.layout.title}) is not of the kind '
            f'that its names say ({error}); nothing was written.'
        ) from error
    if parts.get('neck'):
        unknown.append('neck')
    if unknown:
        say(
            f'warning: {weights.source}: it could not be checked whether '
            f'tensors are missing in {" and ".join(unknown)}, which is of no '
            'kind that is known here'
        )
    return check


def main(argv: Sequence[str]) -> None:
    """Converts and says what came of it."""
    convert(parse_args(argv))


if __name__ == '__main__':
    sys.exit(run_tool(main))
