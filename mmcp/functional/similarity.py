"""Where in one view the foreground of the other is seen."""

import torch
from torch import Tensor

from mmcp.functional.contrastive import masked_pool

__all__ = ['foreground_similarity']


def foreground_similarity(
    features: Tensor, other: Tensor, other_mask: Tensor
) -> Tensor:
    """Compares positions of a view with the other view's pooled foreground.

    The vector is that of Eq. 4 of
    `CP2 <https://arxiv.org/abs/2203.11709>`_.

    Args:
        features: Of N views, shape (N, D, h, w), unit norm over D.
        other: Of the other views of the same N images, shape (N, D, h', w'),
            unit norm.
        other_mask: Foreground on the grid of `other`, shape (N, h', w'),
            bool. A view without any is pooled as a whole.

    Returns:
        Cosines, shape (N, h, w), float32.
    """
    vectors = masked_pool(other.flatten(2), other_mask.flatten(1))
    return torch.einsum('ndhw,nd->nhw', features.float(), vectors)
