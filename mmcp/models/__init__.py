"""Models, as ``type='mmcp.X'`` in ``model``."""

from mmcp.models.selfsup import CP2, MoCo

__all__ = ['CP2', 'MoCo']
