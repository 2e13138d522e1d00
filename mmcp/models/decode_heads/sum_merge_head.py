"""A decode head on the sum of the levels of a feature pyramid."""

from collections.abc import Sequence
from typing import Any

from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from torch import Tensor, nn

from mmcp.registry import MODELS


@MODELS.register_module()
class SumMergeHead(BaseDecodeHead):  # type: ignore[misc]
    """Adds the levels of a feature pyramid up and classifies every pixel.

    All levels are resized to the size of the first one (bilinearly) and
    added; 3x3 convolutions with norm and activation follow, and a 1x1
    classifier: how TensorFlow's Model Garden, of the authors of `Simple
    Copy-Paste <https://arxiv.org/abs/2012.07177>`_, makes a segmentor of a
    detector's pyramid (``feature_fusion='pyramid_fusion'``). Nothing is
    learned before the sum, so that a pyramid can be taken from a detector as
    it is (Table 6).

    Args:
        in_channels: Channels of each level; all have the same number.
        in_index: Which of the neck's levels are added, the one with the
            resolution of the output first. Defaults to (0, 1, 2, 3, 4).
        num_convs: Number of 3x3 convolutions. Defaults to 2.
        **kwargs: Other arguments of MMSegmentation's ``BaseDecodeHead``:
            ``channels``, ``num_classes``, ``norm_cfg``, ``act_cfg``, ...

    Raises:
        ValueError: If ``in_channels`` has not the length of ``in_index`` or
            holds different numbers, if ``num_convs`` is negative, or if it is
            0 and ``channels`` are not those of the levels.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_index: Sequence[int] = (0, 1, 2, 3, 4),
        num_convs: int = 2,
        **kwargs: Any,
    ) -> None:
        _check_levels(in_channels, in_index)
        super().__init__(
            in_channels=list(in_channels),
            in_index=list(in_index),
            input_transform='multiple_select',
            **kwargs,
        )
        if num_convs < 0:
            raise ValueError(f'num_convs must not be negative: {num_convs}')
        if num_convs == 0 and self.channels != in_channels[0]:
            raise ValueError(
                f'without convolutions the {in_channels[0]} channels of the '
                'levels reach the classifier, but channels is '
                f'{self.channels}'
            )
        self.convs = nn.Sequential(
            *(
                ConvModule(
                    self.channels if number else in_channels[0],
                    self.channels,
                    kernel_size=3,
                    padding=1,
                    conv_cfg=self.conv_cfg,
                    norm_cfg=self.norm_cfg,
                    act_cfg=self.act_cfg,
                )
                for number in range(num_convs)
            )
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Classifies the pixels of the first level.

        Args:
            inputs: All levels of the neck, each (N, C, h, w) with its own
                ``h`` and ``w``.

        Returns:
            Logits, shape (N, ``num_classes``, h, w) with the size of the
            first level of ``in_index``.
        """
        features = self.convs(self.merge(inputs))
        logits: Tensor = self.cls_seg(features)
        return logits

    def merge(self, inputs: Sequence[Tensor]) -> Tensor:
        """Adds up the levels.

        Args:
            inputs: As for :meth:`forward`.

        Returns:
            The sum, shape (N, C, h, w) of the first level.
        """
        first, *others = self._transform_inputs(inputs)
        merged: Tensor = first
        for level in others:
            merged = merged + resize(
                level,
                size=first.shape[2:],
                mode='bilinear',
                align_corners=self.align_corners,
            )
        return merged


def _check_levels(in_channels: Sequence[int], in_index: Sequence[int]) -> None:
    if isinstance(in_channels, int) or isinstance(in_index, int):
        raise ValueError(
            'in_channels and in_index must each hold one number a level, but '
            f'are {in_channels} and {in_index}'
        )
    if len(in_channels) != len(in_index):
        raise ValueError(
            f'in_channels has {len(in_channels)} numbers, but in_index '
            f'{len(in_index)}: give one a level to both'
        )
    if len(set(in_channels)) != 1:
        raise ValueError(
            'levels can be added only if they have the same number of '
            f'channels, but in_channels is {tuple(in_channels)}'
        )
