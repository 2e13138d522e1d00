"""Batch normalisation as several GPUs would do it, on one device."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class SplitBatchNorm2d(nn.BatchNorm2d):
    """Normalises consecutive parts of the batch on their own in training.

    In MoCo keys are shuffled between GPUs, so that a query and its key are
    not normalised together: the statistics would give the answer away. On
    one device the parts of the batch stand for the GPUs. Running statistics
    are the mean over the parts. In evaluation it is ``nn.BatchNorm2d``, whose
    parameters and ``state_dict`` it has.

    Args:
        num_features: Channels, C.
        splits: Number of parts. Defaults to 1.
        eps: Added to the variance. Defaults to 1e-5.
        momentum: Weight of the new statistics; None for a cumulative mean.
            Defaults to 0.1.
        affine: Whether there are weight and bias. Defaults to True.
        track_running_stats: Whether statistics are kept. Defaults to True.
    """

    def __init__(
        self,
        num_features: int,
        splits: int = 1,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats
        )
        self.splits = splits

    def forward(self, input: Tensor) -> Tensor:
        """Normalises.

        Args:
            input: Feature map, shape (N, C, H, W).

        Returns:
            Normalised map, same shape, dtype and memory format.

        Raises:
            ValueError: If the batch does not split into equal parts.
        """
        if self.splits == 1 or not self.training:
            return super().forward(input)
        batch, channels = input.shape[:2]
        if batch % self.splits:
            raise ValueError(
                f'a batch of {batch} does not split into {self.splits} equal '
                'parts: change bn_splits or the batch size, and drop an '
                'incomplete last batch'
            )
        parts = input.view(self.splits, -1, *input.shape[1:]).float()
        variance, mean = torch.var_mean(parts, dim=(1, 3, 4), correction=0)
        self._track(mean, variance, parts.numel() // mean.numel())
        scale = torch.rsqrt(variance + self.eps)
        shift = -mean * scale
        if self.affine:
            scale, shift = scale * self.weight, shift * self.weight + self.bias
        shape = (self.splits, 1, channels, 1, 1)
        result = parts * scale.view(shape) + shift.view(shape)
        return result.flatten(0, 1).to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if not self.track_running_stats:
            return
        tracked = cast(Tensor, self.num_batches_tracked)
        tracked.add_(1)
        weight = 1 / tracked if self.momentum is None else self.momentum
        unbiased = variance * (count / max(count - 1, 1))
        for running, new in (
            (self.running_mean, mean.mean(dim=0)),
            (self.running_var, unbiased.mean(dim=0)),
        ):
            cast(Tensor, running).lerp_(new, weight)

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        sizes: str = super().extra_repr()  # type: ignore[no-untyped-call]
        return f'{sizes}, splits={self.splits}'


def split_batch_norm(module: nn.Module, splits: int) -> nn.Module:
    """Replaces the batch normalisation of a model.

    Args:
        module: The model; changed in place.
        splits: Number of parts a batch is split into.

    Returns:
        The model, or the replacement of a lone layer. Parameters and buffers
        are the same objects as before.
    """
    if isinstance(module, nn.BatchNorm2d):
        return _replacement(module, splits)
    for name, child in module.named_children():
        setattr(module, name, split_batch_norm(child, splits))
    return module


def has_batch_norm(module: nn.Module) -> bool:
    """Whether a model normalises over its batch.

    Args:
        module: The model.

    Returns:
        True if there is any kind of batch normalisation in it.
    """
    return any(isinstance(part, _BatchNorm) for part in module.modules())


def _replacement(layer: nn.BatchNorm2d, splits: int) -> SplitBatchNorm2d:
    split = SplitBatchNorm2d(
        layer.num_features,
        splits,
        layer.eps,
        layer.momentum,
        layer.affine,
        layer.track_running_stats,
    )
    for name, parameter in layer.named_parameters(recurse=False):
        split.register_parameter(name, parameter)
    for name, buffer in layer.named_buffers(recurse=False):
        split.register_buffer(name, buffer)
    split.train(layer.training)
    return split
