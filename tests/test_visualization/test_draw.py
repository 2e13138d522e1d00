"""Instances drawn on small images, pixel by pixel."""

import cv2
import numpy as np
import pytest

from mmcp.visualization import draw_instances
from mmcp.visualization.draw import IGNORED, PALETTE

RED = ((255, 0, 0),)  # a palette, RGB


def gray(height=6, width=8):
    return np.full((height, width, 3), 100, dtype=np.uint8)


def bgr(colour):
    return list(reversed(colour))


def test_nothing_to_draw_gives_a_copy():
    image = gray()
    drawn = draw_instances(image)
    assert (drawn == image).all()
    assert drawn is not image


def test_mask_is_outlined_and_filled_inside_only():
    mask = np.zeros((1, 6, 8), dtype=np.uint8)
    mask[0, 1:5, 2:6] = 1
    drawn = draw_instances(gray(), masks=mask, palette=RED, opacity=0.4)
    expected = gray()
    expected[1:5, 2:6] = (0, 0, 255)  # the outline
    expected[2:4, 3:5] = (60, 60, 162)  # 0.6 * gray + 0.4 * red
    assert drawn.tolist() == expected.tolist()


def test_box_is_drawn_on_its_last_pixels():
    box = np.array([[2, 1, 6, 5]])
    drawn = draw_instances(gray(), boxes=box, palette=RED)
    expected = gray()
    expected[1:5, 2:6] = (0, 0, 255)
    expected[2:4, 3:5] = 100
    assert drawn.tolist() == expected.tolist()


def test_later_instances_lie_on_top_and_labels_choose_the_colour():
    masks = np.ones((2, 3, 3), dtype=bool)
    drawn = draw_instances(
        gray(3, 3), masks=masks, labels=np.array([0, 8]), opacity=1
    )
    assert drawn[0, 0].tolist() == bgr(PALETTE[8 % len(PALETTE)])


def test_ignored_is_gray_and_nameless():
    masks = np.ones((1, 20, 40), dtype=bool)
    drawn = draw_instances(
        np.zeros((20, 40, 3), dtype=np.uint8),
        masks=masks,
        labels=np.array([-1]),
        class_names=['last'],
        opacity=1,
    )
    assert (drawn == IGNORED[0]).all()


def test_scale_enlarges_masks_and_boxes():
    image = gray()
    mask = np.zeros((1, 6, 8), dtype=bool)
    mask[0, 2:4, 2:4] = True
    box = np.array([[2, 2, 4, 4]])
    drawn = draw_instances(image, masks=mask, boxes=box, scale=3)
    assert drawn.shape == (18, 24, 3)
    changed = (drawn != 100).any(axis=2)
    expected = np.zeros((18, 24), dtype=bool)
    expected[6:12, 6:12] = True
    assert (changed == expected).all()


@pytest.mark.parametrize('corner', [(0, 0), (40, 20), (30, 0)])
def test_name_stays_inside_the_picture(corner):
    """All of it: as many pixels are written at every corner."""
    image = gray(40, 60)
    x, y = corner
    box = np.array([[x, y, x + 20, y + 20]])

    def changed(**words):
        drawn = draw_instances(image, boxes=box, palette=RED, **words)
        return (drawn != image).any(axis=2)

    tag = changed(class_names=['star'], labels=np.array([0]))
    assert tag.sum() > 300
    (width, height), below = cv2.getTextSize(
        'star', cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1
    )
    assert tag.sum() >= (width + 1) * (height + below)


def test_score_is_written_behind_the_name():
    kwargs = {
        'boxes': np.array([[0, 0, 20, 20]]),
        'labels': np.array([0]),
        'palette': RED,
    }
    image = gray(30, 120)
    plain = draw_instances(image, **kwargs)
    named = draw_instances(image, **kwargs, class_names=['box'])
    scored = draw_instances(
        image, **kwargs, class_names=['box'], scores=np.array([0.5])
    )
    widths = [
        np.flatnonzero((drawn != image).any(axis=(0, 2))).max()
        for drawn in (plain, named, scored)
    ]
    assert widths[0] < widths[1] < widths[2]


@pytest.mark.parametrize(
    ('side', 'scale', 'named'), [(19, 1, False), (20, 1, True), (10, 2, True)]
)
def test_name_is_left_out_where_it_would_hide_the_object(side, scale, named):
    masks = np.zeros((1, 40, 60), dtype=bool)
    masks[0, 10 : 10 + side, 5:8] = True
    image = gray(40, 60)
    plain, tagged = (
        draw_instances(image, masks=masks, scale=scale, class_names=names)
        for names in ((), ('star',))
    )
    assert (plain != tagged).any() == named


def test_inputs_are_not_changed():
    image, masks = gray(), np.ones((1, 6, 8), dtype=np.uint8)
    image.flags.writeable = masks.flags.writeable = False
    draw_instances(image, masks=masks, boxes=np.array([[0, 0, 3, 3]]))
    assert (image == 100).all()


@pytest.mark.parametrize(
    ('kwargs', 'words'),
    [
        ({'masks': np.ones((1, 5, 8))}, 'do not fit'),
        ({'masks': np.ones((2, 6, 8)), 'labels': np.zeros(1)}, 'differ'),
        ({'boxes': np.ones((2, 5))}, r'\(M, 4\)'),
    ],
)
def test_misfits_are_refused(kwargs, words):
    with pytest.raises(ValueError, match=words):
        draw_instances(gray(), **kwargs)


@pytest.mark.parametrize(
    'image', [np.zeros((4, 4)), np.zeros((4, 4, 3), dtype=np.float32)]
)
def test_other_images_are_refused(image):
    with pytest.raises(ValueError, match='uint8'):
        draw_instances(image)
