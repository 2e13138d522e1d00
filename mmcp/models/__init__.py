"""Models, as ``type='mmcp.X'`` in ``model``."""

from mmcp.models.backbones import EfficientNet
from mmcp.models.data_preprocessors import CP2DataPreprocessor
from mmcp.models.decode_heads import SumMergeHead
from mmcp.models.detectors import ClassifierFineTuner
from mmcp.models.losses import ClassBalancedCrossEntropy
from mmcp.models.necks import NASFPN
from mmcp.models.roi_heads import (
    ClassifierCascadeRoIHead,
    ClassifierRoIHead,
    ClassifierSingleMaskCascadeRoIHead,
    SingleMaskCascadeRoIHead,
)
from mmcp.models.segmentors import SegmentationProbe
from mmcp.models.selfsup import CP2, MoCo

__all__ = [
    'CP2',
    'CP2DataPreprocessor',
    'ClassBalancedCrossEntropy',
    'ClassifierCascadeRoIHead',
    'ClassifierFineTuner',
    'ClassifierRoIHead',
    'ClassifierSingleMaskCascadeRoIHead',
    'EfficientNet',
    'MoCo',
    'NASFPN',
    'SegmentationProbe',
    'SingleMaskCascadeRoIHead',
    'SumMergeHead',
]
