"""Hooks, as ``type='mmcp.X'`` in ``custom_hooks``."""

from mmcp.engine.hooks.class_count_hook import ClassCountHook
from mmcp.engine.hooks.collapse_hook import CollapseHook, TrainingCollapsed
from mmcp.engine.hooks.composed_pairs_hook import ComposedPairsHook
from mmcp.engine.hooks.cp2_check_hook import CP2CheckHook
from mmcp.engine.hooks.curves_hook import CurvesHook
from mmcp.engine.hooks.interrupt_hook import InterruptHook, TrainingInterrupted
from mmcp.engine.hooks.knn_hook import KNNHook
from mmcp.engine.hooks.linear_probe_hook import LinearProbeHook
from mmcp.engine.hooks.loaded_weights_hook import LoadedWeightsHook
from mmcp.engine.hooks.mid_epoch_resume_hook import MidEpochResumeHook
from mmcp.engine.hooks.momentum_schedule_hook import MomentumScheduleHook
from mmcp.engine.hooks.similarity_map_hook import SimilarityMapHook
from mmcp.engine.hooks.stop_pasting_hook import StopPastingHook
from mmcp.engine.hooks.unreadable_images_hook import UnreadableImagesHook

__all__ = [
    'ClassCountHook',
    'CollapseHook',
    'ComposedPairsHook',
    'CP2CheckHook',
    'CurvesHook',
    'InterruptHook',
    'KNNHook',
    'LinearProbeHook',
    'LoadedWeightsHook',
    'MidEpochResumeHook',
    'MomentumScheduleHook',
    'SimilarityMapHook',
    'StopPastingHook',
    'TrainingCollapsed',
    'TrainingInterrupted',
    'UnreadableImagesHook',
]
