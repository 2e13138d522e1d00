"""What the log of a pretraining says: whether the demo of CP2 has learnt."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from mmcp.visualization.curves import Scalars

# Chance is 100 / (queue + 1), 2 % in the demo.
MIN_ACCURACY_GAIN = 10.0
MIN_COSINE_GAP = 0.05
# Healthy features have 1 / sqrt(128) = 0.088.
MIN_STD = 0.03
_SHARE = 0.05


@dataclass(frozen=True)
class Change:
    """A value at the start and the end of a training.

    Attributes:
        first: Mean over the first twentieth of what was logged.
        last: Mean over the last twentieth.
    """

    first: float
    last: float


@dataclass(frozen=True)
class PretrainingMetrics:
    """What is reported of a pretraining.

    Attributes:
        iterations: Number of training steps.
        loss_instance: Instance loss.
        loss_dense: Dense loss, weighted.
        acc_instance: How often a key is found among those of the queue, in
            percent.
        cos_fg_fg: Mean cosine between foreground pixels of query and key.
        cos_fg_bg: Mean cosine between foreground and background pixels.
        std_pooled: Standard deviation of the pooled foregrounds over a
            batch, mean over channels.
    """

    iterations: int
    loss_instance: Change
    loss_dense: Change
    acc_instance: Change
    cos_fg_fg: Change
    cos_fg_bg: Change
    std_pooled: Change

    @property
    def collapsed(self) -> bool:
        """Whether all images have got nearly the same features."""
        return self.std_pooled.last < MIN_STD

    def failures(self) -> list[str]:
        """Says what a training that has learnt would have done.

        Returns:
            One sentence for each thing that is missing.
        """
        gain = self.acc_instance.last - self.acc_instance.first
        gap = self.cos_fg_fg.last - self.cos_fg_bg.last
        found = []
        if not gain >= MIN_ACCURACY_GAIN:
            found.append(
                f'the instance accuracy changed by {gain:+.1f} percentage '
                f'points; {MIN_ACCURACY_GAIN:+.0f} are needed'
            )
        if not gap >= MIN_COSINE_GAP:
            found.append(
                'the cosine of foreground with foreground is '
                f'{gap:+.3f} above that of foreground with background; '
                f'{MIN_COSINE_GAP:+.2f} are needed'
            )
        if self.collapsed:
            found.append(
                f'the features collapsed: their standard deviation is '
                f'{self.std_pooled.last:.3f}, below {MIN_STD}'
            )
        return found


def measure_pretraining(scalars: Scalars) -> PretrainingMetrics:
    """Computes the metrics from what was logged.

    Args:
        scalars: From `mmcp.visualization.read_scalars`.

    Returns:
        The metrics.

    Raises:
        ValueError: If a value that CP2 reports was not logged.
    """
    return PretrainingMetrics(
        iterations=_points(scalars, 'loss_instance')[-1][0],
        loss_instance=_change(scalars, 'loss_instance'),
        loss_dense=_change(scalars, 'loss_dense'),
        acc_instance=_change(scalars, 'acc_instance'),
        cos_fg_fg=_change(scalars, 'cos_fg_fg'),
        cos_fg_bg=_change(scalars, 'cos_fg_bg'),
        std_pooled=_change(scalars, 'std_pooled'),
    )


def _change(scalars: Scalars, name: str) -> Change:
    values = [value for _, value in _points(scalars, name)]
    count = max(1, round(_SHARE * len(values)))
    return Change(fmean(values[:count]), fmean(values[-count:]))


def _points(scalars: Scalars, name: str) -> Sequence[tuple[int, float]]:
    points = scalars.get(name)
    if not points:
        raise ValueError(
            f'{name} was not logged: train with mmcp.CP2 and both losses, and '
            'default_hooks.logger.interval no longer than the training'
        )
    return points
