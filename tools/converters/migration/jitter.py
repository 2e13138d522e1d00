"""Resize, crop, flip and pad as one ``mmcp.ScaleJitter``."""

from collections.abc import Mapping
from typing import Any

from migration.report import CannotTranslate, Options, Report

Step = dict[str, Any]

_GRAY = (104, 116, 124)
_SEG_PADDING = 255
# Arguments with the one value that ScaleJitter stands for.
_RESIZE = dict(
    keep_ratio=True,
    backend='cv2',
    interpolation='bilinear',
    clip_object_border=True,
)
_CROP = dict(allow_negative_crop=True, bbox_clip_border=True)
_FLIP = dict(direction='horizontal', swap_seg_labels=None)
_PAD = dict(size_divisor=None, pad_to_square=False, padding_mode='constant')
# What MMDetection takes where an argument is missing.
_DEFAULTS = dict(
    _RESIZE, **_FLIP, **_PAD, keep_ratio=False, allow_negative_crop=False,
    bbox_clip_border=True,
)  # fmt: skip


def fuse_jitter(
    pipeline: list[Step], place: str, options: Options, report: Report
) -> list[Step]:
    """Replaces RandomResize, RandomCrop, RandomFlip and Pad.

    Args:
        pipeline: Transforms of one image.
        place: Where it stands in the config.
        options: What the user asked for.
        report: Takes the remarks.

    Returns:
        The new pipeline; the same one if nothing could be replaced.
    """
    names = [options.name_of(step) for step in pipeline]
    if 'RandomResize' not in names:
        if 'mmcp.ScaleJitter' not in names:
            report.left.append(
                (place, 'no RandomResize, so there is no jitter to fuse')
            )
        return pipeline
    try:
        return _fuse(pipeline, names, place, options, report)
    except CannotTranslate as error:
        report.left.append((place, f'{error}'))
        return pipeline


def _fuse(
    pipeline: list[Step],
    names: list[str],
    place: str,
    options: Options,
    report: Report,
) -> list[Step]:
    begin, end = _find_run(pipeline, names, options.pad)
    run = dict(zip(names[begin:end], pipeline[begin:end], strict=True))
    before, after = pipeline[:begin], pipeline[end:]
    jitter = dict(type='mmcp.ScaleJitter', **_size_of(run))
    jitter.update(_flip_of(run.get('RandomFlip')))
    if 'Pad' in run:
        float_image = any(step.get('to_float32') for step in before)
        jitter.update(_padding_of(run['Pad'], run['RandomCrop'], float_image))
    else:
        jitter.update(_pad_val(options.pad_value))
        report.notes.append((place, _PADDED))
    recompute = bool(run['RandomCrop'].get('recompute_bbox', False))
    jitter['recompute_bbox'] = recompute
    fused = [name for name in run if name != 'FilterAnnotations']
    report.done.append((place, f'{", ".join(fused)} -> mmcp.ScaleJitter'))
    tight = recompute and any(step.get('with_mask') for step in before)
    kept = _kept_filter(run.get('FilterAnnotations'), tight, place, report)
    return [*before, jitter, *kept, *after]


def _kept_filter(
    step: Step | None, tight: bool, place: str, report: Report
) -> list[Step]:
    """FilterAnnotations, unless it has nothing left to do."""
    if step is None:
        report.notes.append((place, _NO_EMPTY))
        return []
    if _is_idle(step, tight):
        report.done.append((place, _IDLE_FILTER))
        return []
    return [step]


_PADDED = (
    'images smaller than the output are padded to it with the normalisation '
    'mean, which so far was left to the batch; img_shape is the padded size'
)
_NO_EMPTY = (
    'objects whose mask loses its last pixel are removed, which nothing did '
    'before'
)
_IDLE_FILTER = (
    'FilterAnnotations is gone: mmcp.ScaleJitter leaves no object without a '
    'pixel'
)


def _find_run(
    pipeline: list[Step], names: list[str], pad: bool
) -> tuple[int, int]:
    """Half-open range of the transforms that become one, each type once."""
    if names.count('RandomResize') > 1:
        raise CannotTranslate('RandomResize stands there more than once')
    if 'LoadProposals' in names:
        raise CannotTranslate('mmcp.ScaleJitter cannot move proposals')
    begin = names.index('RandomResize')
    following = names[begin + 1] if begin + 1 < len(names) else 'nothing'
    if following != 'RandomCrop':
        raise CannotTranslate(
            f'{following} follows RandomResize instead of RandomCrop'
        )
    end = begin + 2
    allowed = {'FilterAnnotations', 'RandomFlip', 'Pad'}
    while end < len(names) and names[end] in allowed:
        allowed -= {names[end]} if names[end] != 'Pad' else allowed
        end += 1
    seen = names[begin:end]
    if 'Pad' not in seen and 'Pad' in names[end:]:
        raise CannotTranslate(
            f'{names[end]} stands between RandomCrop and Pad; if it may come '
            'before RandomResize or after Pad, move it there'
        )
    if 'Pad' not in seen and not pad:
        raise CannotTranslate(
            'there is no Pad, but mmcp.ScaleJitter pads images to the output '
            'size; --pad accepts that'
        )
    if 'RandomFlip' not in seen and begin and names[begin - 1] == 'RandomFlip':
        # As good as one after: scale and crop are symmetric.
        begin -= _flips_horizontally(pipeline[begin - 1])
    return begin, end


