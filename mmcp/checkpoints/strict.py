"""Loads weights into a model, all of a part or none of it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from mmcp.checkpoints.backbone_names import is_transformer
from mmcp.checkpoints.causes import likely_causes
from mmcp.checkpoints.comparison import Comparison, compare
from mmcp.checkpoints.positions import resize_positions, square_side
from mmcp.checkpoints.reader import CheckpointError
from mmcp.checkpoints.weights import CLASSIFIER, ModelWeights

PARTS = ('backbone', 'neck', 'head', 'projector')
_POSITIONS = 'pos_embed'


class MismatchError(CheckpointError):
    """The weights of a checkpoint do not fit a model."""


@dataclass(frozen=True)
class LoadReport:
    """What was loaded.

    Attributes:
        source: The file.
        layout: What kind of file it is.
        comparisons: One for each part that was loaded.
        resized: Shapes of a position embedding, in the file and in the model,
            as words; empty if it fits as it is.
        fresh: Tensors of these parts that keep their initial values.
        dropped: How many tensors of the file were not used, by reason.
    """

    source: str
    layout: str
    comparisons: tuple[Comparison, ...]
    resized: str
    fresh: tuple[str, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """One line for the log."""
        loaded = ', '.join(
            f'{c.part} {c.matched} of {len(c.needed)} tensors '
            f'({100 * c.matched / max(len(c.needed), 1):.0f} %)'
            for c in self.comparisons
        )
        notes = [f'Loaded {loaded} from {self.source}, {self.layout}.']
        if self.resized:
            notes.append(f'Position embedding resized from {self.resized}.')
        if self.fresh:
            notes.append(f'Left as initialised: {", ".join(self.fresh)}.')
        if self.dropped:
            counts = ', '.join(f'{n} ({r})' for r, n in self.dropped.items())
            notes.append(f'Not used: {counts}.')
        return ' '.join(notes)


def parse_part(part: str) -> tuple[str, ...]:
    """Reads which parts are wanted.

    Args:
        part: Names joined by '+'.

    Returns:
        The names, in the order of ``PARTS``.

    Raises:
        ValueError: If a name is unknown.
    """
    names = part.split('+')
    if not names or set(names) - set(PARTS):
        raise ValueError(
            "part must be 'backbone', 'backbone+neck', 'backbone+head' or "
            'another sum of '
            f'{", ".join(PARTS)}, but is {part!r}'
        )
    return tuple(name for name in PARTS if name in names)


def find_parts(model: nn.Module) -> dict[str, nn.Module]:
    """Finds backbone, neck, head and projector of a model.

    Args:
        model: A segmentor, a detector, a model in pretraining (its query
            encoder is looked at) or a backbone.

    Returns:
        The modules by part; parts that the model lacks are absent.
    """
    model = getattr(model, 'encoder_q', model)
    if not isinstance(getattr(model, 'backbone', None), nn.Module):
        return {'backbone': model}
    found = {
        part: getattr(model, name, None)
        for part, name in (
            ('backbone', 'backbone'),
            ('neck', 'neck'),
            ('head', 'decode_head'),
            ('projector', 'projector'),
        )
    }
    return {
        part: module
        for part, module in found.items()
        if isinstance(module, nn.Module)
    }


def load_weights(
    model: nn.Module, weights: ModelWeights, part: str = 'backbone'
) -> LoadReport:
    """Loads weights, or changes nothing and says why.

    Every tensor of each wanted part must have a counterpart of the same
    shape, in both directions. Exceptions: a head's classifier stays as it is;
    position embeddings are resized; whole stages that the model was built
    without, and a final norm, are left out; ``num_batches_tracked`` may be
    absent. With the head goes the neck, if the model has one.

    Args:
        model: As for :func:`find_parts`.
        weights: What to load.
        part: ``'backbone'``, ``'backbone+neck'``, ``'backbone+head'`` or
            another sum of backbone, neck, head and projector. Defaults to
            ``'backbone'``.

    Returns:
        What was loaded.

    Raises:
        ValueError: If ``part`` is unknown.
        MismatchError: If the model has no such part, or anything does not
            fit.
        CheckpointError: If a number is NaN or infinite.
    """
    modules = wanted_parts(model, part)
    _check_neck(model, modules, weights)
    _check_heads(modules.get('backbone'), weights)
    _check_style(modules.get('backbone'), weights)
    held = {name: _held(name, weights) for name in modules}
    resized = _fit_positions(modules.get('backbone'), held)
    comparisons = tuple(
        compare(name, _without_classifier(module), held[name])
        for name, module in modules.items()
    )
    _check(comparisons, weights)
    _check_numbers(comparisons, held, weights.source)
    for comparison in comparisons:
        name = comparison.part
        _copy(modules[name], held[name], comparison)
    return LoadReport(
        source=weights.source,
        layout=weights.layout.title,
        comparisons=comparisons,
        resized=resized,
        fresh=tuple(
            name
            for module in modules.values()
            for name in module.state_dict()
            if _is_classifier(name)
        ),
        dropped=_count_dropped(weights, comparisons, modules),
    )


def wanted_parts(model: nn.Module, part: str) -> dict[str, nn.Module]:
    """The modules that weights go to.

    Args:
        model: As for :func:`find_parts`.
        part: As for :func:`load_weights`.

    Returns:
        Modules by part, the neck among them if the head is wanted and the
        neck has weights.

    Raises:
        ValueError: If ``part`` is unknown.
        MismatchError: If the model lacks a part.
    """
    found = find_parts(model)
    wanted = list(parse_part(part))
    lacking = [name for name in wanted if name not in found]
    if lacking:
        raise MismatchError(
            f'{type(model).__name__} has no {" or ".join(lacking)} to load '
            f'(part={part!r}). {_advice(model, found)}'
        )
    if (
        'head' in wanted
        and 'neck' not in wanted
        and 'neck' in found
        and found['neck'].state_dict()
    ):
        wanted.append('neck')
    return {name: found[name] for name in wanted}


def _advice(model: nn.Module, found: Mapping[str, nn.Module]) -> str:
    """What to do about a part that a model lacks."""
    if found['backbone'] is model:
        return (
            'Parts beside the backbone are loaded at the level of the '
            'segmentor or detector: give init_cfg to it, not to its backbone.'
        )
    return (
        f"It has only {', '.join(found)}: load part='{'+'.join(found)}', or "
        'build the model with what is lacking. A detector has no decode head.'
    )


def _is_classifier(name: str) -> bool:
    return CLASSIFIER in name.split('.')


def _without_classifier(module: nn.Module) -> dict[str, Tensor]:
    state: dict[str, Tensor] = module.state_dict()
    return {n: v for n, v in state.items() if not _is_classifier(n)}


def _held(part: str, weights: ModelWeights) -> dict[str, Tensor]:
    """A part's tensors in the file; raises if there are none."""
    tensors = weights.part(part)
    if tensors:
        return dict(tensors)
    holds = [name for name in PARTS if weights.part(name)]
    raise MismatchError(
        f'{weights.source} ({weights.layout.title}) holds no {part}, only: '
        f'{", ".join(holds) or "nothing that is known"}. '
        + (
            'It is no checkpoint of a model with such a backbone.'
            if part == 'backbone'
            else "Load part='backbone' alone."
        )
    )


