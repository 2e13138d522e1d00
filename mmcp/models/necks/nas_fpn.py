"""NAS-FPN as in the largest model of Simple Copy-Paste."""

from collections.abc import Sequence
from typing import Any

from mmcv.cnn import ConvModule, build_activation_layer
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mmcp.registry import MODELS

NUM_LEVELS = 5
# The cell that NAS-FPN's search found, in the order of computation. A merge
# is its level above the finest one and the positions of what it sums: 0 to 4
# are the cell's inputs from fine to coarse, 5 and up are the merges. An input
# that no merge of its own level would take is added to that level's output.
MERGES = (
    (1, (1, 3)),
    (1, (1, 5)),
    (0, (0, 6)),
    (1, (6, 7)),
    (2, (7, 8, 2)),
    (4, (6, 9, 4)),
    (3, (9, 10)),
)
# Positions of the outputs, from fine to coarse.
OUTPUTS = (7, 8, 9, 11, 10)
_EXPANSION = 4

Config = dict[str, Any]


class Bottleneck(nn.Module):
    """Residual bottleneck with a projection on the shortcut.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, four times the inner ones.
        drop_path_rate: Probability of leaving out the residual branch of a
            sample in training.
        norm_cfg: Normalisation after each convolution.
        act_cfg: Activation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        drop_path_rate: float,
        norm_cfg: Config,
        act_cfg: Config,
    ) -> None:
        super().__init__()
        inner = out_channels // _EXPANSION
        self.conv1 = ConvModule(
            in_channels, inner, 1, norm_cfg=norm_cfg, act_cfg=act_cfg
        )
        self.conv2 = ConvModule(
            inner, inner, 3, padding=1, norm_cfg=norm_cfg, act_cfg=act_cfg
        )
        self.conv3 = ConvModule(
            inner, out_channels, 1, norm_cfg=norm_cfg, act_cfg=None
        )
        self.shortcut = ConvModule(
            in_channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=None
        )
        self.drop_path = DropPath(drop_path_rate)
        self.activation = build_activation_layer(act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """Transforms a map.

        Args:
            x: Shape (N, C, h, w).

        Returns:
            Shape (N, C, h, w) with ``out_channels``.
        """
        residual = self.conv3(self.conv2(self.conv1(x)))
        return self.activation(self.shortcut(x) + self.drop_path(residual))  # type: ignore[no-any-return]


class Resample(nn.Module):
    """Brings a map to another level and to the width of the merges.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output; a 1x1 convolution and a
            normalisation change them where they differ.
        steps: Levels to go: positive ones halve, by the maximum, negative
            ones double, by repeating.
        norm_cfg: Normalisation after the convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        steps: int,
        norm_cfg: Config,
    ) -> None:
        super().__init__()
        self.steps = steps
        self.conv: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.conv = ConvModule(
                in_channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=None
            )

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Resamples a map.

        Args:
            x: Shape (N, C, h, w).
            size: Height and width of the target level. What a doubled map
                has beyond it is cut off.

        Returns:
            Shape (N, C, h, w) with ``out_channels`` and ``size``.
        """
        x = self.conv(x)
        if self.steps > 0:
            # A last position covers what an odd size leaves over.
            x = functional.max_pool2d(x, 2**self.steps, ceil_mode=True)
        elif self.steps < 0:
            x = functional.interpolate(x, scale_factor=float(2**-self.steps))
        return x[..., : size[0], : size[1]]


class Merge(nn.Module):
    """Sums maps at one level and transforms the sum.

    Args:
        channels: Channels of each input.
        steps: Levels from each input to the output; see :class:`Resample`.
        out_channels: Channels of the output.
        drop_path_rate: As of :class:`Bottleneck`.
        norm_cfg: Normalisation.
        act_cfg: Activation.
    """

    def __init__(
        self,
        channels: Sequence[int],
        steps: Sequence[int],
        out_channels: int,
        drop_path_rate: float,
        norm_cfg: Config,
        act_cfg: Config,
    ) -> None:
        super().__init__()
        width = out_channels // _EXPANSION
        self.edges = nn.ModuleList(
            Resample(count, width, step, norm_cfg)
            for count, step in zip(channels, steps, strict=True)
        )
        self.activation = build_activation_layer(act_cfg)
        self.block = Bottleneck(
            width, out_channels, drop_path_rate, norm_cfg, act_cfg
        )

    def forward(self, inputs: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Merges maps.

        Args:
            inputs: Shapes (N, C, h, w).
            size: Height and width of the output.

        Returns:
            Shape (N, ``out_channels``, h, w).
        """
        first, *others = (
            edge(feature, size)
            for edge, feature in zip(self.edges, inputs, strict=True)
        )
        return self.block(self.activation(sum(others, first)))  # type: ignore[no-any-return]


class Cell(nn.Module):
    """One repeat: the seven merges of NAS-FPN, all of them sums.

    Args:
        in_channels: Channels of the five inputs.
        out_channels: Channels of the five outputs.
        drop_path_rate: As of :class:`Bottleneck`.
        norm_cfg: Normalisation.
        act_cfg: Activation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        drop_path_rate: float,
        norm_cfg: Config,
        act_cfg: Config,
    ) -> None:
        super().__init__()
        self.merges = nn.ModuleList()
        levels = list(range(NUM_LEVELS))
        channels = [in_channels] * NUM_LEVELS
        for level, positions in MERGES:
            self.merges.append(
                Merge(
                    [channels[position] for position in positions],
                    [level - levels[position] for position in positions],
                    out_channels,
                    drop_path_rate,
                    norm_cfg,
                    act_cfg,
                )
            )
            levels.append(level)
            channels.append(out_channels)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Merges the levels.

        Args:
            features: Five maps from fine to coarse, shapes (N, C, h, w).

        Returns:
            Five maps of the same sizes with ``out_channels``.
        """
        nodes = list(features)
        for (level, positions), merge in zip(MERGES, self.merges, strict=True):
            inputs = [nodes[position] for position in positions]
            nodes.append(merge(inputs, features[level].shape[-2:]))
        return [nodes[position] for position in OUTPUTS]


