"""Translation of data sets and their wrappers."""

from collections.abc import Iterator
from typing import Any

from migration.pipelines import (
    mask_loader,
    migrate_packing,
    migrate_pipeline,
)
from migration.report import CannotTranslate, Options, Report

Node = dict[str, Any]

_MIXERS = ('Mosaic', 'MixUp', 'CachedMosaic', 'CachedMixUp')
_WRAPPER_KEYS = {
    'type',
    'dataset',
    'pipeline',
    'skip_type_keys',
    'max_refetch',
    'lazy_init',
}
_SEMANTICS = (
    'mmcp.CopyPaste differs from MMDetection: the cap is inclusive, crowd and '
    'ignored objects are not pasted, boxes change only where masks do, and '
    'only fully hidden objects are removed unless *_occluded_thr is given; '
    '--compat keeps the exact results of MMDetection'
)


def migrate_dataset(
    node: Node, place: str, options: Options, report: Report
) -> Node:
    """Translates a data set and all that it wraps.

    Args:
        node: Config of a data set.
        place: Where it stands in the config.
        options: What the user asked for.
        report: Takes the remarks.

    Returns:
        The new config.
    """
    if options.name_of(node) == 'MultiImageMixDataset':
        return _mixed(node, place, options, report)
    out = dict(node)
    for key in ('dataset', 'source'):
        if isinstance(node.get(key), dict):
            out[key] = migrate_dataset(
                node[key], f'{place}.{key}', options, report
            )
    if isinstance(node.get('datasets'), list):
        out['datasets'] = [
            migrate_dataset(child, f'{place}.datasets[{k}]', options, report)
            for k, child in enumerate(node['datasets'])
        ]
    if isinstance(node.get('pipeline'), list):
        inner = 'dataset' not in node
        translate = migrate_pipeline if inner else migrate_packing
        out['pipeline'] = translate(
            node['pipeline'], f'{place}.pipeline', options, report
        )
    return out


def _mixed(node: Node, place: str, options: Options, report: Report) -> Node:
    names = [options.name_of(step) for step in node['pipeline']]
    pasting = [n for n in names if n in ('CopyPaste', 'mmcp.CopyPaste')]
    try:
        _check_mixing(node, names, pasting)
    except CannotTranslate as error:
        # Loading stays with the transforms that it was written for.
        report.left.append((place, f'{error}'))
        return node
    inner = migrate_dataset(
        node['dataset'], f'{place}.dataset', options, report
    )
    pipeline = migrate_packing(
        node['pipeline'], f'{place}.pipeline', options, report
    )
    if not pasting:
        return dict(node, dataset=inner, pipeline=pipeline)
    first, *others = pipeline
    text = (
        f'MultiImageMixDataset with {first["type"]} -> mmcp.CopyPasteDataset'
    )
    report.done.append((place, text))
    return _paste_node(inner, first, others, place, options, report)


def _check_mixing(node: Node, names: list[str], pasting: list[str]) -> None:
    mixers = [name for name in names if name in _MIXERS]
    if mixers:
        raise CannotTranslate(
            f'{" and ".join(mixers)} in the pipeline of MultiImageMixDataset: '
            'the stock ones leave masks behind; CachedMosaic and CachedMixUp '
            'belong into the inner pipeline'
        )
    if pasting and (len(pasting) > 1 or names[0] != pasting[0]):
        raise CannotTranslate(
            'CopyPaste must be the first transform of MultiImageMixDataset, '
            f'once, but they are {", ".join(names)}'
        )
    if node.get('skip_type_keys'):
        raise CannotTranslate(
            'MultiImageMixDataset has skip_type_keys; '
            'mmcp.CopyPasteDataset stops pasting with its stop_pasting()'
        )
    unknown = set(node) - _WRAPPER_KEYS
    if unknown:
        raise CannotTranslate(
            f'MultiImageMixDataset has the argument {sorted(unknown)[0]}'
        )


