"""RoI heads, as ``type='mmcp.X'`` in ``model.roi_head``."""

from mmcp.models.roi_heads.classifier_roi_heads import (
    ClassifierCascadeRoIHead,
    ClassifierRoIHead,
    ClassifierSingleMaskCascadeRoIHead,
)
from mmcp.models.roi_heads.single_mask_cascade_roi_head import (
    SingleMaskCascadeRoIHead,
)

__all__ = [
    'ClassifierCascadeRoIHead',
    'ClassifierRoIHead',
    'ClassifierSingleMaskCascadeRoIHead',
    'SingleMaskCascadeRoIHead',
]
