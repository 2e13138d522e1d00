"""Which curves show how a contrastive pretraining goes."""

from dataclasses import dataclass

from mmcp.visualization.curves import Panel, Scalars

_DATA_SHARE = 'share of time (%)'


@dataclass(frozen=True)
class _Kind:
    """A panel that may be drawn.

    Attributes:
        title: Written above it.
        names: From what the log calls a scalar to the name of its line.
        bottom: Lower end of the vertical axis, None to fit the values.
    """

    title: str
    names: dict[str, str]
    bottom: float | None = None


_STD = 'Standard deviation of features'
# A panel of its own for the dense loss: it moves by less than 0.6 in all.
_KINDS = (
    _Kind('Instance loss', {'loss_instance': 'instance'}),
    _Kind('Dense loss', {'loss_dense': 'dense'}),
    _Kind(
        'Cosine of foreground with',
        {'cos_fg_fg': 'foreground', 'cos_fg_bg': 'background'},
    ),
    _Kind(
        'Accuracy (%)',
        {'acc_instance': 'instance', 'acc_dense': 'dense'},
        bottom=0,
    ),
    _Kind(
        _STD,
        {'std_pooled': 'between images', 'std_pixels': 'between pixels'},
        bottom=0,
    ),
    _Kind('Queue filled (%)', {'queue_fill': 'queue'}, bottom=0),
    _Kind('Waiting for data', {_DATA_SHARE: _DATA_SHARE}, bottom=0),
    _Kind('Learning rate', {'lr': 'learning rate'}, bottom=0),
    _Kind(
        'Top-1 accuracy of probes (%)',
        {'knn/top1': 'nearest neighbours', 'linear/top1': 'linear'},
        bottom=0,
    ),
)


def pretraining_panels(
    scalars: Scalars, embedding: int | None = None
) -> list[Panel]:
    """Choose what there is to draw.

    Args:
        scalars: From the name of each scalar to its points (iteration,
            value), as :func:`read_scalars` returns them.
        embedding: Length D of the features; `1 / sqrt(D)`, the standard
            deviation of features spread evenly over the sphere, is marked.
            Defaults to None, meaning not known.

    Returns:
        Panels, those without any value left out.
    """
    known = {**scalars, _DATA_SHARE: _data_share(scalars)}
    panels = []
    for kind in _KINDS:
        lines = {
            line: known[name]
            for name, line in kind.names.items()
            if known.get(name)
        }
        if lines:
            levels = {}
            if embedding and kind.title == _STD:
                levels[f'1 / sqrt({embedding})'] = embedding**-0.5
            panels.append(Panel(kind.title, lines, kind.bottom, levels))
    return panels


def _data_share(scalars: Scalars) -> list[tuple[int, float]]:
    """Percentage of each iteration that went by waiting for its data."""
    whole = dict(scalars.get('time', ()))
    return [
        (step, 100 * waited / whole[step])
        for step, waited in scalars.get('data_time', ())
        if whole.get(step, 0) > 0
    ]
