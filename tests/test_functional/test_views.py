import dataclasses
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[2] / 'benchmarks'))

from cp2_input_speed.distributions import MEASURES, measure_views
from cp2_input_speed.reference import (
    draw_params,
    make_view,
)

from mmcp.functional.decoding import EncodedImage
from mmcp.functional.views import (
    VECTOR_FIELDS,
    ViewParams,
    ViewSettings,
    augment_view,
    crop_view,
    draw_view,
    reduction_for,
)

SIZES = st.tuples(st.integers(1, 500), st.integers(1, 500))


def draw_many(count=3000, size=(300, 400), **settings):
    rng = np.random.default_rng(0)
    settings = ViewSettings(**settings)
    return [draw_view(rng, size, settings) for _ in range(count)]


def photo(seed=0, height=240, width=300):
    """Smooth shapes, edges and a little noise."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 120, np.float32)
    for _ in range(25):
        centre = int(rng.integers(width)), int(rng.integers(height))
        colour = rng.uniform(10, 245, 3).tolist()
        cv2.circle(image, centre, int(rng.integers(5, 70)), colour, -1)
    image = cv2.GaussianBlur(image, (0, 0), 1.0)
    image += rng.normal(0, 3, image.shape)
    return image.clip(0, 255).astype(np.uint8)


@given(SIZES, st.integers(0, 2**32))
def test_boxes_lie_in_the_image(size, seed):
    params = draw_view(np.random.default_rng(seed), size, ViewSettings())
    x0, y0, x1, y1 = params.box
    assert 0 <= x0 < x1 <= size[1]
    assert 0 <= y0 < y1 <= size[0]


@given(SIZES, SIZES, st.integers(0, 2**32))
def test_all_but_the_box_is_the_same_for_all_images(one, other, seed):
    first, second = (
        draw_view(np.random.default_rng(seed), size, ViewSettings())
        for size in (one, other)
    )
    assert first.to_vector().tolist() == second.to_vector().tolist()


def test_probabilities_and_ranges():
    views = draw_many()
    jittered = [v for v in views if v.brightness != 1]
    assert len(jittered) / 3000 == pytest.approx(0.8, abs=0.03)
    for name, low, high in (
        ('brightness', 0.6, 1.4),
        ('contrast', 0.6, 1.4),
        ('saturation', 0.6, 1.4),
        ('hue', -0.1, 0.1),
    ):
        values = [getattr(v, name) for v in jittered]
        uniform = stats.uniform(low, high - low).cdf
        assert stats.kstest(values, uniform).pvalue > 1e-3, name
    assert {v.order for v in views} == set(range(24))
    assert np.mean([v.gray for v in views]) == pytest.approx(0.2, abs=0.03)
    assert np.mean([v.flip for v in views]) == pytest.approx(0.5, abs=0.03)
    sigmas = [v.sigma for v in views if v.sigma]
    assert len(sigmas) / 3000 == pytest.approx(0.5, abs=0.03)
    assert stats.kstest(sigmas, stats.uniform(0.1, 1.9).cdf).pvalue > 1e-3


def test_draws_are_independent():
    vectors = np.array([view.to_vector() for view in draw_many()])
    vectors = vectors[vectors[:, 0] != 1]
    correlation = np.corrcoef(vectors.T) - np.eye(8)
    assert np.abs(correlation).max() < 0.08


@pytest.mark.parametrize('size', [(300, 400), (500, 120), (60, 600)])
def test_boxes_are_distributed_as_torchvisions(size):
    """Against the reference's draws, in both marginals and the fallback."""
    torch.manual_seed(0)
    theirs = [draw_params(size, ViewSettings()).box for _ in range(3000)]
    ours = [view.box for view in draw_many(size=size)]
    for measure in (
        lambda x0, y0, x1, y1: (x1 - x0) * (y1 - y0),
        lambda x0, y0, x1, y1: (x1 - x0) / (y1 - y0),
        lambda x0, y0, x1, y1: x0 + x1,
        lambda x0, y0, x1, y1: y0 + y1,
    ):
        pair = [[measure(*box) for box in boxes] for boxes in (ours, theirs)]
        assert stats.ks_2samp(*pair).pvalue > 1e-3


def test_very_long_images_get_a_central_crop():
    (view,) = draw_many(1, (20, 1000), crop_scale=(1.0, 1.0))
    x0, y0, x1, y1 = view.box
    assert (y0, y1, x1 - x0) == (0, 20, 27)
    assert x0 == (1000 - 27) // 2
    (view,) = draw_many(1, (1000, 30), crop_scale=(1.0, 1.0))
    assert view.box == (0, 480, 30, 520)


def test_nothing_is_drawn_with_probability_0():
    off = dict(jitter_prob=0, gray_prob=0, blur_prob=0, flip_prob=0)
    for view in draw_many(50, **off):
        assert view == ViewParams(view.box)
        crop = photo()[:50, :50]
        assert augment_view(crop, view) is crop


