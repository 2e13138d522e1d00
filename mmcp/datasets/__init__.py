"""Data sets, wrappers and transforms."""

from mmcp.datasets.background_dataset import BackgroundDataset
from mmcp.datasets.copy_paste_dataset import CopyPasteDataset
from mmcp.datasets.cutout_dataset import CutoutDataset

__all__ = ['BackgroundDataset', 'CopyPasteDataset', 'CutoutDataset']
