"""Cascade of box heads with one mask head."""

from typing import Any

import torch
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.structures.bbox import bbox2roi
from torch import Tensor

from mmcp.registry import MODELS


@MODELS.register_module()
class SingleMaskCascadeRoIHead(CascadeRoIHead):  # type: ignore[misc]
    """``CascadeRoIHead`` with a mask head for the last stage only.

    The Cascade Mask R-CNN of `Simple Copy-Paste
    <https://arxiv.org/abs/2012.07177>`_ has one mask head, trained on the
    proposals of the last stage; MMDetection's has one per stage, trains all
    of them and averages their masks. With one, parameters and multiply-adds
    are those of Tables 1 and 4.

    ``mask_head`` and ``mask_roi_extractor`` are single modules under the
    names that ``StandardRoIHead`` gives them, so a Mask R-CNN's mask head can
    be loaded. Its loss is multiplied by the last of ``stage_loss_weights``.
    """

    init_mask_head = StandardRoIHead.init_mask_head
    predict_mask = StandardRoIHead.predict_mask
    _mask_forward = StandardRoIHead._mask_forward

    def mask_loss(
        self,
        stage: int,
        x: tuple[Tensor, ...],
        sampling_results: list[Any],
        batch_gt_instances: list[Any],
    ) -> dict[str, Any]:
        """Computes the loss of the mask head, in the last stage.

        Args:
            stage: Index of the stage.
            x: Feature maps, shapes (N, C, h, w).
            sampling_results: Proposals of the stage and what they match.
            batch_gt_instances: Objects of every image, with masks.

        Returns:
            ``loss_mask`` with the losses, empty before the last stage.
        """
        if stage < self.num_stages - 1:
            return dict(loss_mask={})
        rois = bbox2roi([result.pos_priors for result in sampling_results])
        results: dict[str, Any] = self._mask_forward(x, rois)
        losses = self.mask_head.loss_and_target(
            mask_preds=results['mask_preds'],
            sampling_results=sampling_results,
            batch_gt_instances=batch_gt_instances,
            rcnn_train_cfg=self.train_cfg[stage],
        )
        results.update(loss_mask=losses['loss_mask'])
        return results

    def forward(
        self,
        x: tuple[Tensor, ...],
        rpn_results_list: list[Any],
        batch_data_samples: list[Any],
    ) -> tuple[Any, ...]:
        """Computes raw outputs, without post-processing.

        Args:
            x: Feature maps, shapes (N, C, h, w).
            rpn_results_list: Proposals of every image.
            batch_data_samples: Images' sizes.

        Returns:
            Scores and box deltas of every image, and the mask logits of all
            proposals, shape (M, ``num_classes``, h, w).
        """
        proposals = [results.bboxes for results in rpn_results_list]
        rois, scores, deltas = self._refine_roi(
            x,
            bbox2roi(proposals),
            [sample.metainfo for sample in batch_data_samples],
            tuple(len(boxes) for boxes in proposals),
        )
        if not self.with_mask:
            return scores, deltas
        masks = self._mask_forward(x, torch.cat(rois))['mask_preds']
        return scores, deltas, masks
