#!/usr/bin/env python
"""Rewrites an MMDetection config to mmcp's fast Copy-Paste path.

Writes a small config whose _base_ is the given one and which overrides only
what changes in train_dataloader: loading, scale jitter, Copy-Paste, packing
and the sampler. Whatever is not certain to mean the same stays as it is, and
the reason is printed.
"""

import argparse
import difflib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migration.dataloader import PLACE, migrate_dataloader
from migration.leaf import leaf_text, override, render
from migration.report import Options, Report
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmcp.engine.config import UsageError, load_config
from mmcp.engine.launch import add_traceback_argument, run_tool
from mmcp.registry import TRANSFORMS

Node = dict[str, Any]


@dataclass
class Migration:
    """A translated config.

    Attributes:
        before: The user's whole config.
        after: The same with the new ``train_dataloader``.
        report: What was done and what was not.
    """

    before: Node
    after: Node
    report: Report

    @property
    def changed(self) -> bool:
        """Whether anything was translated."""
        return repr(self.before) != repr(self.after)

    def text(self, base: str, name: str) -> str:
        """The new config.

        Args:
            base: The user's config, as ``_base_`` shall have it.
            name: What to call it in the docstring.

        Returns:
            Python text.
        """
        change = override(self.before[PLACE], self.after[PLACE])
        title = f"{Path(name).name} on mmcp's fast path."
        return leaf_text(base, title, {PLACE: change})

    def diff(self, old_name: str, new_name: str) -> str:
        """Both ``train_dataloader`` side by side, as a unified diff."""
        old, new = (
            render(config[PLACE]).splitlines()
            for config in (self.before, self.after)
        )
        return '\n'.join(
            difflib.unified_diff(old, new, old_name, new_name, lineterm='')
        )


def migrate(
    config: Node,
    *,
    add_copy_paste: bool = False,
    pad: bool = False,
    compat: bool = False,
) -> Migration:
    """Translates a config.

    Args:
        config: A whole config of plain dicts; not changed.
        add_copy_paste: Whether to add Copy-Paste where there is none; this
            pads, too. Defaults to False.
        pad: Whether mmcp.ScaleJitter may pad where no Pad did. Defaults to
            False.
        compat: Whether Copy-Paste keeps MMDetection's exact results.
            Defaults to False.

    Returns:
        The translated config.

    Raises:
        UsageError: If there is nothing to train on.
    """
    dataset = (config.get(PLACE) or {}).get('dataset')
    if not isinstance(dataset, dict):
        raise UsageError(f'the config has no {PLACE}.dataset to translate.')
    options = Options(
        scope=config.get('default_scope') or 'mmdet',
        add_copy_paste=add_copy_paste,
        pad=pad or add_copy_paste,
        pad_value=_mean_of(config),
        compat=compat,
    )
    report = Report()
    after = dict(config)
    after[PLACE] = migrate_dataloader(config, options, report)
    return Migration(config, after, report)


def _mean_of(config: Node) -> tuple[int, ...]:
    """BGR mean of the data preprocessor, else that of ImageNet."""
    model = config.get('model') or {}
    preprocessor = model.get('data_preprocessor') or {}
    mean = preprocessor.get('mean')
    if not mean:
        return Options.pad_value
    swapped = preprocessor.get('bgr_to_rgb', False)
    return tuple(round(value) for value in (mean[::-1] if swapped else mean))


def plain(config: Config) -> Node:
    """A config as plain dicts, without scopes that change nothing.

    Args:
        config: A loaded config.

    Returns:
        Its content. mmengine marks what comes from a base in another package
        with ``_scope_``, which says nothing where it is the default scope.
    """
    content: Node = config.to_dict()
    return _unscoped(content, content.get('default_scope'))


def _unscoped(value: Any, scope: str | None) -> Any:
    if isinstance(value, dict):
        return {
            key: _unscoped(child, scope)
            for key, child in value.items()
            if key != '_scope_' or child != scope
        }
    if isinstance(value, list | tuple):
        return type(value)(_unscoped(child, scope) for child in value)
    return value


