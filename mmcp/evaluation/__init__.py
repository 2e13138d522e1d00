"""Metrics, as ``type='mmcp.X'`` in ``val_evaluator``."""

from mmcp.evaluation.lvis_metric import LVISMetric

__all__ = ['LVISMetric']