def _check_neck(
    model: nn.Module, modules: Mapping[str, nn.Module], weights: ModelWeights
) -> None:
    """Raises if the head was trained on what a neck made of the features."""
    if 'head' in modules and weights.neck and 'neck' not in modules:
        raise MismatchError(
            f'{weights.source} ({weights.layout.title}) has a neck between '
            f'backbone and head, but {type(model).__name__} has none. Add the '
            "neck of the pretraining, or load part='backbone'."
        )


def _check_heads(backbone: nn.Module | None, weights: ModelWeights) -> None:
    """Compares numbers of attention heads, which no shape depends on."""
    if backbone is None or not is_transformer(weights.backbone.keys()):
        return
    found = (
        module.num_heads
        for module in backbone.modules()
        if isinstance(module, nn.MultiheadAttention)
    )
    theirs, ours = weights.num_heads, next(found, None)
    if ours in (None, theirs):
        return
    if theirs is None:
        raise MismatchError(
            f'{weights.source} ({weights.layout.title}) is a transformer of a '
            'width that tells nothing about its attention heads, and does not '
            'say how many it was trained with; all tensors would fit with any '
            f'number. If it is the {ours} of the model, say so with '
            f'num_heads={ours} where the checkpoint is named.'
        )
    raise MismatchError(
        f'{weights.source} ({weights.layout.title}) is a transformer with '
        f'{theirs} attention heads, but the model has {ours}. All tensors '
        'would fit, and the features would be wrong. Set '
        f'num_heads={theirs} in the backbone; if the file is of a kind that '
        f'was trained with another number, say so with num_heads={ours} where '
        'the checkpoint is named.'
    )


