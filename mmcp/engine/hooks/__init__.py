"""Hooks, as ``type='mmcp.X'`` in ``custom_hooks``."""

from mmcp.engine.hooks.interrupt_hook import InterruptHook, TrainingInterrupted
from mmcp.engine.hooks.mid_epoch_resume_hook import MidEpochResumeHook
from mmcp.engine.hooks.stop_pasting_hook import StopPastingHook

__all__ = [
    'InterruptHook',
    'MidEpochResumeHook',
    'StopPastingHook',
    'TrainingInterrupted',
]
