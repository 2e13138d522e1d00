"""Heat maps over images."""

import cv2
import numpy as np
import pytest

from mmcp.visualization import SimilarityView, draw_similarity_maps
from mmcp.visualization.similarity_maps import draw_heat

GRAY = np.full((200, 200, 3), 128, np.uint8)
MASK = np.zeros((200, 200), bool)
MASK[:100] = True
GRID_MASK = np.array([[True, True], [False, False]])


def view(cosines, grid_mask=GRID_MASK):
    return SimilarityView(GRAY, MASK, np.array(cosines, np.float32), grid_mask)


def luminance(image):
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(int)


def test_more_similar_is_brighter():
    levels = np.linspace(-1, 1, 5, dtype=np.float32)
    pictures = [draw_heat(GRAY, np.full((2, 2), v)) for v in levels]
    brightness = [luminance(picture)[0, 0] for picture in pictures]
    assert brightness == sorted(set(brightness))
    for picture in pictures:
        assert (picture == picture[0, 0]).all()


def test_the_map_is_laid_over_the_image_in_place():
    cosines = np.array([[1, 1], [-1, -1]], np.float32)
    light = luminance(draw_heat(GRAY, cosines))
    assert light[:40].min() > light[160:].max()
    cosines = np.array([[1, -1], [1, -1]], np.float32)
    light = luminance(draw_heat(GRAY, cosines))
    assert light[:, :40].min() > light[:, 160:].max()


def test_one_colour_means_one_cosine_in_all_pictures():
    low = draw_heat(GRAY, np.array([[0.2, 0.3]], np.float32))
    high = draw_heat(GRAY, np.array([[0.2, 0.9]], np.float32))
    assert np.array_equal(low[:, :40], high[:, :40])


def test_values_beyond_one_by_rounding_do_not_wrap():
    edge = draw_heat(GRAY, np.full((1, 1), 1.0, np.float32))
    beyond = draw_heat(GRAY, np.full((1, 1), 1.01, np.float32))
    assert np.array_equal(edge, beyond)


def test_a_row_holds_both_views_and_their_maps():
    one = draw_similarity_maps([view([[1, 1], [0, 0]])], [view([[0, 0]] * 2)])
    pair = [view([[0, 0]] * 2)] * 2
    two = draw_similarity_maps(pair, pair)
    assert one.dtype == np.uint8
    assert one.shape[1] == two.shape[1] == 6 + 4 * 206
    assert two.shape[0] - one.shape[0] == 206 + 18


@pytest.mark.parametrize('fill', [True, False])
def test_a_grid_of_one_kind_only_has_no_mean_of_the_other(fill):
    whole = np.full((2, 2), fill)
    pair = [view([[0.5, 0.5]] * 2, whole)]
    with np.errstate(all='raise'):
        draw_similarity_maps(pair, pair)


def test_unequal_numbers_and_no_pair_are_refused():
    pair = [view([[0, 0]] * 2)]
    with pytest.raises(ValueError, match='shorter|longer'):
        draw_similarity_maps(pair, pair * 2)
    with pytest.raises(ValueError, match='no picture'):
        draw_similarity_maps([], [])
