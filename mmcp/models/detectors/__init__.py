"""Detectors, as ``type='mmcp.X'`` in ``model``."""

from mmcp.models.detectors.classifier_fine_tuner import ClassifierFineTuner

__all__ = ['ClassifierFineTuner']
