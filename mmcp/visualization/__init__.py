"""Pictures and reports that people look at."""

from mmcp.visualization.curves import (
    Panel,
    curves_png,
    plot_curves,
    read_scalars,
)
from mmcp.visualization.draw import draw_instances
from mmcp.visualization.grid import image_grid
from mmcp.visualization.pairs import draw_pairs
from mmcp.visualization.pretraining import pretraining_panels
from mmcp.visualization.report import Picture, Report
from mmcp.visualization.samples import draw_sample
from mmcp.visualization.similarity_maps import (
    SimilarityView,
    draw_similarity_maps,
)

__all__ = [
    'Panel',
    'Picture',
    'Report',
    'SimilarityView',
    'curves_png',
    'draw_instances',
    'draw_pairs',
    'draw_sample',
    'draw_similarity_maps',
    'image_grid',
    'plot_curves',
    'pretraining_panels',
    'read_scalars',
]
