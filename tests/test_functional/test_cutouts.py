import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcp.functional.cutouts import (
    Cutout,
    Placement,
    compose_cutouts,
    cutout_from_rgba,
    draw_placement,
)


def rgba(alpha, colours=0):
    alpha = np.array(alpha, np.uint8)
    image = np.zeros((*alpha.shape, 4), np.uint8)
    image[..., :3] = np.array(colours, np.uint8)
    image[..., 3] = alpha
    return image


def square(side=4, value=200):
    shape = side, side
    return Cutout(
        np.full((*shape, 3), value, np.uint8), np.full(shape, 255, np.uint8)
    )


def full_size(patch, size):
    mask = np.zeros(size, np.uint8)
    x0, y0, x1, y1 = patch.extent
    mask[y0:y1, x0:x1] = patch.bitmap
    return mask


def test_cropped_to_what_is_opaque():
    alpha = [[0, 127, 0, 0], [0, 128, 90, 0], [0, 0, 255, 127]]
    cutout = cutout_from_rgba(rgba(alpha))
    assert cutout.alpha.tolist() == [[128, 90], [0, 255]]
    assert cutout.corner == (1, 1)
    assert cutout.box == (1, 1, 3, 3)
    assert cutout.image.shape == (2, 2, 3)


def test_hidden_colours_become_those_of_the_nearest_object_pixel():
    image = rgba([[255, 0, 0, 0, 255], [255, 9, 0, 9, 255]])
    image[..., 0] = [[10, 99, 99, 99, 20], [30, 99, 99, 99, 40]]
    blue = cutout_from_rgba(image).image[..., 0]
    assert blue[:, [0, 1, 3, 4]].tolist() == [
        [10, 10, 20, 20],
        [30, 30, 40, 40],
    ]
    assert set(blue[:, 2]) <= {10, 20, 30, 40}


def test_an_opaque_image_is_taken_as_it_is_and_not_shared():
    image = rgba(np.full((2, 3), 255), [[[1, 2, 3]] * 3, [[4, 5, 6]] * 3])
    cutout = cutout_from_rgba(image)
    assert (cutout.image == image[..., :3]).all()
    assert not np.shares_memory(cutout.image, image)
    assert not np.shares_memory(cutout.alpha, image)


def test_nothing_opaque_is_no_cutout():
    assert cutout_from_rgba(rgba(np.full((3, 3), 127))) is None
    assert cutout_from_rgba(np.zeros((0, 0, 4), np.uint8)) is None


@pytest.mark.parametrize(
    'image',
    [
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.float32),
    ],
)
def test_other_images_are_refused(image):
    with pytest.raises(ValueError, match=r'\(H, W, 4\) of uint8'):
        cutout_from_rgba(image)


def test_drawn_sizes_and_places_cover_their_ranges_with_both_ends():
    rng = np.random.default_rng(0)
    drawn = [
        draw_placement(rng, (4, 2), (10, 12), (0.4, 0.6)) for _ in range(3000)
    ]
    # Longer side: 0.4 to 0.6 times 10.
    assert {(p.height, p.width) for p in drawn} == {
        (4, 2),
        (5, 2),
        (5, 3),
        (6, 3),
    }
    small = [p for p in drawn if p.height == 4]
    assert {p.y for p in small} == set(range(7))
    assert {p.x for p in small} == set(range(11))
    assert 0.45 < np.mean([p.flip for p in drawn]) < 0.55


def test_scale_relative_to_the_cutout():
    rng = np.random.default_rng(0)
    drawn = draw_placement(rng, (30, 7), (99, 99), (2.0, 2.0), 'cutout')
    assert (drawn.height, drawn.width) == (60, 14)


@given(
    seed=st.integers(0, 1000),
    sizes=st.lists(st.integers(1, 40), min_size=4, max_size=4),
    scale=st.floats(0.01, 4),
    overhang=st.floats(0, 0.9),
)
def test_what_lies_outside_is_at_most_the_overhang(
    seed, sizes, scale, overhang
):
    rng = np.random.default_rng(seed)
    cutout, canvas = tuple(sizes[:2]), tuple(sizes[2:])
    place = draw_placement(
        rng, cutout, canvas, (scale, scale), 'cutout', overhang, 0.0
    )
    assert not place.flip
    for begin, length, total in (
        (place.x, place.width, canvas[1]),
        (place.y, place.height, canvas[0]),
    ):
        assert length >= 1
        inside = min(begin + length, total) - max(begin, 0)
        if length <= total:
            assert inside >= length * (1 - overhang)
        else:
            # As much of the canvas as can be, but for the overhang.
            assert inside >= total - length * overhang


