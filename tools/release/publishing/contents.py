"""What of a training's checkpoint is published."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mmcp.checkpoints import LayoutError, ModelWeights, sort_weights
from mmcp.checkpoints.config_text import config_of, look_up
from mmcp.checkpoints.export import export_meta, export_weights
from mmcp.checkpoints.weights import state_dict_of

# What MMDetection's and MMSegmentation's tools read, and how far it came.
_KEPT_META = ('dataset_meta', 'epoch', 'iter', 'mmengine_version', 'seed')
_USED = ('state_dict', 'meta')
_PRETRAINING = ('mask', 'backgrounds', 'size')


@dataclass(frozen=True)
class Contents:
    """What is published.

    Attributes:
        state: Tensors by name.
        meta: What the file says about itself.
        config: The config it was trained with; empty if it is not known.
        dropped: What is left out, with the number of tensors or, for what is
            beside the weights, 0.
        weights: The weights by part; None for a model of unknown layout.
    """

    state: dict[str, Tensor]
    meta: dict[str, Any]
    config: dict[str, Any]
    dropped: dict[str, int]
    weights: ModelWeights | None


def choose_contents(
    checkpoint: Mapping[str, Any], source: str, *, keep_config: bool = False
) -> Contents:
    """Chooses what is needed after the training.

    Of a pretraining: backbone and decode head of the query encoder, by
    MMSegmentation's names. Of any other model: all of ``state_dict``. With
    mmengine's ``EMAHook`` that holds the average already.

    Args:
        checkpoint: What the file of the training holds.
        source: What errors call it.
        keep_config: Whether the text of the config stays, which holds paths
            of the machine; inferencers made from weights alone run it.
            Defaults to False.

    Returns:
        What is published; tensors are copies on the CPU.

    Raises:
        CheckpointError: If there are no weights.
    """
    try:
        weights = sort_weights(checkpoint, source)
    except LayoutError:
        weights = None
    config = config_of(checkpoint)
    dropped = {str(k): 0 for k in checkpoint if k not in _USED}
    if weights is not None and weights.layout.pretraining:
        state = export_weights(weights)
        dropped |= Counter(weights.dropped.values())
        if weights.projector:
            dropped['projector'] = len(weights.projector)
    else:
        state = {
            str(name): value.detach().cpu().clone()
            for name, value in state_dict_of(checkpoint).items()
            if isinstance(value, Tensor)
        }
    if not state:
        raise LayoutError(f'{source} holds no weights.')
    return Contents(
        state=state,
        meta=_meta(checkpoint, weights, config, keep_config),
        config=config,
        dropped=dropped,
        weights=weights,
    )


def _meta(
    checkpoint: Mapping[str, Any],
    weights: ModelWeights | None,
    config: Mapping[str, Any],
    keep_config: bool,
) -> dict[str, Any]:
    source = checkpoint.get('meta')
    source = source if isinstance(source, Mapping) else {}
    kept = (*_KEPT_META, 'cfg') if keep_config else _KEPT_META
    meta = {key: source[key] for key in kept if key in source}
    own: dict[str, Any] = dict(method=look_up(config, 'model', 'type'))
    if weights is not None:
        own |= export_meta(weights)
    own |= _data(config)
    meta['mmcp'] = {key: value for key, value in own.items() if value}
    return meta


def _data(config: Mapping[str, Any]) -> dict[str, Any]:
    """How a pretraining composed its images."""
    dataset = look_up(config, 'train_dataloader', 'dataset')
    if look_up(dataset, 'type') != 'mmcp.CopyPastePairDataset':
        return {}
    return {key: dataset[key] for key in _PRETRAINING if key in dataset}
