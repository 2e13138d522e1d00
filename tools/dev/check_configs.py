"""Checks config names, docstrings, bases, metafiles and README tables.

Static and fast: no config is executed and nothing of OpenMMLab is imported.
``--write`` renews the README tables from the metafiles.
"""

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from config_grammar import ConfigName, check_tokens, parse_name, read_tokens
from config_metafile import (
    Entry,
    make_table,
    read_metafile,
    replace_table,
)

ROOT = Path(__file__).resolve().parents[2]
MAX_DEPTH = 2
_SECTIONS = ('Paper:', 'Expected:', 'Hardware:', 'Command')
_FORBIDDEN_BASES = ('mmseg::', 'mmcp::')


def find_leaves(root: Path) -> list[Path]:
    """Finds the configs that can be run.

    Args:
        root: Root of the repository.

    Returns:
        Sorted paths of ``configs/<folder>/*.py``, without ``_base_``.
    """
    return sorted(
        path
        for path in (root / 'configs').glob('*/*.py')
        if path.parent.name != '_base_'
    )


def base_paths(config: Path) -> list[str]:
    """Reads ``_base_`` of a config without running it.

    Args:
        config: Path of the config.

    Returns:
        The bases as written, empty if the config has none.
    """
    for node in ast.parse(config.read_text(encoding='utf-8')).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == '_base_' for t in node.targets
        ):
            bases = ast.literal_eval(node.value)
            return [bases] if isinstance(bases, str) else list(bases)
    return []


def base_depth(config: Path) -> int:
    """Counts the hops from a config to its farthest base in this tree.

    Args:
        config: Path of the config.

    Returns:
        0 for a config without bases of ours; a base in another package, such
        as ``mmdet::``, does not count.

    Raises:
        FileNotFoundError: If a base does not exist.
    """
    if not config.is_file():
        raise FileNotFoundError(f'{config} is a _base_ but does not exist')
    ours = [base for base in base_paths(config) if '::' not in base]
    return max(
        (1 + base_depth((config.parent / base).resolve()) for base in ours),
        default=0,
    )


def check_names(root: Path) -> Iterator[str]:
    """Yields what is wrong with names: grammar, length, unlisted tokens."""
    tokens = read_tokens(root / 'configs' / 'README.md')
    used = set()
    for leaf in find_leaves(root):
        try:
            name = parse_name(leaf.stem)
        except ValueError as error:
            yield str(error)
            continue
        for problem in check_tokens(name, tokens):
            yield f'{leaf.stem}: {problem}'
        used |= {
            token
            for token in tokens
            for word, part in name.words()
            if token.part == part and token.matches(word)
        }
        counterpart = _counterpart(leaf, name)
        if not counterpart.is_file():
            yield f'{leaf.stem}: has no baseline {counterpart.name}'
    for token in tokens:
        if token not in used:
            yield (
                f'configs/README.md: no config uses the {token.part} '
                f'"{token.text}"'
            )


def check_bases(root: Path) -> Iterator[str]:
    """Yields what is wrong with ``_base_``: depth, missing, forbidden."""
    configs = [*find_leaves(root), *(root / 'configs/_base_').rglob('*.py')]
    for config in configs:
        where = config.relative_to(root)
        for base in base_paths(config):
            if base.startswith(_FORBIDDEN_BASES):
                yield f'{where}: base {base} cannot be found by mmengine'
        try:
            depth = base_depth(config)
        except FileNotFoundError as error:
            yield f'{where}: {error}'
            continue
        if depth > MAX_DEPTH:
            yield f'{where}: {depth} hops to its base, {MAX_DEPTH} at most'


def check_docstrings(root: Path) -> Iterator[str]:
    """Yields what is missing from the docstrings of the leaves."""
    for leaf in find_leaves(root):
        where = leaf.relative_to(root).as_posix()
        doc = ast.get_docstring(ast.parse(leaf.read_text(encoding='utf-8')))
        if doc is None:
            yield f'{where}: no docstring'
            continue
        lines = doc.splitlines()
        for section in _SECTIONS:
            if not any(line.startswith(section) for line in lines):
                yield f'{where}: docstring has no line "{section}"'
        if where not in doc:
            yield f'{where}: the command in the docstring runs another config'


