"""Registries of mmcp: children of mmengine's roots, in the scope ``mmcp``.

``type='mmcp.X'`` in any config makes mmengine import this module, and the
``locations`` then import the package that holds ``X``; no ``custom_imports``
is needed.
"""

from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import Registry

TRANSFORMS = Registry(
    'transform',
    parent=MMENGINE_TRANSFORMS,
    scope='mmcp',
    locations=['mmcp.datasets.transforms'],
)
HOOKS = Registry(
    'hook',
    parent=MMENGINE_HOOKS,
    scope='mmcp',
    locations=['mmcp.engine.hooks'],
)
