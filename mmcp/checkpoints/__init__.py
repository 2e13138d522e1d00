"""Reading checkpoints safely and strictly."""

from mmcp.checkpoints.layouts import Layout, LayoutError, detect_layout
from mmcp.checkpoints.loading import load_safely, use_safe_reader
from mmcp.checkpoints.pretrained import Pretrained
from mmcp.checkpoints.pretrained_detector import PretrainedDetector
from mmcp.checkpoints.reader import (
    BrokenCheckpointError,
    CheckpointError,
    UnsafeCheckpointError,
    read_checkpoint,
)
from mmcp.checkpoints.remap_det_heads import remap_det_heads
from mmcp.checkpoints.strict import LoadReport, MismatchError, load_weights
from mmcp.checkpoints.weights import (
    ModelWeights,
    read_weights,
    sort_weights,
)

__all__ = [
    'BrokenCheckpointError',
    'CheckpointError',
    'Layout',
    'LayoutError',
    'LoadReport',
    'MismatchError',
    'ModelWeights',
    'Pretrained',
    'PretrainedDetector',
    'UnsafeCheckpointError',
    'detect_layout',
    'load_safely',
    'load_weights',
    'read_checkpoint',
    'read_weights',
    'remap_det_heads',
    'sort_weights',
    'use_safe_reader',
]
