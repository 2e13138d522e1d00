"""Building a config's whole model without keeping memory or weights."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn


def build_on_meta(config: Config) -> nn.Module:
    """Builds ``config.model`` on the meta device.

    Args:
        config: Config of a leaf.

    Returns:
        The model; its parameters and buffers have shapes but no storage.
    """
    scope = config.get('default_scope', 'mmengine')
    with (
        single_process_group(),
        DefaultScope.overwrite_default_scope(scope),
    ):
        try:
            model = _build(config.model, 'meta')
        except RuntimeError:
            # Some models look at values while they are built.
            model = _build(config.model, 'cpu')
    # mmcv's MMSyncBN makes its parameters on the CPU whatever the device.
    return model.to('meta')


def _build(model: Any, device: str) -> nn.Module:
    with torch.device(device):
        # Building some types changes their config.
        built: nn.Module = MODELS.build(copy.deepcopy(model))
    return built


@contextmanager
def single_process_group() -> Iterator[None]:
    """A process group of one, without which MMSyncBN cannot be built."""
    store = dist.HashStore()  # type: ignore[attr-defined]
    dist.init_process_group('gloo', store=store, rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()
