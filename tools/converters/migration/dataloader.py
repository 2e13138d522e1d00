"""Translation of a config's training dataloader."""

from typing import Any

from migration.datasets import add_copy_paste, all_types, migrate_dataset
from migration.report import Options, Report

Node = dict[str, Any]

PLACE = 'train_dataloader'


def migrate_dataloader(config: Node, options: Options, report: Report) -> Node:
    """Translates ``train_dataloader``.

    Args:
        config: A whole config.
        options: What the user asked for.
        report: Takes the remarks.

    Returns:
        The new ``train_dataloader``; nothing is changed in place.
    """
    loader = config[PLACE]
    place = f'{PLACE}.dataset'
    dataset = migrate_dataset(loader['dataset'], place, options, report)
    switches = _pipeline_switch(config, options)
    if switches:
        text = f'{switches} brings a pipeline of its own, not looked at'
        report.left.append(('custom_hooks', text))
    if options.add_copy_paste and switches:
        text = f'no Copy-Paste: {switches} would replace what packs samples'
        report.left.append((place, text))
    elif options.add_copy_paste:
        dataset = add_copy_paste(dataset, place, options, report)
    out = dict(loader, dataset=dataset)
    if isinstance(loader.get('sampler'), dict):
        out['sampler'] = _sampler(loader['sampler'], options, report)
    _explain_draws(out, report)
    return out


def _explain_draws(loader: Node, report: Report) -> None:
    """Says so if samples will not follow from seed and position alone."""
    dataset, paste = loader['dataset'], 'mmcp.CopyPasteDataset'
    if paste not in all_types(dataset):
        return
    if dataset['type'] != paste:
        cause = f'{dataset["type"]} stands around {paste}'
    elif (loader.get('sampler') or {}).get('type') != 'mmcp.InfiniteSampler':
        cause = 'the sampler is not mmcp.InfiniteSampler'
    else:
        return
    text = (
        f'{cause}, so that random numbers follow the workers: another number '
        'of them, or a resumed run, gives other samples'
    )
    report.notes.append((PLACE, text))


def _pipeline_switch(config: Node, options: Options) -> str:
    """Name of a hook that replaces the pipeline of the data set, or ''."""
    names = [options.name_of(h) for h in config.get('custom_hooks') or []]
    return next((n for n in names if 'PipelineSwitch' in n), '')


def _sampler(sampler: Node, options: Options, report: Report) -> Node:
    place, name = f'{PLACE}.sampler', options.name_of(sampler)
    if name != 'InfiniteSampler':
        return sampler
    if set(sampler) - {'type', 'shuffle', 'seed'}:
        text = 'InfiniteSampler has arguments that are unknown here'
        report.left.append((place, text))
        return sampler
    report.done.append((place, 'InfiniteSampler -> mmcp.InfiniteSampler'))
    return dict(sampler, type='mmcp.InfiniteSampler')
