"""Transforms: a results dict in, a results dict out."""

from mmcp.datasets.transforms.copy_paste import CopyPaste

__all__ = ['CopyPaste']
