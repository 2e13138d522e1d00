"""Samplers whose indices carry their place in the training stream."""

from mmcp.datasets.samplers.epoch_sampler import EpochSampler
from mmcp.datasets.samplers.infinite_sampler import InfiniteSampler
from mmcp.datasets.samplers.multi_source_sampler import MultiSourceSampler
from mmcp.datasets.samplers.repeat_factor_sampler import RepeatFactorSampler

__all__ = [
    'EpochSampler',
    'InfiniteSampler',
    'MultiSourceSampler',
    'RepeatFactorSampler',
]
