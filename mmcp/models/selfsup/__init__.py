"""Contrastive pretraining of segmentation models."""

from mmcp.models.selfsup.cp2 import CP2
from mmcp.models.selfsup.encoder import SegmentationEncoder
from mmcp.models.selfsup.key_queue import KeyQueue
from mmcp.models.selfsup.moco import MoCo
from mmcp.models.selfsup.momentum_contrast import MomentumContrast
from mmcp.models.selfsup.projector import Projector
from mmcp.models.selfsup.split_batch_norm import SplitBatchNorm2d

__all__ = [
    'CP2',
    'KeyQueue',
    'MoCo',
    'MomentumContrast',
    'Projector',
    'SegmentationEncoder',
    'SplitBatchNorm2d',
]
