"""The built-in sample: a small procedural data set, so no download."""

from mmcp.demo.categories import CLASSES, METAINFO, PALETTE
from mmcp.demo.sample import make_sample

__all__ = ['CLASSES', 'METAINFO', 'PALETTE', 'make_sample']