@MODELS.register_module()
class NASFPN(BaseModule):  # type: ignore[misc]
    """NAS-FPN with residual bottlenecks, sums only, swish and drop-connect.

    The pyramid of the largest model of `Simple Copy-Paste
    <https://arxiv.org/abs/2012.07177>`_: the merges that `NAS-FPN
    <https://arxiv.org/abs/1904.07392>`_ found, repeated, with ResNet's
    bottleneck blocks in the place of its convolutions. Differs from
    MMDetection's ``NASFPN``, which has 3x3 convolutions, attention in three of
    the seven merges and ReLU.

    A bottleneck ends with ``out_channels``; the next merges take a quarter of
    them, by a 1x1 convolution on every edge. Heads take ``out_channels``.
    With 1024 the multiply-adds and parameters are those of Table 4.

    Images whose sides are multiples of 128 (P3 to P7) divide evenly. Others
    are taken: coarser levels then cover a little more than the image.

    Args:
        in_channels: Channels of the backbone's maps, one to five of them,
            each half as large as the one before. Levels that are missing at
            the end come from the last one, by maxima.
        out_channels: Channels of the outputs, a multiple of 4. Defaults to
            1024.
        stack_times: Number of repeats. Defaults to 5.
        drop_path_rate: Probability of leaving out the residual branch of a
            bottleneck for a sample in training, the same in all blocks
            ("drop-connect"). Defaults to 0.2.
        norm_cfg: Normalisation after each convolution. Defaults to None,
            ``dict(type='BN')``.
        act_cfg: Activation. Defaults to None, ``dict(type='SiLU')``, which
            is swish.
        init_cfg: Start of the weights. Defaults to None, a normal
            distribution with ``std = sqrt(1 / fan_in)``.

    Raises:
        ValueError: If there is no level or are more than five, if
            ``out_channels`` is no positive multiple of 4, or if there is no
            repeat.

    Examples:
        >>> import torch
        >>> neck = NASFPN([8, 16, 32], out_channels=16, stack_times=1)
        >>> maps = [torch.rand(1, 8 * 2**i, 64 // 2**i, 64 // 2**i)
        ...         for i in range(3)]
        >>> [tuple(level.shape[1:]) for level in neck(maps)]
        [(16, 64, 64), (16, 32, 32), (16, 16, 16), (16, 8, 8), (16, 4, 4)]
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int = 1024,
        stack_times: int = 5,
        drop_path_rate: float = 0.2,
        norm_cfg: Config | None = None,
        act_cfg: Config | None = None,
        init_cfg: Config | list[Config] | None = None,
    ) -> None:
        super().__init__(init_cfg or _start())
        _check(in_channels, out_channels, stack_times)
        norm_cfg = norm_cfg or dict(type='BN')
        act_cfg = act_cfg or dict(type='SiLU')
        self.out_channels = out_channels
        width = out_channels // _EXPANSION
        self.laterals = nn.ModuleList(
            Resample(channels, width, 0, norm_cfg) for channels in in_channels
        )
        self.cells = nn.ModuleList(
            Cell(
                width if index == 0 else out_channels,
                out_channels,
                drop_path_rate,
                norm_cfg,
                act_cfg,
            )
            for index in range(stack_times)
        )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Merges the maps of a backbone.

        Args:
            inputs: One map per ``in_channels``, shapes (N, C, h, w), from
                fine to coarse.

        Returns:
            Five maps, shapes (N, ``out_channels``, h, w).

        Raises:
            ValueError: If the number of maps is not that of
                ``in_channels``.
        """
        if len(inputs) != len(self.laterals):
            raise ValueError(
                f'NASFPN was made for {len(self.laterals)} maps, got '
                f'{len(inputs)}: in_channels and the out_indices of the '
                'backbone must agree'
            )
        features = [
            lateral(level, tuple(level.shape[-2:]))
            for lateral, level in zip(self.laterals, inputs, strict=True)
        ]
        while len(features) < NUM_LEVELS:
            features.append(
                functional.max_pool2d(features[-1], 2, ceil_mode=True)
            )
        for cell in self.cells:
            features = cell(features)
        return tuple(features)


def _start() -> Config:
    return dict(
        type='Kaiming',
        layer='Conv2d',
        mode='fan_in',
        nonlinearity='linear',
    )


def _check(
    in_channels: Sequence[int], out_channels: int, stack_times: int
) -> None:
    if not 1 <= len(in_channels) <= NUM_LEVELS:
        raise ValueError(
            f'in_channels must have 1 to {NUM_LEVELS} levels, got '
            f'{list(in_channels)}'
        )
    if out_channels <= 0 or out_channels % _EXPANSION:
        raise ValueError(
            f'out_channels must be a positive multiple of {_EXPANSION}, got '
            f'{out_channels}'
        )
    if stack_times < 1:
        raise ValueError(f'stack_times must be at least 1, got {stack_times}')
