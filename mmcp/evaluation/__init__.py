"""Metrics, as ``type='mmcp.X'`` in ``val_evaluator``."""

from mmcp.evaluation.lvis_annotations import LVISAnnotations
from mmcp.evaluation.lvis_evaluation import evaluate_results
from mmcp.evaluation.lvis_metric import LVISMetric

__all__ = ['LVISAnnotations', 'LVISMetric', 'evaluate_results']
