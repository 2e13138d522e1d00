"""Backbones."""

from mmcp.models.backbones.efficient_net import EfficientNet

__all__ = ['EfficientNet']
