"""Data sets, wrappers and transforms."""

from mmcp.datasets.copy_paste_dataset import CopyPasteDataset

__all__ = ['CopyPasteDataset']
