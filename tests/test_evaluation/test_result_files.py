import json

import numpy as np
import pytest
from mmengine.fileio import load

from mmcp.evaluation.result_files import ImageDetections, write_results


def detections(image_id, count, masks=True):
    rle = dict(size=[4, 5], counts=b'abc')
    numbers = np.arange(count)
    return ImageDetections(
        image_id,
        numbers + 10,
        np.arange(4.0 * count).reshape(count, 4) + 0.1,
        numbers / 8,
        [rle] * count if masks else None,
        numbers / 4,
    )


def test_files_of_boxes_and_masks(tmp_path):
    images = [detections(3, 2), detections(4, 0), detections(9, 1)]
    prefix = str(tmp_path / 'new' / 'run')
    paths = write_results(images, prefix, ['bbox', 'segm'])
    assert [path.name for path in paths] == ['run.bbox.json', 'run.segm.json']
    boxes, masks = (load(path) for path in paths)
    assert boxes == [
        dict(
            image_id=image,
            category_id=category,
            bbox=pytest.approx(box),
            score=score,
        )
        for image, category, box, score in (
            (3, 10, [0.1, 1.1, 2.1, 3.1], 0),
            (3, 11, [4.1, 5.1, 6.1, 7.1], 0.125),
            (9, 10, [0.1, 1.1, 2.1, 3.1], 0),
        )
    ]
    rle = dict(size=[4, 5], counts='abc')
    assert masks == [
        dict(
            image_id=image,
            category_id=category,
            segmentation=rle,
            score=score,
        )
        for image, category, score in ((3, 10, 0), (3, 11, 0.25), (9, 10, 0))
    ]


def test_only_the_files_asked_for(tmp_path):
    paths = write_results(
        [detections(3, 1, masks=False)], str(tmp_path / 'run'), ['bbox']
    )
    assert [*tmp_path.iterdir()] == paths
    assert len(json.loads(paths[0].read_text())) == 1


def test_no_detections_are_an_empty_list(tmp_path):
    paths = write_results([detections(1, 0)], str(tmp_path / 'a'), ['segm'])
    assert json.loads(paths[0].read_text()) == []
