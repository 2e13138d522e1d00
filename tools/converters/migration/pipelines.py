"""Translation of the pipeline of one data set."""

from typing import Any

from migration.jitter import fuse_jitter
from migration.report import CannotTranslate, Options, Report

Step = dict[str, Any]

_NESTED = (
    'RandomApply',
    'RandomChoice',
    'MultiBranch',
    'TransformBroadcaster',
    'KeyMapper',
    'ProposalBroadcaster',
)


def migrate_pipeline(
    pipeline: list[Step], place: str, options: Options, report: Report
) -> list[Step]:
    """Translates loading, jitter and packing.

    Args:
        pipeline: Transforms of one image.
        place: Where it stands in the config.
        options: What the user asked for.
        report: Takes the remarks.

    Returns:
        The new pipeline.
    """
    for step in pipeline:
        if options.name_of(step) in _NESTED:
            text = f'transforms inside of {step["type"]} are not looked at'
            report.left.append((place, text))
    try:
        loaded = [_loading(step, place, options, report) for step in pipeline]
    except CannotTranslate as error:
        # The masks would be of another kind after a fused jitter.
        report.left.append((place, f'{error}'))
        return pipeline
    jittered = fuse_jitter(loaded, place, options, report)
    return migrate_packing(jittered, place, options, report)


def migrate_packing(
    pipeline: list[Step], place: str, options: Options, report: Report
) -> list[Step]:
    """Translates PackDetInputs.

    Args:
        pipeline: Transforms.
        place: Where they stand in the config.
        options: What the user asked for.
        report: Takes the remarks.

    Returns:
        The new pipeline.
    """
    return [
        _renamed(step, place, report)
        if options.name_of(step) == 'PackDetInputs'
        else step
        for step in pipeline
    ]


def _renamed(step: Step, place: str, report: Report) -> Step:
    name = step['type'].rpartition('.')[2]
    report.done.append((place, f'{name} -> mmcp.{name}'))
    return dict(step, type=f'mmcp.{name}')


def _loading(step: Step, place: str, options: Options, report: Report) -> Step:
    name = options.name_of(step)
    if name.startswith('Load') and name.endswith('Annotations'):
        if name != 'LoadAnnotations':
            raise CannotTranslate(
                f'annotations are loaded by {name}, which has no counterpart'
            )
        if not step.get('with_mask', False):
            return step
        _check_loading(step)
        return _renamed(step, place, report)
    return step


def _check_loading(step: Step) -> None:
    if not step.get('poly2mask', True):
        raise CannotTranslate(
            'LoadAnnotations has poly2mask=False; mmcp.LoadAnnotations makes '
            'bitmaps of polygons when pixels are needed, so mask targets '
            'would change by rounding. Remove the argument to translate it'
        )
    if step.get('box_type', 'hbox') not in ('hbox', None):
        raise CannotTranslate(
            f'LoadAnnotations has box_type={step["box_type"]!r}; Copy-Paste '
            "works with horizontal boxes ('hbox')"
        )
    if step.get('with_keypoints'):
        raise CannotTranslate(
            'LoadAnnotations loads keypoints, which mmcp.ScaleJitter cannot '
            'move'
        )


def mask_loader(pipeline: list[Step], options: Options) -> str:
    """What loads the instance masks.

    Args:
        pipeline: A pipeline.
        options: What the user asked for.

    Returns:
        Type of the transform, bare if it is MMDetection's; '' without one.
    """
    names = [
        options.name_of(step) for step in pipeline if step.get('with_mask')
    ]
    return names[0] if names else ''
