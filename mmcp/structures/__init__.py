"""Data structures that MMDetection's own parts can take."""

from mmcp.structures.cropped_bitmap_masks import CroppedBitmapMasks
from mmcp.structures.polygons import Polygons

__all__ = ['CroppedBitmapMasks', 'Polygons']
