"""Registries of mmcp: children of mmengine's roots, in the scope ``mmcp``.

``type='mmcp.X'`` in any config makes mmengine import this module, and the
``locations`` then import the package that holds ``X``; no ``custom_imports``
is needed.
"""

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import WEIGHT_INITIALIZERS as MMENGINE_INITIALIZERS
from mmengine.registry import Registry

DATASETS = Registry(
    'dataset',
    parent=MMENGINE_DATASETS,
    scope='mmcp',
    locations=['mmcp.datasets'],
)
DATA_SAMPLERS = Registry(
    'data sampler',
    parent=MMENGINE_DATA_SAMPLERS,
    scope='mmcp',
    locations=['mmcp.datasets.samplers'],
)
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
MODELS = Registry(
    'model',
    parent=MMENGINE_MODELS,
    scope='mmcp',
    locations=['mmcp.models'],
)
WEIGHT_INITIALIZERS = Registry(
    'weight initializer',
    parent=MMENGINE_INITIALIZERS,
    scope='mmcp',
    locations=['mmcp.checkpoints'],
)
METRICS = Registry(
    'metric',
    parent=MMENGINE_METRICS,
    scope='mmcp',
    locations=['mmcp.evaluation'],
)