def check_metafile(root: Path, folder: Path) -> Iterator[str]:
    """Yields where a folder's metafile and README disagree with its files.

    Args:
        root: Root of the repository.
        folder: Folder below ``configs/`` that holds leaves.
    """
    where = folder.relative_to(root).as_posix()
    for name in ('metafile.yml', 'README.md'):
        if not (folder / name).is_file():
            yield f'{where}: no {name}'
            return
    try:
        entries = read_metafile(folder / 'metafile.yml')
    except ValueError as error:
        yield str(error)
        return
    names = [entry.name for entry in entries]
    for name in sorted({n for n in names if names.count(n) > 1}):
        yield f'{where}/metafile.yml: {name} is listed twice'
    for leaf in sorted(folder.glob('*.py')):
        if leaf.stem not in names:
            yield f'{where}/metafile.yml: {leaf.stem} is not listed'
    for entry in entries:
        yield from _check_entry(root, where, entry)
    readme = folder / 'README.md'
    text = readme.read_text(encoding='utf-8')
    try:
        if replace_table(text, make_table(entries)) != text:
            yield (
                f'{where}/README.md: the table is not that of the metafile; '
                'run python tools/dev/check_configs.py --write'
            )
    except ValueError as error:
        yield f'{where}/README.md: {error}'


def check_index(root: Path) -> Iterator[str]:
    """Yields the metafiles that ``model-index.yml`` lacks or invents."""
    index = yaml.safe_load((root / 'model-index.yml').read_text())
    listed = set(index['Import'])
    present = {
        (leaf.parent / 'metafile.yml').relative_to(root).as_posix()
        for leaf in find_leaves(root)
    }
    for path in sorted(present - listed):
        yield f'model-index.yml: {path} is not listed'
    for path in sorted(listed - present):
        yield f'model-index.yml: {path} belongs to no config'


def check_all(root: Path) -> list[str]:
    """Runs every check.

    Args:
        root: Root of the repository.

    Returns:
        One message per problem.
    """
    problems = [
        *check_names(root),
        *check_bases(root),
        *check_docstrings(root),
        *check_index(root),
    ]
    for folder in sorted({leaf.parent for leaf in find_leaves(root)}):
        problems += check_metafile(root, folder)
    return problems


def write_tables(root: Path) -> None:
    """Renews the tables in the READMEs of all folders that have a metafile.

    Args:
        root: Root of the repository.
    """
    for metafile in sorted((root / 'configs').glob('*/metafile.yml')):
        readme = metafile.with_name('README.md')
        text = readme.read_text(encoding='utf-8')
        table = make_table(read_metafile(metafile))
        readme.write_text(replace_table(text, table), encoding='utf-8')


def main() -> int:
    """Prints the problems.

    Returns:
        Exit status: 1 if there are any.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--write',
        action='store_true',
        help='renew the README tables from the metafiles first',
    )
    if parser.parse_args().write:
        write_tables(ROOT)
    problems = check_all(ROOT)
    for problem in problems:
        print(problem)
    print(f'{len(find_leaves(ROOT))} configs, {len(problems)} problems')
    return 1 if problems else 0


def _counterpart(leaf: Path, name: ConfigName) -> Path:
    """What a config is compared with; itself if it is a baseline."""
    for word in ('mmdet', 'scp'):
        if word in name.augmentations:
            return leaf.with_name(leaf.name.replace(f'-{word}-', '-'))
    return leaf


def _check_entry(root: Path, where: str, entry: Entry) -> Iterator[str]:
    expected = f'{where}/{entry.name}.py'
    at = f'{where}/metafile.yml: {entry.name}'
    if entry.config != expected:
        yield f'{at}: Config is {entry.config}, not {expected}'
    path = root / expected
    if not path.is_file():
        yield f'{at}: {expected} does not exist'
        return
    try:
        batch = parse_name(entry.name).batch_size
    except ValueError:
        return  # Already told by check_names.
    if entry.metadata.get('Batch Size') != batch:
        yield f'{at}: Batch Size is not that of the name, {batch}'
    doc = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or ''
    flat = ' '.join(doc.split())
    for key in ('table', 'row', 'differs'):
        value = entry.paper.get(key)
        if value is not None and value not in flat:
            yield f'{at}: the docstring does not name the {key} "{value}"'


if __name__ == '__main__':
    sys.exit(main())
