"""The built-in sample: a small procedural data set, so no download."""

from mmcp.demo.categories import CLASSES, METAINFO, PALETTE
from mmcp.demo.check import check_sample
from mmcp.demo.sample import make_sample

__all__ = ['CLASSES', 'METAINFO', 'PALETTE', 'check_sample', 'make_sample']
