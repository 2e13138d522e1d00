"""Decode heads of segmentors, as ``type='mmcp.X'`` in ``decode_head``."""

from mmcp.models.decode_heads.sum_merge_head import SumMergeHead

__all__ = ['SumMergeHead']
