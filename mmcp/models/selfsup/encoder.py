"""Backbone, decode head and projector: what pretraining trains."""

from inspect import signature
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, is_grad_enabled, nn
from torch.utils.checkpoint import checkpoint

from mmcp.models.selfsup.projector import Projector
from mmcp.registry import MODELS

Config = dict[str, Any]


class SegmentationEncoder(BaseModule):  # type: ignore[misc]
    """A segmentation model that ends in a projector instead of a classifier.

    Backbone, neck and head are those of MMSegmentation, under the names they
    have in its ``EncoderDecoder``; a checkpoint of these fits there. The
    head's classifier ``conv_seg`` and its dropout are taken out, so that no
    parameter stays without gradient. Any head whose forward pass ends in its
    classifier and gives one map can be used: FCN, ASPP, PSP, UPerNet's,
    SegFormer's and others.

    Args:
        backbone: Config of the backbone.
        decode_head: Config of the decode head; ``num_classes`` may be absent.
        neck: Config of what stands between. Defaults to None.
        projector: Arguments of :class:`Projector` other than ``in_channels``.
            Defaults to None.
        checkpoint_activations: Compute the activations of the backbone, and
            then of the rest, again in the backward pass: less memory, a
            third more time. ``with_cp=True`` in the config of a backbone
            does it for each of its blocks. With either, the running
            statistics of batch normalisation move twice per step. Defaults to
            False.

    Raises:
        ValueError: If the head cannot be used.
    """

    def __init__(
        self,
        backbone: Config,
        decode_head: Config,
        neck: Config | None = None,
        projector: Config | None = None,
        checkpoint_activations: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = MODELS.build(backbone)
        self.neck = nn.Identity() if neck is None else MODELS.build(neck)
        # Any number but 2, which makes MMSegmentation warn.
        self.decode_head = MODELS.build({'num_classes': 3} | decode_head)
        channels = _take_classifier_out(self.decode_head)
        self.projector = Projector(channels, **(projector or {}))
        self.checkpoint_activations = checkpoint_activations

    @property
    def out_channels(self) -> int:
        """Channels of the projected map, D."""
        return self.projector.out_channels

    def forward(self, images: Tensor) -> Tensor:
        """Encodes.

        Args:
            images: Normalised images, shape (N, 3, H, W).

        Returns:
            Projected map, not normalised, shape (N, D, h, w).

        Raises:
            TypeError: If the head gives several maps.
        """
        if self.checkpoint_activations and is_grad_enabled():
            features = checkpoint(self.backbone, images, use_reentrant=False)
            result = checkpoint(self._project, features, use_reentrant=False)
        else:
            result = self._project(self.backbone(images))
        assert isinstance(result, Tensor)
        return result

    def _project(self, features: Any) -> Tensor:
        maps = self.decode_head(self.neck(features))
        if not isinstance(maps, Tensor):
            raise TypeError(
                f'{type(self.decode_head).__name__} gives {len(maps)} maps in '
                'training, but pretraining needs one. Choose another decode '
                'head (FCNHead, ASPPHead, PSPHead, UPerHead ...), or switch '
                'its further outputs off'
            )
        result: Tensor = self.projector(maps)
        return result


class ImageEncoder(BaseModule):  # type: ignore[misc]
    """A backbone whose last feature map is pooled and projected, as in MoCo.

    Args:
        backbone: Config of the backbone.
        projector: Arguments of :class:`Projector`, with ``in_channels``.
        checkpoint_activations: Compute the activations of the backbone again
            in the backward pass; only a backbone's own ``with_cp=True`` goes
            below its whole. Defaults to False.

    Raises:
        ValueError: If ``projector`` lacks ``in_channels``.
    """

    def __init__(
        self,
        backbone: Config,
        projector: Config,
        checkpoint_activations: bool = False,
    ) -> None:
        super().__init__()
        if 'in_channels' not in projector:
            raise ValueError(
                "projector needs 'in_channels', the channels of the "
                "backbone's last feature map (2048 for ResNet-50)"
            )
        self.backbone = MODELS.build(backbone)
        self.projector = Projector(**projector)
        self.checkpoint_activations = checkpoint_activations

    @property
    def out_channels(self) -> int:
        """Channels of the projected features, D."""
        return self.projector.out_channels

    def forward(self, images: Tensor) -> Tensor:
        """Encodes.

        Args:
            images: Normalised images, shape (N, 3, H, W).

        Returns:
            Projected features, not normalised, shape (N, D, 1, 1).
        """
        if self.checkpoint_activations and is_grad_enabled():
            features = checkpoint(self.backbone, images, use_reentrant=False)
        else:
            features = self.backbone(images)
        pooled = features[-1].mean(dim=(2, 3), keepdim=True)
        result: Tensor = self.projector(pooled)
        return result


def _take_classifier_out(head: nn.Module) -> int:
    """Makes a decode head give the features before its classifier.

    Returns:
        Number of channels of these features.
    """
    classifier = getattr(head, 'conv_seg', None)
    needed = len(signature(head.forward).parameters)
    if needed != 1 or not isinstance(classifier, nn.Conv2d):
        reason = (
            'has no classifier conv_seg to leave out'
            if needed == 1
            else "needs another head's result"
        )
        raise ValueError(
            f'{type(head).__name__} cannot be pretrained: it {reason}. Choose '
            'another decode head (FCNHead, ASPPHead, PSPHead, UPerHead, '
            'SegformerHead ...)'
        )
    head.conv_seg = nn.Identity()
    head.dropout = nn.Identity()
    return classifier.in_channels
