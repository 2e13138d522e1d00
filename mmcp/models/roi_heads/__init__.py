"""RoI heads, as ``type='mmcp.X'`` in ``model.roi_head``."""

from mmcp.models.roi_heads.classifier_roi_heads import (
    ClassifierCascadeRoIHead,
    ClassifierRoIHead,
)

__all__ = ['ClassifierCascadeRoIHead', 'ClassifierRoIHead']