def test_vector_there_and_back():
    assert VECTOR_FIELDS == (
        'brightness',
        'contrast',
        'saturation',
        'hue',
        'order',
        'gray',
        'sigma',
        'flip',
    )
    names = {field.name for field in dataclasses.fields(ViewParams)}
    assert names == {'box', *VECTOR_FIELDS}
    params = ViewParams((1, 2, 3, 4), 0.5, 1.5, 0.75, -0.25, 23, True, 2.0)
    vector = params.to_vector()
    assert vector.dtype == np.float32
    assert vector.tolist() == [0.5, 1.5, 0.75, -0.25, 23, 1, 2, 0]
    assert ViewParams.from_vector(vector, params.box) == params
    with pytest.raises(ValueError, match='shorter'):
        ViewParams.from_vector(vector[:3])


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(jitter_prob=1.1), r'jitter_prob must lie in \[0, 1\]'),
        (dict(brightness=-0.1), 'brightness must lie'),
        (dict(hue=0.6), r'hue must lie in \[0, 0.5\]'),
        (dict(crop_scale=(0.5, 1.2)), 'crop_scale .* 0 < low <= high <= 1'),
        (dict(crop_ratio=(2, 1)), 'crop_ratio must be .low, high.'),
        (dict(blur_sigma=(0, 1)), 'blur_sigma'),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        ViewSettings(**wrong)


@pytest.mark.parametrize(
    ('boxes', 'reduction'),
    [
        ([(0, 0, 224, 224)], 1),
        ([(0, 0, 447, 900)], 1),
        ([(0, 0, 448, 448)], 2),
        ([(0, 0, 448, 448), (5, 5, 400, 600)], 1),
        ([(0, 0, 900, 1700), (0, 0, 1000, 1000)], 4),
        ([(0, 0, 5000, 5000)], 8),
        ([(0, 0, 10, 10)], 1),
        ([], 1),
    ],
)
def test_reduction_keeps_the_resolution(boxes, reduction):
    views = [ViewParams(box) for box in boxes]
    assert reduction_for(views, (224, 224)) == reduction


def test_a_crop_is_the_part_and_no_more():
    image = np.zeros((100, 80, 3), np.uint8)
    image[10:60, 20:70] = (1, 2, 3)
    view = crop_view(image, ViewParams((20, 10, 70, 60)), (32, 48))
    assert view.shape == (32, 48, 3)
    assert (view == (1, 2, 3)).all()
    mask = image[..., 0] * 255
    assert (crop_view(mask, ViewParams((20, 10, 70, 60)), (9, 9)) == 255).all()


@pytest.mark.parametrize('size', [(960, 1200), (961, 1201), (955, 1195)])
@pytest.mark.parametrize('reduction', [2, 4])
def test_crops_of_reduced_jpegs_are_those_of_the_whole(size, reduction):
    image = cv2.resize(photo(), size[::-1], interpolation=cv2.INTER_LINEAR)
    content = cv2.imencode('.jpg', image, (1, 98))[1].tobytes()
    encoded = EncodedImage(content)
    params = ViewParams((size[1] - 512, size[0] - 448, size[1], size[0]))
    whole = crop_view(encoded.decode(), params, (112, 112))
    small = crop_view(
        encoded.decode(reduction), params, (112, 112), encoded.size
    )
    difference = np.abs(small.astype(int) - whole)
    # Boxes are rounded to pixels of the reduced image.
    assert difference.mean() < 1.5
    assert difference.max() < 40


@pytest.mark.parametrize('seed', range(12))
def test_views_are_those_of_pil(seed):
    image = photo(seed)
    rng = np.random.default_rng(seed)
    params = draw_view(rng, image.shape[:2], ViewSettings())
    theirs = np.asarray(make_view(Image.fromarray(image), params, 112))
    ours = augment_view(crop_view(image, params, (112, 112)), params)
    difference = ours.astype(int) - theirs
    assert np.abs(difference).mean() < 2.5
    # PIL cuts decimals off, in every step.
    assert abs(difference.mean()) < 3
    assert np.percentile(np.abs(difference), 95) < 8


def test_a_flip_comes_last_and_is_a_flip():
    crop = photo()[:40, :50]
    params = ViewParams((0, 0, 50, 40), 1.2, 0.8, 1.3, 0.05, 7, sigma=1.3)
    flipped = dataclasses.replace(params, flip=True)
    expected = augment_view(crop, params)[:, ::-1]
    assert (augment_view(crop, flipped) == expected).all()


def test_inputs_are_unchanged():
    image = photo()
    before = image.copy()
    for view in draw_many(30, image.shape[:2]):
        crop = crop_view(image, view, (64, 64))
        augment_view(image[:64, :64], view)
        augment_view(crop, view)
    assert (image == before).all()


def test_gray_views_have_no_colour():
    crop = photo()[:64, :64]
    view = augment_view(crop, ViewParams((0, 0, 1, 1), gray=True, hue=0.1))
    assert (view[..., :1] == view).all()


def _distance(first, second):
    return stats.ks_2samp(first, second, method='asymp').statistic


def test_distributions_are_those_of_the_released_pipeline():
    """Colours, contrast, blur energy and hue of many views of many images."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    settings = ViewSettings()
    images = [photo(seed) for seed in range(20)]
    theirs, ours = [], []
    for turn, image in enumerate(images * 20):
        if turn // 20 % 2:
            params = draw_params(image.shape[:2], settings)
        else:
            params = draw_view(rng, image.shape[:2], settings)
        view = make_view(Image.fromarray(image), params, 96)
        theirs.append(np.asarray(view))
        ours.append(augment_view(crop_view(image, params, (96, 96)), params))
    a, b = measure_views(theirs), measure_views(ours)
    difference = dict(zip(MEASURES, (b - a).mean(0), strict=True))
    assert abs(difference.pop('log of blur energy')) < 0.06
    # PIL cuts decimals off in every step of the colour jitter.
    assert all(abs(value) < 1.2 for value in difference.values())
    for column in range(a.shape[1]):
        assert _distance(a[:, column], b[:, column]) < 0.06
