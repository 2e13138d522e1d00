"""Models, as ``type='mmcp.X'`` in ``model``."""

from mmcp.models.data_preprocessors import CP2DataPreprocessor
from mmcp.models.losses import ClassBalancedCrossEntropy
from mmcp.models.selfsup import CP2, MoCo

__all__ = [
    'CP2',
    'CP2DataPreprocessor',
    'ClassBalancedCrossEntropy',
    'MoCo',
]
