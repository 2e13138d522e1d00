"""Segmentors."""

from mmcp.models.segmentors.segmentation_probe import SegmentationProbe

__all__ = ['SegmentationProbe']