def _paste_node(
    inner: Node,
    paste: Node,
    others: list[Node],
    place: str,
    options: Options,
    report: Report,
) -> Node:
    """The config of a CopyPasteDataset."""
    arguments = {key: v for key, v in paste.items() if key != 'type'}
    if options.name_of(paste) == 'CopyPaste':
        if options.compat:
            arguments['compat'] = 'mmdet'
        else:
            report.notes.append((place, _SEMANTICS))
    out = dict(type='mmcp.CopyPasteDataset', dataset=inner)
    if 'prob' in arguments:
        # Then no source image is loaded in vain.
        out['prob'] = arguments.pop('prob')
    if arguments:
        out['copy_paste'] = arguments
    out['pipeline'] = others
    return out


def add_copy_paste(
    node: Node, place: str, options: Options, report: Report
) -> Node:
    """Puts the outermost data set into a CopyPasteDataset.

    Args:
        node: A translated config of a data set.
        place: Where it stands in the config.
        options: What the user asked for.
        report: Takes the remarks.

    Returns:
        The new config; the same one if that is impossible.
    """
    if any('CopyPaste' in name for name in all_types(node)):
        report.left.append((place, 'Copy-Paste is there already'))
        return node
    try:
        if options.name_of(node) == 'MultiImageMixDataset':
            inner, others = node['dataset'], node['pipeline']
            _check_mixing(node, [options.name_of(s) for s in others], [])
            _check_sources(inner, options)
        else:
            _check_sources(node, options)
            inner, packing = _without_packing(node, options)
            others = [packing]
    except CannotTranslate as error:
        report.left.append((place, f'no Copy-Paste: {error}'))
        return node
    report.done.append((place, 'added mmcp.CopyPasteDataset'))
    paste = dict(type='mmcp.CopyPaste')
    return _paste_node(inner, paste, others, place, options, report)


def all_types(node: Any) -> Iterator[str]:
    """The types of a config node and of all that it holds."""
    if isinstance(node, dict):
        yield str(node.get('type', ''))
        node = list(node.values())
    if isinstance(node, list | tuple):
        for child in node:
            yield from all_types(child)


def _leaves(node: Node) -> Iterator[Node]:
    """The data sets in all wrappers."""
    children = node.get('datasets') or [node.get('dataset')]
    children = [child for child in children if isinstance(child, dict)]
    if not children:
        yield node
    for child in children:
        yield from _leaves(child)


def _check_sources(node: Node, options: Options) -> None:
    for leaf in _leaves(node):
        pipeline = leaf.get('pipeline') or []
        loader = mask_loader(pipeline, options)
        if not loader:
            raise CannotTranslate(
                f'{leaf.get("type")} loads no masks; it needs LoadAnnotations '
                'with with_mask=True'
            )
        if loader != 'mmcp.LoadAnnotations':
            raise CannotTranslate(
                f'the loading of {leaf.get("type")} could not be translated'
            )
        stale = {'Mosaic', 'MixUp'} & {options.name_of(s) for s in pipeline}
        if stale:
            raise CannotTranslate(
                f'{" and ".join(sorted(stale))} in the pipeline leaves masks '
                'behind; use CachedMosaic and CachedMixUp'
            )


def _without_packing(node: Node, options: Options) -> tuple[Node, Node]:
    """Takes the last transform out of every pipeline; it must be one."""
    packings = []
    for leaf in _leaves(node):
        last = leaf['pipeline'][-1]
        if options.name_of(last) != 'mmcp.PackDetInputs':
            raise CannotTranslate(
                f'the pipeline of {leaf.get("type")} does not end with '
                'PackDetInputs'
            )
        packings.append(last)
    if any(packing != packings[0] for packing in packings):
        raise CannotTranslate('the data sets pack different meta_keys')
    return _stripped(node), packings[0]


def _stripped(node: Node) -> Node:
    out = dict(node)
    if isinstance(node.get('datasets'), list):
        out['datasets'] = [_stripped(child) for child in node['datasets']]
    elif isinstance(node.get('dataset'), dict):
        out['dataset'] = _stripped(node['dataset'])
    else:
        out['pipeline'] = node['pipeline'][:-1]
    return out
