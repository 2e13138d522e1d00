"""Trains every config for two steps at reduced width; ``make test-configs``.

Resumable: a config whose hash is already in the record is skipped, and the
record is written after every config. Prints one line per config and exits
with 1 if any failed.
"""

import argparse
import contextlib
import sys
import tempfile
import time
import traceback
from importlib import import_module
from pathlib import Path

from check_configs import ROOT, find_leaves
from config_results import Record, config_digest, read_records, write_records
from mmengine.config import Config
from reduce_config import reduce_config, train_reduced

from mmcp.engine.build_on_meta import build_on_meta

RESULTS = ROOT / 'docs' / 'results' / 'configs.json'
_STACK = ('mmcp', 'mmdet', 'mmengine', 'mmcv', 'torch')


def main() -> int:
    """Runs what is not recorded yet.

    Returns:
        Exit status.
    """
    args = _parse_args()
    leaves = {leaf.stem: leaf for leaf in find_leaves(ROOT)}
    known = read_records(args.results)
    records = {s: record for s, record in known.items() if s in leaves}
    chosen = [s for s in leaves if not args.only or s in args.only]
    failed = []
    for number, stem in enumerate(chosen, 1):
        config = Config.fromfile(leaves[stem])
        digest = config_digest(config.to_dict(), _versions(config))
        prefix = f'[{number}/{len(chosen)}] {stem}'
        if stem in records and records[stem].digest == digest:
            print(f'{prefix}: done before', flush=True)
            continue
        start = time.perf_counter()
        try:
            records[stem] = _run(config, digest)
        except Exception:
            traceback.print_exc()
            print(f'{prefix}: FAILED', flush=True)
            records.pop(stem, None)
            failed.append(stem)
        else:
            seconds = time.perf_counter() - start
            print(f'{prefix}: ok in {seconds:.1f} s', flush=True)
        write_records(args.results, records)
    print(f'{len(chosen) - len(failed)} of {len(chosen)} configs run')
    return 1 if failed else 0


def _versions(config: Config) -> dict[str, str]:
    names = {*_STACK, config.default_scope}
    return {name: import_module(name).__version__ for name in names}


def _run(config: Config, digest: str) -> Record:
    model = build_on_meta(config)
    parameters = sum(p.numel() for p in model.parameters())
    with tempfile.TemporaryDirectory() as folder:
        small = reduce_config(config, Path(folder))
        # COCO's evaluation prints forty lines.
        with (
            (Path(folder) / 'stdout.txt').open('w') as file,
            contextlib.redirect_stdout(file),
        ):
            steps = train_reduced(small)
    return Record(digest, parameters, tuple(round(v, 6) for v in steps.losses))


def _parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--only', nargs='+', metavar='STEM', help='run these configs only'
    )
    parser.add_argument(
        '--results',
        type=Path,
        default=RESULTS,
        help='JSON file of the record; its table stands beside it as .md',
    )
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
