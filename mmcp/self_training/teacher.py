"""The detector whose predictions become labels."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmdet.registry import DATASETS, MODELS
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from torch import nn

from mmcp.checkpoints import MismatchError, load_safely
from mmcp.checkpoints.layouts import plain_name
from mmcp.checkpoints.weights import state_dict_of
from mmcp.engine.config import UsageError

_SHOWN = 3
# Counters that some kinds of batch normalisation lack; unused in testing.
_OPTIONAL = 'num_batches_tracked'


class Teacher:
    """A trained detector.

    Args:
        cfg: Its config; the model and the test pipeline are used.
        checkpoint: Path or address of its weights.
        trust: Whether the file may hold more than data. Defaults to False.

    Attributes:
        classes: Names of the classes, as the checkpoint has them or else the
            config.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        CheckpointError: If it is unsafe or broken.
        UsageError: If nobody knows the classes.
    """

    def __init__(
        self, cfg: Config, checkpoint: str, trust: bool = False
    ) -> None:
        self.cfg = cfg
        self._source = checkpoint
        content = load_safely(checkpoint, trust=trust)
        self._weights = {
            plain_name(str(name)): value
            for name, value in state_dict_of(content).items()
        }
        meta = content.get('meta') or {}
        self.classes = _classes_of(cfg, meta)
        self._model: Any = None

    def build(self) -> None:
        """Builds the model and loads all of its weights.

        Raises:
            MismatchError: If weights are missing or left over.
        """
        scope = self.cfg.get('default_scope', 'mmdet')
        with DefaultScope.overwrite_default_scope(scope):
            model = MODELS.build(self.cfg.model)
        _load_all(model, self._weights, self._source)
        self._weights = {}
        self._model = model.to(get_device()).eval()

    def predict(self, samples: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Detects objects.

        Args:
            samples: What the pipeline gave for each image.

        Returns:
            One ``DetDataSample`` an image, boxes and masks in pixels of the
            original image.
        """
        assert self._model is not None, 'build() comes first'
        with torch.no_grad():
            found: list[Any] = self._model.test_step(pseudo_collate(samples))
        return found


def predict_from(
    cfg: Config, lowest_score: float, max_per_image: int | None
) -> None:
    """Makes a detector predict what is wanted, and not more.

    Predictions below the threshold would be masked for nothing; those between
    the threshold and a higher one of the config would be missing.

    Args:
        cfg: The config, changed in place.
        lowest_score: Lowest score that is wanted.
        max_per_image: Most objects wanted of an image, None for as many as
            the config has.
    """
    # Detectors keep what is above their threshold, not what is equal to it.
    below = lowest_score - max(1e-6, lowest_score * 1e-6)
    for model in _dicts(cfg.model):
        for node in _dicts(model.get('test_cfg')):
            if 'score_thr' not in node:
                continue
            node['score_thr'] = below
            if max_per_image is not None and 'max_per_img' in node:
                node['max_per_img'] = max(node['max_per_img'], max_per_image)


def prediction_pipeline(cfg: Config) -> list[ConfigDict]:
    """A config's test pipeline, less what reads annotations.

    Args:
        cfg: The config.

    Returns:
        Configs of the transforms.
    """
    return [
        step
        for step in get_test_pipeline_cfg(cfg)
        if not _reads_annotations(step['type'])
    ]


def _dicts(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _dicts(value)


def _reads_annotations(type_name: Any) -> bool:
    name = str(getattr(type_name, '__name__', type_name)).rpartition('.')[2]
    return name.startswith('Load') and 'Annotation' in name


def _classes_of(cfg: Config, meta: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the classes, from the checkpoint or the test data set."""
    noted = (meta.get('dataset_meta') or {}).get('classes')
    dataset = cfg.test_dataloader.dataset
    while not noted and dataset is not None:
        noted = (dataset.get('metainfo') or {}).get('classes')
        kind = DATASETS.get(dataset['type'])
        noted = noted or getattr(kind, 'METAINFO', {}).get('classes')
        dataset = dataset.get('dataset')
    if not noted or isinstance(noted, str):
        raise UsageError(
            'Neither the checkpoint nor the config names the classes; set '
            'test_dataloader.dataset.metainfo.classes in the config.'
        )
    return tuple(noted)


def _load_all(
    model: nn.Module, weights: Mapping[str, Any], source: str
) -> None:
    own = model.state_dict()
    problems = {
        'missing in the file': [n for n in own if n not in weights],
        'not in the model': [n for n in weights if n not in own],
        'of another shape': [
            n for n in own if n in weights and own[n].shape != weights[n].shape
        ],
    }
    lines = [
        f'  {len(names)} {what}: {_some(names)}'
        for what, found in problems.items()
        if (names := [n for n in found if not n.endswith(_OPTIONAL)])
    ]
    if lines:
        raise MismatchError(
            '\n'.join(
                [f'{source} is not of the model of this config:', *lines]
            )
        )
    model.load_state_dict(weights, strict=False)


def _some(names: Sequence[str]) -> str:
    more = ', ...' if len(names) > _SHOWN else ''
    return ', '.join(names[:_SHOWN]) + more
