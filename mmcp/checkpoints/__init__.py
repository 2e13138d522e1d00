"""Reading checkpoints safely and strictly."""

from mmcp.checkpoints.loading import use_safe_reader
from mmcp.checkpoints.reader import (
    BrokenCheckpointError,
    CheckpointError,
    UnsafeCheckpointError,
    read_checkpoint,
)

__all__ = [
    'BrokenCheckpointError',
    'CheckpointError',
    'UnsafeCheckpointError',
    'read_checkpoint',
    'use_safe_reader',
]
