"""mmcp: the Copy-Paste family for MMDetection and MMSegmentation."""

from mmcp.stack import check_stack
from mmcp.version import __version__

__all__ = ['__version__']

check_stack()
