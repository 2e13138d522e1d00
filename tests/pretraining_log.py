"""What a pretraining that learns would log."""

LEARNT = dict(
    loss_instance=(4.0, 1.0),
    loss_dense=(1.0, 0.9),
    acc_instance=(2.0, 60.0),
    cos_fg_fg=(0.5, 0.4),
    cos_fg_bg=(0.5, 0.1),
    std_pooled=(0.02, 0.08),
)


def log_of(**ends):
    """Forty points of each value, from one end straight to the other."""
    values = LEARNT | ends
    return {
        name: [(5 * i, a + (b - a) * (i - 1) / 39) for i in range(1, 41)]
        for name, (a, b) in values.items()
    }
