"""RoI heads whose masks are predicted, but not trained."""

from typing import Any

from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead

from mmcp.models.roi_heads.single_mask_cascade_roi_head import (
    SingleMaskCascadeRoIHead,
)
from mmcp.registry import MODELS


class _WithoutMaskLoss:
    """Leaves the mask head out of the training step."""

    def mask_loss(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Computes nothing.

        Args:
            *args: Not used.
            **kwargs: Not used.

        Returns:
            ``loss_mask`` without losses.
        """
        return dict(loss_mask={})


@MODELS.register_module()
class ClassifierRoIHead(_WithoutMaskLoss, StandardRoIHead):  # type: ignore[misc]
    """``StandardRoIHead`` for :class:`mmcp.ClassifierFineTuner`.

    The mask head predicts as ever, but takes no part in training.
    """


@MODELS.register_module()
class ClassifierCascadeRoIHead(_WithoutMaskLoss, CascadeRoIHead):  # type: ignore[misc]
    """``CascadeRoIHead`` for :class:`mmcp.ClassifierFineTuner`.

    The mask heads predict as ever, but take no part in training.
    """


@MODELS.register_module()
class ClassifierSingleMaskCascadeRoIHead(
    _WithoutMaskLoss, SingleMaskCascadeRoIHead
):
    """``SingleMaskCascadeRoIHead`` for :class:`mmcp.ClassifierFineTuner`.

    The mask head predicts as ever, but takes no part in training.
    """
