"""Pictures: determinism, visibility, what the owners say."""

import numpy as np
import pytest

from mmcp.demo import CLASSES
from mmcp.demo.scene import CROWD, MIN_AREA, NOBODY, draw_scene


def scene(seed, names=CLASSES, shape=(200, 216), crowd=None):
    return draw_scene(shape, names, np.random.default_rng(seed), crowd)


def test_same_seed_same_pixels():
    first, again, other = scene(3), scene(3), scene(4)
    assert first.image.tobytes() == again.image.tobytes()
    assert first.owners.tobytes() == again.owners.tobytes()
    assert (first.image != other.image).any()


@pytest.mark.parametrize('seed', range(8))
def test_every_object_stays_visible(seed):
    drawn = scene(seed)
    assert drawn.image.shape == (200, 216, 3)
    assert drawn.image.dtype == np.uint8
    owners, areas = np.unique(drawn.owners, return_counts=True)
    assert owners.tolist() == [NOBODY, *range(len(CLASSES))]
    assert areas[1:].min() >= MIN_AREA


def test_no_names_give_background_only():
    drawn = scene(0, names=())
    assert (drawn.owners == NOBODY).all()
    assert drawn.image.std() > 1


def test_swarm_is_one_crowd_that_objects_leave_alone():
    alone = scene(5, names=(), crowd='star')
    among = scene(5, crowd='star')
    assert (alone.owners == CROWD).sum() > 800
    assert ((alone.owners == CROWD) == (among.owners == CROWD)).all()


def test_objects_stand_out_from_the_background():
    empty, filled = scene(6, names=()), scene(6)
    inside = filled.owners >= 0
    gap = np.abs(filled.image.astype(int) - empty.image).sum(axis=2)
    # The noise differs everywhere, by at most 6 a channel.
    assert gap[inside].mean() > 100
    assert np.median(gap[~inside]) < 18
