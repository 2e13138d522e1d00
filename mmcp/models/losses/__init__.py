"""Losses, as ``type='mmcp.X'`` in the heads of models."""

from mmcp.models.losses.class_balanced_cross_entropy import (
    ClassBalancedCrossEntropy,
)

__all__ = ['ClassBalancedCrossEntropy']
