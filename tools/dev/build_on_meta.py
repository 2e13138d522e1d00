"""Building a config's whole model without keeping memory or weights."""

from mmcp.engine.build_on_meta import build_on_meta

__all__ = ['build_on_meta']
