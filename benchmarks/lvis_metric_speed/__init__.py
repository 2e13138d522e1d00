"""Parts of ``benchmarks/lvis_metric.py``."""
