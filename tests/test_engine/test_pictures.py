"""Pictures of a training and where they go."""

import logging
from types import SimpleNamespace

import cv2
import numpy as np
from mmengine.visualization import Visualizer

from mmcp.engine.pictures import publish, write_png

IMAGE = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


def runner_in(folder):
    visualizer = Visualizer(
        vis_backends=[dict(type='LocalVisBackend')],
        save_dir=str(folder / 'run'),
    )
    return SimpleNamespace(
        work_dir=str(folder),
        visualizer=visualizer,
        logger=logging.getLogger('test'),
    )


def test_a_picture_goes_to_the_folder_and_to_the_visualizer(tmp_path):
    publish(runner_in(tmp_path), 'pairs', IMAGE, 12)
    path = tmp_path / 'vis' / 'pairs_0000012.png'
    assert np.array_equal(cv2.imread(str(path)), IMAGE)
    (copy,) = (tmp_path / 'run').rglob('pairs_12.png')
    assert np.array_equal(cv2.imread(str(copy)), IMAGE)


def test_a_resumed_run_replaces_a_picture_and_leaves_no_draft(tmp_path):
    path = tmp_path / 'a' / 'b.png'
    write_png(path, IMAGE[::-1].copy())
    write_png(path, IMAGE)
    assert np.array_equal(cv2.imread(str(path)), IMAGE)
    assert list(path.parent.iterdir()) == [path]
