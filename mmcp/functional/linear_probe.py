"""Linear classification of frozen features."""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ['LinearClassifier', 'fit_linear']


class LinearClassifier:
    """Classifies features by their largest logit.

    Args:
        mean: Mean of the features it was fitted to, shape (D,).
        std: Their standard deviation, shape (D,).
        weight: Shape (num_classes, D).
        bias: Shape (num_classes,).
    """

    def __init__(
        self, mean: Tensor, std: Tensor, weight: Tensor, bias: Tensor
    ) -> None:
        self.mean = mean
        self.std = std
        self.weight = weight
        self.bias = bias

    def __call__(self, features: Tensor) -> Tensor:
        """Classifies.

        Args:
            features: Shape (N, D), float32.

        Returns:
            Classes, shape (N,), int64.
        """
        scaled = (features - self.mean) / self.std
        return F.linear(scaled, self.weight, self.bias).argmax(1)


@torch.enable_grad()
def fit_linear(
    features: Tensor,
    labels: Tensor,
    *,
    num_classes: int,
    weight_decay: float = 1e-3,
    max_iter: int = 100,
) -> LinearClassifier:
    """Fits a multinomial logistic regression to frozen features.

    Minimises cross entropy + `weight_decay` / 2 * ||weight||^2 on
    standardised features from zero weights by L-BFGS, so that it draws
    nothing and has no learning rate to choose. The problem is convex: the
    result says what the features hold, not how well a training went.

    Args:
        features: Shape (B, D), float32.
        labels: Their classes, shape (B,), int64 in [0, num_classes).
        num_classes: Number of classes.
        weight_decay: Of the weights, not of the bias. Defaults to 1e-3.
        max_iter: Iterations of L-BFGS at most. Defaults to 100.

    Returns:
        The classifier, without a graph.

    Raises:
        ValueError: If there are no features, `weight_decay` is negative or
            `max_iter` not positive.
    """
    if not len(features):
        raise ValueError('there are no features to fit a classifier to')
    if weight_decay < 0:
        raise ValueError(f'weight_decay must be >= 0, but is {weight_decay}')
    if max_iter < 1:
        raise ValueError(f'max_iter must be >= 1, but is {max_iter}')
    mean = features.mean(0)
    # A feature that never changes would be divided by zero.
    std = features.std(0, correction=0).clamp(min=1e-6)
    scaled = (features - mean) / std
    weight = scaled.new_zeros(num_classes, scaled.shape[1]).requires_grad_()
    bias = scaled.new_zeros(num_classes).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=max_iter, line_search_fn='strong_wolfe'
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(F.linear(scaled, weight, bias), labels)
        loss = loss + weight_decay / 2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return LinearClassifier(mean, std, weight.detach(), bias.detach())
