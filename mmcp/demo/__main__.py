"""Command line: make the built-in sample and print its self-check."""

import argparse
import sys
from collections.abc import Sequence

from mmcp.demo.check import check_sample
from mmcp.demo.sample import make_sample


def main(argv: Sequence[str] | None = None) -> int:
    """Make or check the sample.

    Args:
        argv: Arguments without the program's name. Defaults to None, those of
            the command line.

    Returns:
        Exit status: 0 when the sample keeps its promises, otherwise 1.
    """
    parser = argparse.ArgumentParser(
        prog='python -m mmcp.demo',
        description='Make the built-in sample and print its self-check.',
    )
    parser.add_argument('root', help='folder to fill, for example data/demo')
    parser.add_argument('--seed', type=int, default=0, help='default: 0')
    parser.add_argument(
        '--check',
        action='store_true',
        help='only check the sample that is there, make nothing',
    )
    args = parser.parse_args(argv)
    try:
        if not args.check:
            make_sample(args.root, args.seed)
        summary = check_sample(args.root)
    except OSError as error:
        parser.exit(2, f'{parser.prog}: {error}\n')
    print(summary.to_text())
    return 1 if summary.failures() else 0


if __name__ == '__main__':
    sys.exit(main())
