"""Using a model in the middle of its training, without a trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.model import is_model_wrapper
from torch import Tensor, nn


def unwrap(model: nn.Module) -> Any:
    """Returns the model inside a wrapper for distributed training.

    Args:
        model: A model, wrapped or not.

    Returns:
        The model itself.
    """
    return model.module if is_model_wrapper(model) else model


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Puts a model into evaluation mode, without gradients.

    Afterwards every submodule is in the mode it had, including those that
    were in evaluation mode during the training.

    Args:
        model: The model.

    Yields:
        Nothing.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def preprocess(model: Any, batch: Any) -> dict[str, Any]:
    """Makes of a collated batch what a model sees in training.

    What the data preprocessor draws at random is not missing afterwards.

    Args:
        model: A model of mmengine, not wrapped.
        batch: What a training data loader gives.

    Returns:
        Keyword arguments of the model's `forward`.
    """
    cuda = torch.cuda.is_available()
    devices = [torch.cuda.current_device()] if cuda else []
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        seen: dict[str, Any] = model.data_preprocessor(batch, training=True)
    return seen


def normalization(model: Any) -> tuple[Tensor, Tensor]:
    """Returns how a model's data preprocessor normalises colours.

    Args:
        model: A model of mmengine, not wrapped.

    Returns:
        Mean and standard deviation, shapes (3, 1, 1), on the model's device,
        in gray levels; 0 and 1 if it does not normalise.
    """
    preprocessor = model.data_preprocessor
    device = next(model.parameters()).device
    mean = getattr(preprocessor, 'mean', torch.zeros(3))
    std = getattr(preprocessor, 'std', torch.ones(3))
    shape = (3, 1, 1)
    return mean.reshape(shape).to(device), std.reshape(shape).to(device)
