"""Pictures and reports that people look at."""

from mmcp.visualization.curves import Panel, plot_curves, read_scalars
from mmcp.visualization.draw import draw_instances
from mmcp.visualization.report import Picture, Report
from mmcp.visualization.samples import draw_sample

__all__ = [
    'Panel',
    'Picture',
    'Report',
    'draw_instances',
    'draw_sample',
    'plot_curves',
    'read_scalars',
]