def _check_style(backbone: nn.Module | None, weights: ModelWeights) -> None:
    """Compares where bottlenecks have their stride, which no shape tells."""
    theirs, ours = weights.layout.style, getattr(backbone, 'style', None)
    bottlenecks = 'layer1.0.conv3.weight' in weights.backbone
    if not bottlenecks or None in (theirs, ours) or theirs == ours:
        return
    raise MismatchError(
        f'{weights.source} ({weights.layout.title}) is a ResNet with the '
        'stride in the 3x3 convolutions, but the model, of '
        f'style={ours!r}, has it in the 1x1 before. All tensors would fit, '
        f'and the features would be wrong. Set style={theirs!r} in the '
        'backbone, and normalise the images as the file was trained with.'
    )


def _fit_positions(
    backbone: nn.Module | None, held: Mapping[str, dict[str, Tensor]]
) -> str:
    """Resizes a position embedding in place; says from what to what."""
    ours = getattr(backbone, _POSITIONS, None)
    theirs = held.get('backbone', {}).get(_POSITIONS)
    if backbone is None or ours is None or theirs is None:
        return ''
    side, grid = square_side(theirs), _grid(backbone, ours)
    same = theirs.shape[2:] == ours.shape[2:]
    if side is None or grid is None or not same or grid == (side, side):
        return ''
    held['backbone'][_POSITIONS] = resize_positions(theirs, grid)
    return f'{side}x{side} to {grid[0]}x{grid[1]}'


def _grid(backbone: nn.Module, positions: Tensor) -> tuple[int, int] | None:
    size = getattr(backbone, 'img_size', None)
    patch = getattr(backbone, 'patch_size', None)
    if isinstance(size, tuple) and isinstance(patch, int):
        grid = (size[0] // patch, size[1] // patch)
        if grid[0] * grid[1] == positions.shape[1] - 1:
            return grid
    side = square_side(positions)
    return None if side is None else (side, side)


def _check(comparisons: tuple[Comparison, ...], weights: ModelWeights) -> None:
    problems = [line for c in comparisons for line in c.problems()]
    if not problems:
        return
    causes = [cause for c in comparisons for cause in likely_causes(c)]
    fitting = ', '.join(
        f'{c.matched} of {len(c.needed)} of the {c.part}' for c in comparisons
    )
    lines = [
        f'{weights.source}, read as {weights.layout.title}, does not fit the '
        f'model; nothing was loaded. Tensors that fit: {fitting}.',
        *(f'  {line}' for line in problems),
        *(f'Likely cause: {cause}.' for cause in causes),
    ]
    raise MismatchError('\n'.join(lines))


def _check_numbers(
    comparisons: tuple[Comparison, ...],
    held: Mapping[str, Mapping[str, Tensor]],
    source: str,
) -> None:
    for comparison in comparisons:
        part = comparison.part
        for name in comparison.needed:
            value = held[part][name]
            if value.is_floating_point() and not value.isfinite().all():
                raise CheckpointError(
                    f'{source}: {name} of the {part} holds NaN or infinity, '
                    'so the training that wrote it has diverged; nothing was '
                    'loaded. Take an earlier checkpoint of it.'
                )


def _copy(
    module: nn.Module, held: Mapping[str, Tensor], comparison: Comparison
) -> None:
    wanted = {n: held[n] for n in comparison.needed if n in held}
    result = module.load_state_dict(wanted, strict=False)
    assert not result.unexpected_keys


def _count_dropped(
    weights: ModelWeights,
    comparisons: tuple[Comparison, ...],
    loaded: Mapping[str, nn.Module],
) -> dict[str, int]:
    counts = Counter(weights.dropped.values())
    for comparison in comparisons:
        counts['not built in the model'] += len(comparison.unused)
    for part in PARTS:
        if part not in loaded:
            counts[part] += len(weights.part(part))
    return {reason: count for reason, count in counts.items() if count}
