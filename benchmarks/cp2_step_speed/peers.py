"""The ways of making a step that are compared."""

from dataclasses import dataclass
from typing import Any

import torch
from mmengine.registry import DefaultScope
from torch import nn

from cp2_step_speed.reference import ReleasedCP2
from mmcp.models.selfsup import SegmentationEncoder
from mmcp.registry import MODELS

Batch = dict[str, dict[str, torch.Tensor]]


@dataclass(frozen=True)
class Size:
    """How large everything is.

    Args:
        depth: Depth of the ResNet.
        base_channels: Channels of its first stage.
        channels: Channels of the ASPP head.
        image: Height and width of the images.
        queue_len: Number of keys.
    """

    depth: int = 50
    base_channels: int = 64
    channels: int = 512
    image: int = 224
    queue_len: int = 65536

    def encoder(self) -> dict[str, Any]:
        """Configs of backbone and head, as the paper has them."""
        widest = self.base_channels * (32 if self.depth >= 50 else 8)
        return dict(
            backbone=dict(
                type='ResNet',
                depth=self.depth,
                base_channels=self.base_channels,
                strides=(1, 2, 2, 1),
                dilations=(1, 1, 1, 2),
                contract_dilation=True,
                norm_cfg=dict(type='BN'),
            ),
            decode_head=dict(
                type='ASPPHead',
                in_channels=widest,
                in_index=3,
                channels=self.channels,
                dilations=(1, 6, 12, 18),
                norm_cfg=dict(type='BN'),
            ),
        )


SMALL = Size(depth=18, base_channels=8, channels=16, image=64, queue_len=256)


@dataclass(frozen=True)
class Way:
    """How a step is made.

    Args:
        name: What tables call it.
        ours: Whether it is mmcp's model, or the released algorithm.
        half: Whether autocast to bfloat16 is on.
        channels_last: Whether images and weights are laid out channels last.
        compiled: Whether ``torch.compile`` is used.
        bn_splits: Parts of a batch that are normalised on their own.
    """

    name: str
    ours: bool = True
    half: bool = False
    channels_last: bool = False
    compiled: bool = False
    bn_splits: int = 1


REFERENCE = Way('released algorithm, fp32', ours=False)
BEST = Way('mmcp, bf16, channels last, compiled', True, True, True, True)
WAYS = (
    REFERENCE,
    Way('mmcp, fp32'),
    Way('mmcp, bf16', half=True),
    Way('mmcp, bf16, channels last', half=True, channels_last=True),
    BEST,
    Way('the same, 8 parts of batch norm', True, True, True, True, 8),
)


class Step:
    """A training step: losses, gradients, optimizer.

    Args:
        way: How it is made.
        size: How large everything is.
        device: Where.
    """

    def __init__(self, way: Way, size: Size, device: torch.device) -> None:
        self.way = way
        self.device = device
        torch.manual_seed(0)
        self.model = _model(way, size).to(device).train()
        if way.channels_last:
            self.model.to(memory_format=torch.channels_last)
        if way.compiled:
            self.model.compile()
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), 0.03, momentum=0.9, weight_decay=1e-4
        )

    def __call__(self, batch: Batch) -> float:
        """Makes a step and waits for its end.

        Args:
            batch: ``inputs`` and ``masks`` on the device.

        Returns:
            The loss.
        """
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.way.half
        ):
            loss = self._loss(batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)
        return loss.item()

    def layout(self, batch: Batch) -> Batch:
        """The batch in the layout that this way of making steps wants."""
        order = (
            torch.channels_last
            if self.way.channels_last
            else torch.contiguous_format
        )
        inputs = {
            view: images.contiguous(memory_format=order)
            for view, images in batch['inputs'].items()
        }
        return dict(inputs=inputs, masks=batch['masks'])

    def _loss(self, batch: Batch) -> torch.Tensor:
        if not self.way.ours:
            loss: torch.Tensor = self.model(**batch)
            return loss
        losses = self.model(**batch, mode='loss')
        total: torch.Tensor = losses['loss_instance'] + losses['loss_dense']
        return total


def prepare(
    way: Way, size: Size, batch: Batch, device: torch.device
) -> tuple[Step, float | None]:
    """Builds a step and makes it until nothing is new any more.

    Args:
        way: How it is made.
        size: How large everything is.
        batch: What it is made with.
        device: Where.

    Returns:
        The step, and the GiB that tensors take at most in a training with it,
        None where the device does not say.
    """
    counts = device.type == 'cuda'
    before = torch.cuda.memory_allocated(device) if counts else 0
    step = Step(way, size, device)
    own = step.layout(batch)
    for _ in range(3):
        step(own)
    if not counts:
        return step, None
    torch.cuda.reset_peak_memory_stats(device)
    step(own)
    return step, (torch.cuda.max_memory_allocated(device) - before) / 2**30


def make_batch(count: int, size: Size, device: torch.device) -> Batch:
    """A batch of noise with rectangles for foregrounds.

    Args:
        count: Number of samples.
        size: Height and width of the images.
        device: Where.

    Returns:
        ``inputs`` and ``masks`` as the data preprocessor gives them.
    """
    side = size.image
    shape = (2, count, 3, side, side)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(2, count, side, side, dtype=torch.bool)
    masks[0, :, : 4 * side // 5, : 4 * side // 5] = True
    masks[1, :, side // 5 :, side // 5 :] = True
    return dict(
        inputs=dict(zip(('query', 'key'), images.to(device), strict=True)),
        masks=dict(zip(('query', 'key'), masks.to(device), strict=True)),
    )


def _model(way: Way, size: Size) -> nn.Module:
    with DefaultScope.overwrite_default_scope('mmseg'):
        if not way.ours:
            encoder = SegmentationEncoder(**size.encoder())
            encoder.init_weights()
            return ReleasedCP2(encoder, encoder.out_channels, size.queue_len)
        model: nn.Module = MODELS.build(
            dict(
                type='mmcp.CP2',
                **size.encoder(),
                queue_len=size.queue_len,
                bn_splits=way.bn_splits,
            )
        )
    model.init_weights()
    return model
