"""Tests of position embeddings."""

import pytest
import torch
from checkpoint_layouts import sine_positions
from hypothesis import given
from hypothesis import strategies as st
from mmseg.models.backbones import VisionTransformer

from mmcp.checkpoints.positions import (
    is_fixed_sine,
    resize_positions,
    square_side,
)


@pytest.mark.parametrize(
    ('count', 'side'),
    [(1, None), (2, 1), (5, 2), (6, None), (197, 14), (198, None)],
)
def test_side_of_the_grid(count, side):
    assert square_side(torch.zeros(1, count, 4)) == side


@pytest.mark.parametrize('grid', [(2, 2), (5, 3), (32, 32)])
def test_resized_as_mmsegmentation_does(grid):
    positions = torch.randn(1, 10, 8)
    theirs = VisionTransformer.resize_pos_embed(
        positions, grid, (3, 3), 'bicubic'
    )
    found = resize_positions(positions, grid)
    assert found.shape == (1, 1 + grid[0] * grid[1], 8)
    torch.testing.assert_close(found, theirs)
    assert torch.equal(found[:, 0], positions[:, 0])


@given(side=st.integers(1, 6))
def test_the_same_grid_changes_nothing(side):
    positions = torch.randn(1, 1 + side * side, 4)
    found = resize_positions(positions, (side, side))
    torch.testing.assert_close(found, positions)


def test_half_precision_is_kept():
    found = resize_positions(torch.randn(1, 5, 4).half(), (3, 3))
    assert found.dtype == torch.float16


def test_two_tokens_before_the_grid_are_refused():
    with pytest.raises(ValueError, match='198 positions are no class token'):
        resize_positions(torch.zeros(1, 198, 4), (7, 7))


@pytest.mark.parametrize('side', [1, 3, 14])
def test_fixed_sines_are_recognised(side):
    positions = sine_positions(8, side)
    assert is_fixed_sine(positions)
    assert is_fixed_sine(positions.half())
    moved = positions.clone()
    moved[0, -1, 2] += 0.1
    assert not is_fixed_sine(moved)
    token = positions.clone()
    token[0, 0, 0] = 0.1
    assert not is_fixed_sine(token)


def test_what_cannot_be_fixed_sines():
    assert not is_fixed_sine(torch.zeros(1, 6, 8))
    assert not is_fixed_sine(torch.zeros(1, 5, 6))
    assert not is_fixed_sine(torch.zeros(1, 5, 8))