def test_composed_pixel_by_pixel():
    wide = Cutout(
        np.array([[[10] * 3, [20] * 3, [30] * 3]], np.uint8),
        np.array([[255, 0, 255]], np.uint8),
    )
    image, patches = compose_cutouts(
        [wide, square(1, 99)],
        [Placement(20, 2, 3, 1, flip=True), Placement(20, 2, 1, 1)],
        (5, 40),
        fill=(1, 2, 3),
    )
    # The rim of the upper one covers what is no object.
    assert image[2, 20:24, 0].tolist() == [99, 99, 10, 99]
    first, second = (full_size(patch, (5, 40)) for patch in patches)
    assert np.argwhere(first).tolist() == [[2, 22]]
    assert np.argwhere(second).tolist() == [[2, 20]]
    # Rims of eight pixels, then the colour of the empty canvas.
    assert (image[:, 29:31] == 10).all()
    assert (image[:, 12:20] == 99).all()
    assert (image[:, 31:] == (1, 2, 3)).all()
    assert (image[:, :12] == (1, 2, 3)).all()


def test_rim_hides_no_other_object():
    image, patches = compose_cutouts(
        [square(6, 50), square(6, 90)],
        [Placement(2, 2, 6, 6), Placement(8, 2, 6, 6)],
        (20, 20),
    )
    assert (image[2:8, 2:8] == 50).all()
    assert (image[2:8, 8:14] == 90).all()
    assert [patch.area for patch in patches] == [36, 36]


def test_outside_and_hidden_ones_have_no_pixel():
    _, patches = compose_cutouts(
        [square(), square(), square(), square()],
        [
            Placement(1, 1, 2, 2),
            Placement(0, 0, 5, 5),
            Placement(-40, 0, 4, 4),
            Placement(8, 8, 4, 4),
        ],
        (10, 10),
    )
    assert [patch.area for patch in patches] == [0, 25, 0, 4]
    assert [patch.bitmap.shape for patch in patches][::2] == [(0, 0)] * 2
    assert patches[3].extent == (8, 8, 10, 10)


def test_shrinking_averages_and_a_thin_object_may_vanish():
    alpha = np.zeros((8, 8), np.uint8)
    alpha[:, 0] = 255
    line = Cutout(np.full((8, 8, 3), 7, np.uint8), alpha)
    image, patches = compose_cutouts([line], [Placement(0, 0, 2, 2)], (4, 4))
    assert patches[0].area == 0
    alpha[:, 1] = 255
    image, patches = compose_cutouts([line], [Placement(0, 0, 2, 2)], (4, 4))
    assert full_size(patches[0], (4, 4)).sum(0).tolist() == [2, 0, 0, 0]
    assert (image[:2, 0] == 7).all()


@given(seed=st.integers(0, 10_000), count=st.integers(0, 5))
def test_masks_are_disjoint_tight_and_show_their_own_cutout(seed, count):
    rng = np.random.default_rng(seed)
    size = 24, 30
    cutouts = [square(int(rng.integers(1, 9)), 10 + i) for i in range(count)]
    places = [
        draw_placement(rng, c.alpha.shape, size, (0.1, 1.5), overhang=0.5)
        for c in cutouts
    ]
    image, patches = compose_cutouts(cutouts, places, size)
    masks = [full_size(patch, size) for patch in patches]
    assert image.shape == (*size, 3)
    total = np.zeros(size, int) + sum(masks)
    assert total.max() <= 1
    for i, (patch, mask) in enumerate(zip(patches, masks, strict=True)):
        assert (image[mask > 0] == 10 + i).all()
        if patch.bitmap.size:
            assert patch.bitmap.any(0)[[0, -1]].all()
            assert patch.bitmap.any(1)[[0, -1]].all()
    whole = np.zeros(size, bool)
    for place in places:
        y, x = max(place.y, 0), max(place.x, 0)
        whole[y : place.y + place.height, x : place.x + place.width] = True
    assert (total == whole).all()
