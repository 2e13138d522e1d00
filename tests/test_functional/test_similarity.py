"""Similarity with the foreground of another view."""

import numpy as np
import torch
from torch.nn import functional as F

from mmcp.functional.similarity import foreground_similarity


def test_cosines_with_the_mean_direction_by_hand():
    # Axes x and y; foreground of the other view: one of each.
    features = torch.tensor([[[[1.0, 0.0], [-1.0, 0.6]]]])
    features = torch.cat(
        [features, torch.tensor([[[[0.0, 1.0], [0.0, -0.8]]]])], dim=1
    )
    other = torch.tensor([[[[1.0, 0.0, -1.0]], [[0.0, 1.0, 0.0]]]])
    mask = torch.tensor([[[True, True, False]]])
    half = 0.5**0.5
    expected = [[[half, half], [-half, (0.6 - 0.8) * half]]]
    cosines = foreground_similarity(features, other, mask)
    np.testing.assert_allclose(cosines, expected, atol=1e-6)


def test_each_image_is_compared_with_its_own_view():
    generator = torch.Generator().manual_seed(0)
    features = F.normalize(torch.randn(3, 4, 5, 6, generator=generator), dim=1)
    other = F.normalize(torch.randn(3, 4, 2, 3, generator=generator), dim=1)
    mask = torch.rand(3, 2, 3, generator=generator) > 0.4
    whole = foreground_similarity(features, other, mask)
    assert whole.shape == (3, 5, 6)
    for image in range(3):
        part = slice(image, image + 1)
        alone = foreground_similarity(features[part], other[part], mask[part])
        torch.testing.assert_close(alone[0], whole[image])


def test_half_precision_is_compared_in_full():
    features = F.normalize(torch.ones(1, 8, 1, 1), dim=1).half()
    mask = torch.ones(1, 1, 1, dtype=torch.bool)
    cosines = foreground_similarity(features, features, mask)
    assert cosines.dtype == torch.float32
