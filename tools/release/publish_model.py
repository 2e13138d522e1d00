#!/usr/bin/env python
r"""Makes a file for others out of the checkpoint of a training.

Of a pretraining with CP2 or MoCo, backbone and decode head remain, by the
names that MMSegmentation has for them; of any other model, its weights.
Optimizer, queue, second encoder, averages beside the weights, logs and paths
of the machine go. What remains must fit the model of the config, and the
checkpoint must not say that it comes from another one. The name says which
config, day and content it is:

    python tools/release/publish_model.py work_dirs/x/epoch_20.pth \
        --config configs/cp2/x.py --out-dir checkpoints

writes checkpoints/x_20260131-0a1b2c3d.pth and, beside it, the entry for
metafile.yml, which it prints too; the paper's results are not in it. The file
is for load_from, and for init_cfg of type Pretrained or mmcp.Pretrained.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from publishing.contents import Contents, choose_contents
from publishing.entry import as_yaml, make_entry
from publishing.fitting import require_fit
from publishing.naming import config_stem, published_name
from publishing.provenance import (
    RENAMED_FLAG,
    known_config,
    require_same_config,
)

from mmcp.checkpoints import load_safely, read_checkpoint, use_safe_reader
from mmcp.checkpoints.export import file_hash
from mmcp.engine.config import UsageError
from mmcp.engine.launch import (
    add_traceback_argument,
    add_trust_argument,
    run_tool,
)


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('checkpoint', type=Path, help='of the training')
    parser.add_argument(
        '--out-dir', type=Path, required=True, help='folder for the files'
    )
    parser.add_argument(
        '--config',
        type=Path,
        help='config it was trained with (default: what the checkpoint says)',
    )
    parser.add_argument(
        RENAMED_FLAG,
        action='store_true',
        help='publish under the name of --config even though the checkpoint '
        'says another one; its tensors must fit all the same',
    )
    parser.add_argument(
        '--date', help='day of the training as YYYYMMDD (default: today, UTC)'
    )
    parser.add_argument(
        '--url',
        default='',
        help='address of the folder the file will be in, for the entry',
    )
    parser.add_argument(
        '--log', type=Path, help='JSON log of the training, to go beside it'
    )
    parser.add_argument(
        '--keep-config',
        action='store_true',
        help='keep the text of the config, with the paths in it',
    )
    add_trust_argument(parser)
    add_traceback_argument(parser)
    args = parser.parse_args(argv)
    if args.renamed and args.config is None:
        parser.error(f'{RENAMED_FLAG} goes with --config')
    return args


def publish(args: argparse.Namespace) -> Path:
    """Writes the files.

    Args:
        args: The command line.

    Returns:
        The published checkpoint.

    Raises:
        CheckpointError: If the checkpoint cannot be used.
        FileNotFoundError: If the log does not exist.
        UsageError: If config or date are wrong or the name is not known, or
            the checkpoint is of another config.
    """
    use_safe_reader(trust=args.trust_checkpoint)
    checkpoint = load_safely(str(args.checkpoint), trust=args.trust_checkpoint)
    if args.log is not None and not args.log.is_file():
        raise FileNotFoundError(f'Log {args.log} does not exist.')
    contents = choose_contents(
        checkpoint, str(args.checkpoint), keep_config=args.keep_config
    )
    stem = config_stem(args.config, checkpoint.get('meta'))
    contents.meta['mmcp']['config'] = f'{stem}.py'
    date = args.date or datetime.now(timezone.utc).strftime('%Y%m%d')
    published_name(stem, date, '')  # checks the date
    config = _checked_config(args, checkpoint, contents)
    path, digest = _write(contents, args.out_dir, stem, date)
    address = f'{args.url.rstrip("/")}/{path.name}' if args.url else path.name
    entry = make_entry(
        stem,
        args.config,
        contents.meta,
        contents.config or (config.to_dict() if config else {}),
        dict(Weights=address, SHA256=digest),
    )
    text = as_yaml(entry)
    path.with_suffix('.yml').write_text(text, encoding='utf-8')
    if args.log is not None:
        shutil.copy(args.log, path.with_suffix('.json'))
    _report(args.checkpoint, path, contents)
    print(f'\n{text}', end='')
    return path


def _checked_config(
    args: argparse.Namespace, checkpoint: Mapping[str, Any], contents: Contents
) -> Config | None:
    """The config, if known; raises if the checkpoint is of another one."""
    config = known_config(
        args.config, contents.config, trust=args.trust_checkpoint
    )
    if args.config is not None:
        require_same_config(
            args.config, config, checkpoint, renamed=args.renamed
        )
    if config is not None:
        described = str(args.config or f"{args.checkpoint}'s own config")
        require_fit(contents.state, config, described)
    return config


def _write(
    contents: Contents, folder: Path, stem: str, date: str
) -> tuple[Path, str]:
    """Writes a file, reads it again and gives it its name."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f'.{stem}.draft.pth'
    try:
        torch.save(dict(meta=contents.meta, state_dict=contents.state), draft)
        _check(draft, contents)
        digest = file_hash(draft)
        path = folder / published_name(stem, date, digest)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path, digest


def _check(path: Path, contents: Contents) -> None:
    """Raises unless the file can be read safely and is complete."""
    found = read_checkpoint(path)['state_dict']
    for name, value in contents.state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise UsageError(
                f'{name} holds NaN or infinity: the training has diverged. '
                'Nothing was published'
            )
        if name not in found or not torch.equal(found[name], value):
            raise UsageError(
                f'{name} was not written whole. Nothing was published; is '
                'the disk full?'
            )


def _report(source: Path, path: Path, contents: Contents) -> None:
    before, after = source.stat().st_size, path.stat().st_size
    kind = (
        'a model of unknown layout'
        if contents.weights is None
        else contents.weights.layout.title
    )
    print(f'{source}: {kind}, {before / 1e6:.1f} MB')
    counts = ', '.join(
        f'{name} ({number} tensors)' if number else name
        for name, number in contents.dropped.items()
    )
    print(f'left out: {counts or "nothing"}')
    print(f'{path}: {len(contents.state)} tensors, {after / 1e6:.1f} MB')


def main(argv: Sequence[str]) -> None:
    """Publishes a model and says what was left out."""
    publish(parse_args(argv))


if __name__ == '__main__':
    sys.exit(run_tool(main))