def check(migration: Migration, text: str) -> None:
    """Loads the new config and compares it with what it shall be.

    Args:
        migration: The translated config.
        text: The new config, with a base that is found from anywhere.

    Raises:
        RuntimeError: If they differ, or if a transform refuses its arguments.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'migrated.py'
        path.write_text(text)
        loaded = plain(Config.fromfile(str(path)))
    if repr(_sorted(loaded)) != repr(_sorted(migration.after)):
        raise RuntimeError(
            'the new config does not load as what it should be; please report '
            'this with your config'
        )
    init_default_scope(loaded.get('default_scope') or 'mmdet')
    for node in _nodes(loaded[PLACE]):
        if TRANSFORMS.get(node['type']) is not None:
            TRANSFORMS.build(dict(node))
        elif node['type'] == 'mmcp.CopyPasteDataset':
            paste = node.get('copy_paste') or {}
            TRANSFORMS.build(dict(paste, type='mmcp.CopyPaste'))


def _nodes(value: Any) -> Iterator[Node]:
    """All dicts whose type is one of ours."""
    if isinstance(value, dict):
        if str(value.get('type')).startswith('mmcp.'):
            yield value
        value = list(value.values())
    if isinstance(value, list | tuple):
        for child in value:
            yield from _nodes(child)


def _sorted(value: Any) -> Any:
    """The same with sorted keys: merging changes their order."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return type(value)(_sorted(child) for child in value)
    return value


def read(name: str) -> Config:
    """Loads the user's config.

    Args:
        name: A path, or a config of an installed package such as
            'mmdet::solo/solo_r50_fpn_1x_coco.py'.

    Returns:
        The config.

    Raises:
        UsageError: If it cannot be loaded, or not be inherited from.
    """
    if '::' in name:
        try:
            return Config.fromstring(f'_base_ = {name!r}\n', '.py')
        except FileNotFoundError as error:
            raise UsageError(f'There is no config {name}.') from error
    config = load_config(name)
    if Path(name).suffix == '.py' and Config._is_lazy_import(name):
        raise UsageError(
            f'{name} is in the pure Python style, which a config with _base_ '
            'cannot inherit from.'
        )
    return config


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'config',
        help='your config, or one of a package: mmdet::folder/name.py',
    )
    parser.add_argument(
        '--out',
        type=Path,
        help='path of the new config; by default <name>_mmcp.py beside yours, '
        'or here for one of a package',
    )
    parser.add_argument(
        '--dry-run', action='store_true', help='print, write nothing'
    )
    parser.add_argument(
        '--add-copy-paste',
        action='store_true',
        help='add Copy-Paste to a config without it; implies --pad',
    )
    parser.add_argument(
        '--pad',
        action='store_true',
        help='use mmcp.ScaleJitter where no Pad follows the crop; it pads '
        'with the normalisation mean',
    )
    parser.add_argument(
        '--compat',
        action='store_true',
        help="keep the exact results of MMDetection's CopyPaste",
    )
    add_traceback_argument(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Translates a config, prints what changes and writes the new one."""
    args = parse_args(argv)
    migration = migrate(
        plain(read(args.config)),
        add_copy_paste=args.add_copy_paste,
        pad=args.pad,
        compat=args.compat,
    )
    out = args.out or _default_out(args.config)
    if not migration.changed:
        print(migration.report.text())
        print('\nNothing was translated, so no config is written.')
        return
    base = _absolute(args.config)
    check(migration, migration.text(base, args.config))
    text = migration.text(_relative(args.config, out), args.config)
    print(migration.diff(args.config, str(out)))
    print(f'\n{migration.report.text()}\n')
    if args.dry_run:
        print(f'{out} would be:\n\n{text}', end='')
        return
    _write(out, text)
    print(
        f'Wrote {out}: it loads, and differs from {args.config} in {PLACE} '
        'only.'
    )


def _default_out(name: str) -> Path:
    if '::' in name:
        return Path(f'{Path(name.rpartition("::")[2]).stem}_mmcp.py')
    path = Path(name)
    return path.with_name(f'{path.stem}_mmcp.py')


def _absolute(name: str) -> str:
    return name if '::' in name else str(Path(name).absolute())


def _relative(name: str, out: Path) -> str:
    if '::' in name:
        return name
    relative = os.path.relpath(Path(name).absolute(), out.absolute().parent)
    return Path(relative).as_posix()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open('x') as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(
            f'{path} exists; choose another path with --out.'
        ) from error


if __name__ == '__main__':
    sys.exit(run_tool(main))
