"""Samplers whose indices carry their place in the training stream."""

from mmcp.datasets.samplers.epoch_sampler import EpochSampler
from mmcp.datasets.samplers.infinite_sampler import InfiniteSampler

__all__ = ['EpochSampler', 'InfiniteSampler']
