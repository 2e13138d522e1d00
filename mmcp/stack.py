"""Checks that the OpenMMLab packages mmcp builds on are there and fit.

Either line will do: OpenMMLab's own releases or the maintained OneDL line,
which installs the same import names under other distribution names. Only
metadata is read; nothing of the stack is imported, so this takes
milliseconds.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Requirement:
    """One package of the stack, under the names of both lines.

    Attributes:
        module: Import name.
        onedl: Distribution name on the OneDL line.
        openmmlab: Distribution name on OpenMMLab's own line.
        low: Lowest version that will do, as a release tuple.
        high: First version that will no longer do.
    """

    module: str
    onedl: str
    openmmlab: str
    low: tuple[int, ...]
    high: tuple[int, ...]

    def accepts(self, version: str) -> bool:
        """Tells whether a version is within the bounds."""
        return self.low <= release(version) < self.high

    @property
    def bounds(self) -> str:
        """The bounds as pip writes them, e.g. ``>=3.3,<4``."""
        low, high = (
            '.'.join(map(str, bound)) for bound in (self.low, self.high)
        )
        return f'>={low},<{high}'


@dataclass(frozen=True)
class Problem:
    """What is wrong with one package.

    Attributes:
        requirement: The package.
        text: The problem in a few words, with the version found.
        rebuild: Whether the version is right but must be compiled again.
    """

    requirement: Requirement
    text: str
    rebuild: bool = False


MMCV = Requirement('mmcv', 'onedl-mmcv', 'mmcv', (2, 0), (3,))
STACK = (
    Requirement('mmengine', 'onedl-mmengine', 'mmengine', (0, 10), (1,)),
    MMCV,
    Requirement('mmdet', 'onedl-mmdetection', 'mmdet', (3, 3), (4,)),
    Requirement(
        'mmseg', 'onedl-mmsegmentation', 'mmsegmentation', (1, 2), (2,)
    ),
)
MMCV_LITE = 'mmcv-lite'  # OpenMMLab's build without operators


def check_stack() -> None:
    """Checks the versions of mmengine, mmcv, mmdet and mmseg.

    Raises:
        ImportError: If one is missing, outside its bounds or (mmcv) without
            compiled operators. The message names every such package and the
            commands that mend it.
    """
    problems = [p for r in STACK if (p := find_problem(r)) is not None]
    if problems:
        commands = '\n    '.join(fix_commands(problems))
        raise ImportError(
            'mmcp cannot run on this OpenMMLab stack: '
            f'{"; ".join(problem.text for problem in problems)}.\n'
            f'To mend it:\n    {commands}\n'
            'or run `make env` in a clone of mmcp, which builds the whole '
            'environment.'
        )


def find_problem(requirement: Requirement) -> Problem | None:
    """Returns what is wrong with one package, None if nothing is."""
    name, bounds = requirement.module, requirement.bounds
    version = installed_version(requirement)
    if version is None:
        text = f'{name} is not installed ({bounds} is needed)'
        return Problem(requirement, text)
    if not requirement.accepts(version):
        text = f'{name} {version} is installed, but {bounds} is needed'
        return Problem(requirement, text)
    if requirement is MMCV and not _has_operators():
        text = f'{name} {version} was built without its compiled operators'
        return Problem(requirement, text, rebuild=True)
    return None


def installed_version(requirement: Requirement) -> str | None:
    """Returns a package's version, whichever line it comes from.

    With distributions of both lines installed, the first one within the
    bounds counts. A source tree on the path has no metadata; its
    ``version.py`` is read then.
    """
    folder = _folder(requirement.module)
    if folder is None:
        return None
    names = [requirement.onedl, requirement.openmmlab]
    if requirement is MMCV:
        names.append(MMCV_LITE)
    found = [*filter(None, map(_distribution_version, names))]
    fitting = [*filter(requirement.accepts, found)]
    return next(iter(fitting + found), None) or _version_in_source(folder)


def fix_commands(problems: list[Problem]) -> Iterator[str]:
    """Yields the shell commands that mend the problems, in order.

    They stay on the line of OpenMMLab that most packages come from.
    """
    line = _line_in_use()
    if any(problem.requirement is MMCV for problem in problems):
        if _distribution_version(MMCV_LITE):
            yield f'pip uninstall -y {MMCV_LITE}'
        # mmcv's operators are compiled against the torch beside them.
        yield 'pip install torch ninja psutil "setuptools>=80" wheel'
    install = 'pip install --no-build-isolation'
    rebuild = f'{install} --no-cache-dir --force-reinstall --no-deps'
    for problem in problems:
        requirement = problem.requirement
        name = f'"{getattr(requirement, line)}{requirement.bounds}"'
        yield f'{rebuild if problem.rebuild else install} {name}'


def release(version: str) -> tuple[int, ...]:
    """Returns the release part of a version as numbers.

    Examples:
        >>> release('2.13.0+cpu')
        (2, 13, 0)
        >>> release('3.3.0rc1')
        (3, 3, 0)
    """
    match = re.match(r'v?(\d+(?:\.\d+)*)', version)
    return tuple(map(int, match[1].split('.'))) if match else ()


def _distribution_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _folder(module: str) -> Path | None:
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _version_in_source(folder: Path) -> str | None:
    path = folder / 'version.py'
    text = path.read_text(encoding='utf-8') if path.is_file() else ''
    match = re.search(r'^__version__\s*=\s*[\'"]([^\'"]+)', text, re.M)
    return match[1] if match else None


def _has_operators() -> bool:
    folder = _folder(MMCV.module)
    return folder is not None and any(folder.glob('_ext*.*'))


def _line_in_use() -> str:
    """Returns the field of ``Requirement`` that names the user's line."""
    onedl = sum(_distribution_version(r.onedl) is not None for r in STACK)
    openmmlab = sum(
        _distribution_version(r.openmmlab) is not None for r in STACK
    )
    return 'openmmlab' if openmmlab > onedl else 'onedl'
