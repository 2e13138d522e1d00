"""From an image to its attention map."""

from collections.abc import Mapping

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmcp.functional.vit_attention import class_attention

Image = NDArray[np.uint8]

_MEAN = np.float32([0.485, 0.456, 0.406])
_STD = np.float32([0.229, 0.224, 0.225])


class AttentionMaps:
    """Makes attention maps with one transformer.

    Args:
        weights: Its weights by timm's names.
        num_heads: Its attention heads; 64 channels each in all of DINO's.
        size: Longer side of what the transformer sees, in pixels; rounded to
            whole patches.
        sigma: Standard deviation of the blur that takes the patches' noise
            away, in patches.
        device: Where it runs.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        num_heads: int,
        size: int,
        sigma: float,
        device: str = 'cpu',
    ) -> None:
        self.weights = {k: v.to(device) for k, v in weights.items()}
        self.num_heads = num_heads
        self.patch = weights['patch_embed.proj.weight'].shape[2]
        self.size = size
        self.sigma = sigma
        self.device = device

    def __call__(self, image: Image) -> Image:
        """Makes the map of an image.

        Args:
            image: BGR image of shape (H, W, 3), uint8.

        Returns:
            Attention averaged over the heads, blurred, stretched to 0 to
            255, shape (H, W), uint8.
        """
        height, width = image.shape[:2]
        images = self._prepare(image)
        heads = class_attention(self.weights, images, self.num_heads)
        grid = heads.mean(1)[0].float().cpu().numpy()
        whole = cv2.resize(grid, (width, height))
        if self.sigma:
            sigmas = (
                self.sigma * length / cells
                for length, cells in zip(
                    (width, height), grid.shape[::-1], strict=True
                )
            )
            whole = cv2.GaussianBlur(whole, (0, 0), *sigmas)
        return _stretch(whole)

    def _prepare(self, image: Image) -> Tensor:
        factor = self.size / max(image.shape[:2])
        height, width = (
            max(round(n * factor / self.patch), 1) * self.patch
            for n in image.shape[:2]
        )
        shrinks = factor < 1
        resized = cv2.resize(
            image,
            (width, height),
            interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC,
        )
        scaled = (resized[..., ::-1] / np.float32(255) - _MEAN) / _STD
        tensor = torch.from_numpy(scaled.transpose(2, 0, 1).copy())
        return tensor[None].to(self.device)


def _stretch(values: NDArray[np.float32]) -> Image:
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    stretched = np.rint((values - low) * (255 / (high - low)))
    return stretched.astype(np.uint8)
