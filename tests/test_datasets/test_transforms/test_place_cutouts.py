import numpy as np
import pytest
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.registry import TRANSFORMS

from mmcp.datasets.transforms import PlaceCutouts
from mmcp.functional.cutouts import Cutout, Placement
from mmcp.structures import CroppedBitmapMasks


def block(height, width, value):
    image = np.full((height, width, 3), value, np.uint8)
    return Cutout(image, np.full((height, width), 255, np.uint8))


def results(*cutouts, **extra):
    entries = [
        dict(cutout=cutout, bbox_label=10 + row)
        for row, cutout in enumerate(cutouts)
    ]
    return dict(cutouts=entries, img_id=5, **extra)


def test_an_ordinary_sample_comes_out():
    place = PlaceCutouts(size=(30, 20), fill=9)
    before = results(block(4, 6, 50), block(4, 4, 60), block(2, 2, 70))
    out = place.apply(
        before,
        [
            Placement(25, 1, 6, 4),
            Placement(5, 2, 4, 4),
            Placement(7, 4, 4, 4),
        ],
    )
    assert set(out) == {
        'img_id', 'img', 'img_shape', 'ori_shape', 'gt_bboxes',
        'gt_bboxes_labels', 'gt_masks', 'gt_ignore_flags',
    }  # fmt: skip
    assert out['img_shape'] == out['ori_shape'] == (20, 30)
    assert isinstance(out['gt_bboxes'], HorizontalBoxes)
    assert out['gt_bboxes'].tensor.tolist() == [
        [25, 1, 30, 5],
        [5, 2, 9, 6],
        [7, 4, 11, 8],
    ]
    assert out['gt_bboxes_labels'].tolist() == [10, 11, 12]
    assert out['gt_bboxes_labels'].dtype == np.int64
    assert out['gt_ignore_flags'].tolist() == [False] * 3
    assert isinstance(out['gt_masks'], CroppedBitmapMasks)
    assert (out['gt_masks'].height, out['gt_masks'].width) == (20, 30)
    assert out['gt_masks'].areas.tolist() == [20, 12, 16]
    assert (out['img'][19] == 9).all()
    for mask, value in zip(
        out['gt_masks'].to_ndarray(), (50, 60, 70), strict=True
    ):
        assert (out['img'][mask > 0] == value).all()
    assert len(before['cutouts']) == 3


def test_hidden_objects_are_left_out():
    place = PlaceCutouts(size=16)
    spots = [Placement(4, 4, 4, 4), Placement(2, 2, 9, 9)]
    out = place.apply(results(block(4, 4, 1), block(4, 4, 2)), spots)
    assert out['gt_bboxes_labels'].tolist() == [11]
    assert out['gt_bboxes'].tensor.tolist() == [[2, 2, 11, 11]]
    nothing = place.apply(results(block(4, 4, 1)), [Placement(16, 0, 4, 4)])
    assert nothing['gt_bboxes'].tensor.shape == (0, 4)
    assert len(nothing['gt_masks']) == len(nothing['gt_bboxes_labels']) == 0


def test_objects_land_all_over_the_canvas():
    place = PlaceCutouts(size=(40, 30), scale_range=(0.1, 0.5))
    np.random.seed(0)  # noqa: NPY002
    heat = np.zeros((30, 40), int)
    for _ in range(400):
        out = place(results(block(6, 6, 200)))
        assert out['gt_masks'].areas[0] in [n * n for n in range(3, 16)]
        heat += out['gt_masks'].to_ndarray()[0]
    # Few reach a corner; every edge and all between is reached.
    assert (heat[2:-2, 2:-2] > 0).all()
    for edge in (heat[0], heat[-1], heat[:, 0], heat[:, -1]):
        assert edge.any()


def test_draws_follow_numpy_or_the_generator_of_the_sample():
    place = PlaceCutouts(size=99, overhang=0.5)
    sample = results(block(6, 6, 1), block(8, 3, 2))
    draws = []
    for seed in (3, 3, 4):
        np.random.seed(seed)  # noqa: NPY002
        draws.append(place.draw(sample))
    assert draws[0] == draws[1] != draws[2]
    own = [
        place.draw(dict(sample, sample_rng=np.random.default_rng(1)))
        for _ in range(2)
    ]
    assert own[0] == own[1]
    assert own[0][0] != own[0][1]


def test_arguments_reach_the_draw():
    place = TRANSFORMS.build(
        dict(
            type='mmcp.PlaceCutouts',
            size=(9, 7),
            scale_range=(2, 2),
            relative_to='cutout',
            overhang=0.25,
            flip_prob=1.0,
            fill=(1, 2, 3),
        )
    )
    (spot,) = place.draw(results(block(4, 2, 0)))
    assert (spot.height, spot.width, spot.flip) == (8, 4, True)
    assert repr(place) == (
        'PlaceCutouts(size=(9, 7), scale_range=(2.0, 2.0), '
        "relative_to='cutout', overhang=0.25, flip_prob=1.0, fill=(1, 2, 3))"
    )


@pytest.mark.parametrize(
    ('kwargs', 'words'),
    [
        (dict(size=0), 'size'),
        (dict(size=(4, -1)), 'size'),
        (dict(scale_range=(0, 1)), 'scale_range'),
        (dict(scale_range=(2, 1)), 'scale_range'),
        (dict(relative_to='image'), "'canvas' or 'cutout'"),
        (dict(overhang=1.0), 'overhang'),
        (dict(flip_prob=1.5), 'flip_prob'),
    ],
)
def test_wrong_arguments(kwargs, words):
    with pytest.raises(ValueError, match=words):
        PlaceCutouts(**{'size': 8, **kwargs})
