"""Building a config's whole model without keeping memory or weights."""

from collections.abc import Iterator
from contextlib import contextmanager

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
        # MMSegmentation's transformer looks at values while it is built.
        kind = config.model.backbone.type.rsplit('.', 1)[-1]
        needs_values = kind == 'VisionTransformer'
        with torch.device('cpu' if needs_values else 'meta'):
            model = MODELS.build(config.model)
    # mmcv's MMSyncBN makes its parameters on the CPU whatever the device.
    on_meta: nn.Module = model.to('meta')
    return on_meta


@contextmanager
def single_process_group() -> Iterator[None]:
    """A process group of one, without which MMSyncBN cannot be built."""
    store = dist.HashStore()  # type: ignore[attr-defined]
    dist.init_process_group('gloo', store=store, rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()
