import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmcp.functional.foreground_masks import (
    MASKS,
    BlocksMask,
    PatchesMask,
    PolygonMask,
    RectangleMask,
    has_both_classes,
)

KINDS = sorted(MASKS)
# Rectangles of half the area do not fit into much longer images.
SIDES = st.integers(140, 280)


def draw_many(mask, count=400, shape=(224, 224), seed=0):
    rng = np.random.default_rng(seed)
    return [mask.draw(rng, shape) for _ in range(count)]


def bounds(mask):
    """First row, first column, height and width of what is set."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return rows[0], columns[0], len(rows), len(columns)


@pytest.mark.parametrize('kind', KINDS)
@given(
    height=SIDES,
    width=SIDES,
    stride=st.sampled_from([8, 14, 16, 32]),
    seed=st.integers(0, 2**32),
)
def test_any_grid_has_both_classes(kind, height, width, stride, seed):
    mask = MASKS[kind](stride=stride).draw(
        np.random.default_rng(seed), (height, width)
    )
    assert mask.shape == (height, width)
    assert mask.dtype == bool
    assert mask.flags.c_contiguous
    # By torch's nearest-exact, as the model does it.
    grid = (-(-height // stride), -(-width // stride))
    cells = torch.nn.functional.interpolate(
        torch.from_numpy(mask)[None, None].float(), grid, mode='nearest-exact'
    )
    assert 0 < cells.sum() < cells.numel()


@pytest.mark.parametrize('kind', KINDS)
def test_areas(kind):
    shares = [mask.mean() for mask in draw_many(MASKS[kind]())]
    # Rounding to pixels, or to cells of the random patches.
    slack = 0.006 if kind != 'patches' else 1 / 196
    assert min(shares) >= 0.5 - slack
    assert max(shares) <= 0.8 + slack
    assert 0.63 < np.mean(shares) < 0.67
    assert min(shares) < 0.53 < 0.77 < max(shares)


@pytest.mark.parametrize('kind', KINDS)
def test_same_seed_same_mask(kind):
    first, second = (draw_many(MASKS[kind](), 5) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert (first[0] != first[1]).any()


def test_rectangles_are_those_of_random_erasing():
    """Figures measured on 200,000 draws of the released code."""
    masks = draw_many(RectangleMask(), 3000)
    cells = []
    for mask in masks:
        y, x, height, width = bounds(mask)
        assert mask.sum() == height * width, 'one whole rectangle'
        assert 0.79 < height / width < 1.27
        cells.append(mask[8::16, 8::16].sum())
    assert np.mean([mask.mean() for mask in masks]) == pytest.approx(
        0.650, abs=0.005
    )
    assert 81 <= min(cells) <= 90
    assert 160 <= max(cells) <= 169


def test_rectangles_reach_every_border():
    tops, lefts = set(), set()
    for mask in draw_many(RectangleMask(), 400, (64, 64)):
        y, x, height, width = bounds(mask)
        tops.add(64 - y - height)
        lefts.add(x)
    assert min(tops) == 0
    assert min(lefts) == 0


def test_no_side_of_a_rectangle_is_below_a_cell():
    mask = RectangleMask(area=(0.01, 0.02), aspect=(0.1, 10.0))
    for drawn in draw_many(mask, 200):
        assert min(bounds(drawn)[2:]) >= 16


def test_polygons_are_in_one_piece_without_holes():
    from scipy import ndimage

    for mask in draw_many(PolygonMask(), 60):
        _, pieces = ndimage.label(mask)
        assert pieces == 1
        assert (ndimage.binary_fill_holes(mask) == mask).all()


def test_polygons_are_no_rectangles():
    full = 0
    for mask in draw_many(PolygonMask(), 60):
        _, _, height, width = bounds(mask)
        full += mask.sum() > 0.97 * height * width
    assert full < 10


def test_blocks_are_several():
    one = 0
    for mask in draw_many(BlocksMask(), 60):
        _, _, height, width = bounds(mask)
        one += mask.sum() == height * width
    assert one < 5


def test_patches_are_whole_cells_in_all_places():
    masks = draw_many(PatchesMask(patch=32), 200, (224, 224))
    for mask in masks:
        cells = mask.reshape(7, 32, 7, 32)
        assert (cells.all((1, 3)) == cells.any((1, 3))).all()
    share = np.mean([mask[::32, ::32] for mask in masks], 0)
    assert (np.abs(share - 0.65) < 0.15).all()


@pytest.mark.parametrize('kind', KINDS)
def test_impossible_grids_are_errors(kind):
    with pytest.raises(ValueError, match=r'no mask of 16x16 .* stride 16'):
        MASKS[kind]().draw(np.random.default_rng(0), (16, 16))


def test_impossible_areas_are_errors():
    whole = RectangleMask(area=(0.9, 1.0), aspect=(5.0, 5.0))
    with pytest.raises(ValueError, match='change area, stride'):
        whole.draw(np.random.default_rng(0), (224, 224))


@pytest.mark.parametrize(
    ('kind', 'wrong', 'message'),
    [
        ('rectangle', dict(area=(0, 0.5)), 'area must be'),
        ('rectangle', dict(area=(0.5, 1.5)), 'area .* <= 1, but'),
        ('rectangle', dict(aspect=(2, 1)), 'aspect must be'),
        ('polygon', dict(corners=(2, 5)), 'corners must be'),
        ('polygon', dict(spread=0), 'spread must lie'),
        ('blocks', dict(block_area=(0.5, 2)), 'block_area must be'),
        ('patches', dict(patch=0), 'patch must be'),
        ('patches', dict(stride=0), 'stride must be'),
    ],
)
def test_wrong_arguments(kind, wrong, message):
    with pytest.raises(ValueError, match=message):
        MASKS[kind](**wrong)


@given(st.integers(16, 60), st.integers(16, 60), st.integers(1, 16))
def test_classes_on_the_grid(height, width, stride):
    ones = np.ones((height, width), bool)
    assert not has_both_classes(ones, stride)
    assert not has_both_classes(~ones, stride)
    half = ones.copy()
    half[: height // 2] = False
    assert has_both_classes(half, stride) == (-(-height // stride) > 1)


def test_a_spot_between_centres_is_no_foreground():
    mask = np.zeros((32, 32), bool)
    mask[:8, :8] = True
    assert not has_both_classes(mask, 16)
    mask[8, 8] = True
    assert has_both_classes(mask, 16)


def test_repr():
    assert repr(RectangleMask()) == (
        'RectangleMask(area=(0.5, 0.8), stride=16, aspect=(0.8, 1.25))'
    )
