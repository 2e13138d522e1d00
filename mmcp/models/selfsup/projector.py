"""The small network that turns features into those that are compared."""

from torch import Tensor, nn


class Projector(nn.Module):
    """Two 1x1 convolutions with a ReLU between, at every position.

    On pooled features of shape (N, C, 1, 1) it is MoCo v2's MLP. It is dropped
    after pretraining. Weights are initialised as torch does by default.

    Args:
        in_channels: Channels of the features.
        hidden_channels: Channels between. Defaults to None,
            meaning ``in_channels``.
        out_channels: Channels of the result, D. Defaults to 128.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int | None = None,
        out_channels: int = 128,
    ) -> None:
        super().__init__()
        hidden_channels = hidden_channels or in_channels
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.hidden = nn.Conv2d(in_channels, hidden_channels, 1)
        self.relu = nn.ReLU(inplace=True)
        self.output = nn.Conv2d(hidden_channels, out_channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Projects.

        Args:
            features: Feature map, shape (N, C, h, w).

        Returns:
            Projected map, not normalised, shape (N, D, h, w).
        """
        result: Tensor = self.output(self.relu(self.hidden(features)))
        return result
