"""mmcp: the Copy-Paste family for MMDetection and MMSegmentation."""

from mmcp.version import __version__

__all__ = ['__version__']
