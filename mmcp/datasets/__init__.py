"""Data sets, wrappers and transforms."""

from mmcp.datasets.background_dataset import BackgroundDataset
from mmcp.datasets.copy_paste_dataset import CopyPasteDataset
from mmcp.datasets.copy_paste_pair_dataset import CopyPastePairDataset
from mmcp.datasets.cutout_dataset import CutoutDataset
from mmcp.datasets.lvis_dataset import LVISDataset
from mmcp.datasets.self_training_dataset import SelfTrainingDataset
from mmcp.datasets.unlabeled_image_dataset import (
    UnlabeledImageDataset,
    UnreadableImage,
)

__all__ = [
    'BackgroundDataset',
    'CopyPasteDataset',
    'CopyPastePairDataset',
    'CutoutDataset',
    'LVISDataset',
    'SelfTrainingDataset',
    'UnlabeledImageDataset',
    'UnreadableImage',
]