def _flips_horizontally(flip: Step) -> bool:
    try:
        _flip_of(flip)
    except CannotTranslate:
        return False
    return True


def _check(step: Step, known: Mapping[str, Any], *others: str) -> None:
    """Refuses arguments that ScaleJitter has no counterpart for."""
    name = step['type']
    for key in step:
        if key not in known and key not in ('type', *others):
            raise CannotTranslate(f'{name} has the argument {key}')
    for key, value in known.items():
        given = step.get(key, _DEFAULTS[key])
        if given != value:
            raise CannotTranslate(
                f'{name} has {key}={given!r}; mmcp.ScaleJitter needs '
                f'{value!r}{_WHY.get(key, "")}'
            )


_WHY = {
    'direction': ' (put a flip of another direction before RandomResize; '
    'where it happens makes no difference to what is drawn)',
    'allow_negative_crop': ', because it keeps images without objects',
}


def _size_of(run: Mapping[str, Step]) -> Step:
    """Output size and ratio range, from RandomResize and RandomCrop."""
    resize, crop = run['RandomResize'], run['RandomCrop']
    _check(resize, _RESIZE, 'scale', 'ratio_range', 'resize_type')
    if str(resize.get('resize_type', 'Resize')).split('.')[-1] != 'Resize':
        raise CannotTranslate(
            f'RandomResize uses {resize["resize_type"]} instead of Resize'
        )
    scale, ratios = _pair(resize.get('scale')), resize.get('ratio_range')
    if scale is None or ratios is None:
        raise CannotTranslate(
            'RandomResize draws from several scales; mmcp.ScaleJitter takes '
            'one scale and a ratio_range'
        )
    _check(crop, _CROP, 'crop_size', 'crop_type', 'recompute_bbox')
    kind, size = (
        crop.get('crop_type', 'absolute'),
        _pair(crop.get('crop_size')),
    )
    # A range from a number to itself is that number.
    same = kind == 'absolute_range' and size is not None and size[0] == size[1]
    if size is None or (kind != 'absolute' and not same):
        raise CannotTranslate(
            f'RandomCrop has crop_type={kind!r} and '
            f'crop_size={crop.get("crop_size")!r}; mmcp.ScaleJitter crops to '
            "one size ('absolute')"
        )
    if scale[0] * size[1] != scale[1] * size[0]:
        raise CannotTranslate(
            f'RandomResize and RandomCrop have different aspect ratios, '
            f'{scale} and {size}'
        )
    factor = scale[0] / size[0]
    low, high = (ratio * factor for ratio in ratios)
    return dict(
        size=size[0] if size[0] == size[1] else size, ratio_range=(low, high)
    )


def _pair(value: Any) -> tuple[int, int] | None:
    """Two whole numbers, or None."""
    if isinstance(value, tuple | list) and len(value) == 2:
        if all(isinstance(number, int) for number in value):
            return value[0], value[1]
    return None


def _flip_of(flip: Step | None) -> Step:
    if flip is None:
        return dict(flip_prob=0.0)
    _check(flip, _FLIP, 'prob')
    return {} if flip['prob'] == 0.5 else dict(flip_prob=flip['prob'])


def _padding_of(pad: Step, crop: Step, float_image: bool) -> Step:
    _check(pad, _PAD, 'size', 'pad_val')
    if _pair(pad.get('size')) != _pair(crop.get('crop_size')):
        raise CannotTranslate(
            f'Pad has size={pad.get("size")!r} and RandomCrop '
            f'crop_size={crop.get("crop_size")!r}; mmcp.ScaleJitter has one '
            'size'
        )
    value = pad.get('pad_val', 0)
    value = value if isinstance(value, dict) else dict(img=value)
    if set(value) - {'img', 'seg', 'masks'} or value.get('masks', 0) != 0:
        raise CannotTranslate(f'Pad has pad_val={value!r}')
    image = value.get('img', 0)
    if not float_image:
        # OpenCV rounds where numpy would cut off.
        several = isinstance(image, tuple | list)
        image = tuple(map(round, image)) if several else round(image)
    seg = value.get('seg', _SEG_PADDING)
    if seg != _SEG_PADDING:
        return dict(pad_val=dict(img=image, seg=seg))
    return _pad_val(image)


def _pad_val(image: Any) -> Step:
    same = isinstance(image, tuple) and image == _GRAY
    return {} if same else dict(pad_val=image)


def _is_idle(step: Step, tight: bool) -> bool:
    """Whether FilterAnnotations finds nothing after ScaleJitter.

    Every object then has a pixel, and a box of at least a pixel if boxes are
    made from masks (`tight`).
    """
    sides = step.get('min_gt_bbox_wh', (1, 1))
    by_box = step.get('by_box', True)
    by_mask = step.get('by_mask', False)
    return (
        not step.get('keep_empty', True)
        and (not by_box or (tight and max(sides) < 1))
        and (not by_mask or step.get('min_gt_mask_area', 1) <= 1)
    )
