r"""What CP2's weights are worth: pretrains, fine-tunes, compares.

CP2 and MoCo v2 are pretrained on unlabelled photographs, published, and
fine-tuned on CamVid and on the 21 classes of coco_small, beside random and
ImageNet weights: the same MobileNetV2, head, data and steps in all arms.

    python benchmarks/studies/cp2_transfer.py --data ../shared/data --small

trains what is missing and writes ``docs/results/cp2_transfer.md``, ``.json``
and two pictures. Every cell has a folder below ``--work-dir``; finished ones
are kept, an interrupted pretraining resumes. Without ``--small`` the sizes are
those for a GPU, of some minutes a fine-tuning.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from cp2_transfer_study.cells import Study
from cp2_transfer_study.report import collect, figures, write_record
from cp2_transfer_study.settings import (
    ARMS,
    SMALL,
    TARGETS,
    Settings,
    check_data,
)
from training_cells import ROOT


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--data',
        type=Path,
        default=ROOT / 'data',
        help='folder with caltech101_sub, coco_small, camvid and weights '
        '(default: data)',
    )
    parser.add_argument(
        '--small', action='store_true', help='sizes for one core of a CPU'
    )
    parser.add_argument(
        '--targets',
        nargs='+',
        choices=TARGETS,
        default=[*TARGETS],
        help='data sets to fine-tune on (default: all)',
    )
    parser.add_argument(
        '--arms',
        nargs='+',
        choices=ARMS,
        default=[*ARMS],
        help='what to start from (default: all)',
    )
    parser.add_argument(
        '--seeds',
        type=int,
        nargs='+',
        default=[0, 1, 2],
        help='of the fine-tuning (default: 0 1 2)',
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        help='folder of all cells (default: work_dirs/cp2_transfer, with '
        '_small behind it where it is)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=ROOT / 'docs' / 'results',
        help='folder for the report',
    )
    parser.add_argument(
        '--report-only',
        action='store_true',
        help='train nothing, write the report of what is finished',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Trains what is missing and writes the record."""
    args = parse_args(argv)
    settings = SMALL if args.small else Settings()
    name = 'cp2_transfer_small' if args.small else 'cp2_transfer'
    work_dir = (args.work_dir or ROOT / 'work_dirs' / name).resolve()
    if not args.report_only:
        data = args.data.resolve()
        check_data(data)
        Study(data, work_dir, settings).run(
            args.targets, args.arms, args.seeds
        )
    results = collect(work_dir)
    write_record(results, settings, args.out)
    print(figures(results))


if __name__ == '__main__':
    main()
