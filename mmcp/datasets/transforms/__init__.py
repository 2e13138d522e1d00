"""Transforms: a results dict in, a results dict out."""

from mmcp.datasets.transforms.copy_paste import CopyPaste
from mmcp.datasets.transforms.det_mix_up import DetMixUp
from mmcp.datasets.transforms.load_annotations import LoadAnnotations
from mmcp.datasets.transforms.load_cutouts import LoadCutouts
from mmcp.datasets.transforms.pack_det_inputs import PackDetInputs
from mmcp.datasets.transforms.place_cutouts import PlaceCutouts
from mmcp.datasets.transforms.scale_jitter import ScaleJitter
from mmcp.datasets.transforms.seg_copy_paste import SegCopyPaste

__all__ = [
    'CopyPaste',
    'DetMixUp',
    'LoadAnnotations',
    'LoadCutouts',
    'PackDetInputs',
    'PlaceCutouts',
    'ScaleJitter',
    'SegCopyPaste',
]
