"""Packing for MMDetection's models without copying the image."""

from typing import Any

import numpy as np
import torch
from mmdet.datasets.transforms import PackDetInputs as MMDetPackDetInputs
from numpy.typing import NDArray

from mmcp.functional.jittered_image import MAX_EXCESS
from mmcp.registry import TRANSFORMS
from mmcp.structures import CroppedBitmapMasks
from mmcp.structures.packed_sample import PackedImage, PackedSample

__all__ = ['PackDetInputs']


@TRANSFORMS.register_module()
class PackDetInputs(MMDetPackDetInputs):  # type: ignore[misc]
    """Packs a sample; the image is not copied and every mask is rasterised.

    Drop-in for MMDetection's ``PackDetInputs`` with the same argument
    ``meta_keys`` and the same content. Two things differ. ``inputs`` is a
    permuted view of shape (C, H, W) of the image in memory of (H, W, C),
    unless that is a small part of a larger array: it travels from a worker
    as it is, and the data preprocessor reads it in any layout.
    ``CroppedBitmapMasks`` leave with bitmaps only, so that no rasterising is
    left to the training process.

    Required Keys:
        - img (H, W) or (H, W, C), or what ``np.asarray`` makes it of
          (optional)
        - gt_bboxes, gt_bboxes_labels, gt_masks, gt_ignore_flags, gt_seg_map,
          proposals (optional)

    Examples:
        >>> import numpy as np
        >>> image = np.zeros((4, 6, 3), np.uint8)
        >>> PackDetInputs()({'img': image})['inputs'].shape
        torch.Size([3, 4, 6])
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Packs the results of one image.

        Args:
            results: The results; not changed.

        Returns:
            ``inputs``, shape (C, H, W), and ``data_samples``, a
            DetDataSample.
        """
        annotations = {k: v for k, v in results.items() if k != 'img'}
        masks = annotations.get('gt_masks')
        if isinstance(masks, CroppedBitmapMasks):
            annotations['gt_masks'] = masks.rasterised()
        sample = self._pack_sample(annotations)
        if 'img' not in results:
            return {'data_samples': sample}
        # An image that is made only here is made after all else: its pixels
        # drive everything out of the processor's caches.
        image = np.asarray(results['img'])
        return {'inputs': _as_inputs(image), 'data_samples': sample}

    def _pack_sample(self, annotations: dict[str, Any]) -> PackedSample:
        flags = annotations.get('gt_ignore_flags')
        none_ignored = flags is not None and not np.any(flags)
        if none_ignored:
            # Without flags the parent selects nothing, row by row.
            del annotations['gt_ignore_flags']
        sample = PackedSample()
        packed = super().transform(annotations)['data_samples']
        sample.__dict__.update(vars(packed))
        if none_ignored:
            for name, value in sample.gt_instances.items():
                sample.ignored_instances[name] = value[:0]
        return sample


def _as_inputs(image: NDArray[Any]) -> torch.Tensor:
    if image.ndim == 2:
        image = image[..., None]
    # With the rows goes what lies between them.
    sent = image.strides[0] * len(image)
    little_more = 0 < sent <= MAX_EXCESS * image.nbytes
    if not (little_more and image[0].flags.c_contiguous):
        image = np.ascontiguousarray(image)
    if not image.flags.writeable:
        # A tensor can be written to, a cached image must not be.
        image = image.copy()
    return PackedImage.of(torch.from_numpy(image).permute(2, 0, 1))
