import json

import numpy as np
import pytest
from lvis_samples import corners, make_annotations, write
from pycocotools import mask as mask_api

from mmcp.evaluation.lvis_annotations import LVISAnnotations


def two_images():
    """Categories 7 and 2, in this order; the second image is empty."""
    return dict(
        categories=[
            dict(id=7, name='seven', frequency='r'),
            dict(id=2, name='two', frequency='f'),
            dict(id=5, name='five', frequency='f'),
        ],
        images=[
            dict(
                id=1,
                height=20,
                width=30,
                neg_category_ids=[5],
                not_exhaustive_category_ids=[2, 7],
            ),
            dict(
                id=2,
                height=10,
                width=10,
                neg_category_ids=[],
                not_exhaustive_category_ids=[],
            ),
        ],
        annotations=[
            annotation(id=1, category_id=2),
            annotation(id=2, category_id=7, area=0),
            annotation(id=3, category_id=2, area=9.5, ignore=1),
        ],
    )


def annotation(**values):
    return (
        dict(
            image_id=1,
            bbox=[1, 2, 3, 4],
            area=12.0,
            segmentation=[corners(1, 2, 3, 4)],
        )
        | values
    )


def test_what_is_known_of_images():
    found = LVISAnnotations(two_images())
    assert found.category_ids == [7, 2, 5]
    assert found.names == ['seven', 'two', 'five']
    assert found.frequencies == ['r', 'f', 'f']
    first, second = found.images[1], found.images[2]
    assert first.size == (20, 30)
    np.testing.assert_array_equal(first.classes, [1, 1])
    np.testing.assert_array_equal(first.boxes, [[1, 2, 3, 4]] * 2)
    np.testing.assert_array_equal(first.areas, [12, 9.5])
    np.testing.assert_array_equal(first.ignored, [False, True])
    # Category 7 has an object without area only.
    np.testing.assert_array_equal(first.known, [1, 2])
    np.testing.assert_array_equal(first.not_exhaustive, [0, 1])
    assert second.boxes.shape == (0, 4)
    assert second.ignored.dtype == bool
    assert second.masks() == []


def kinds_of_masks():
    """A mask of two rectangles: polygons, plain and compressed lengths."""
    polygons = [corners(1, 2, 3, 4), corners(10, 2, 5, 5)]
    rle = mask_api.merge(mask_api.frPyObjects(polygons, 20, 30))
    bitmap = mask_api.decode(rle).T.reshape(-1)
    changes = np.flatnonzero(np.diff(bitmap)) + 1
    lengths = np.diff([0, *changes, bitmap.size]).tolist()
    text = dict(size=[20, 30], counts=rle['counts'].decode())
    return [polygons, dict(size=[20, 30], counts=lengths), text], rle


@pytest.mark.parametrize('kind', [0, 1, 2])
def test_every_kind_of_mask(kind):
    kinds, expected = kinds_of_masks()
    data = two_images()
    data['annotations'] = [annotation(category_id=2, segmentation=kinds[kind])]
    found = LVISAnnotations(data).images[1].masks()
    decoded = mask_api.decode(found)[..., 0]
    np.testing.assert_array_equal(decoded, mask_api.decode(expected))


def test_labels_are_numbered_as_in_the_file():
    found = LVISAnnotations(two_images())
    for names, expected in (
        (['seven', 'two', 'five'], [0, 1, 2]),
        (['five', 'seven', 'two'], [0, 1, 2]),
        (['five', 'seven'], [0, 2]),
        (['a', 'b', 'c'], [0, 1, 2]),
    ):
        np.testing.assert_array_equal(found.indices_of(names), expected)
    with pytest.raises(ValueError, match="2 classes, among them 'cat'"):
        found.indices_of(['two', 'cat'])


def test_reads_files(tmp_path):
    data = make_annotations()
    path = write(tmp_path / 'truth.json', data)
    found = LVISAnnotations.from_file(path)
    assert {*found.images} == {one['id'] for one in data['images']}
    with pytest.raises(FileNotFoundError):
        LVISAnnotations.from_file(str(tmp_path / 'none.json'))


def test_files_of_test_sets_have_categories_only(tmp_path):
    data = dict(categories=[dict(id=3, name='three')], images=[dict(id=1)])
    path = write(tmp_path / 'test.json', data)
    found = LVISAnnotations.from_file(path, categories_only=True)
    assert (found.category_ids, found.images) == ([3], {})
    with pytest.raises(ValueError, match='test.json has categories without'):
        LVISAnnotations.from_file(path)


def without(part, key):
    data = two_images()
    for row in data[part]:
        del row[key]
    return data


@pytest.mark.parametrize(
    ('part', 'key'),
    [
        ('categories', 'frequency'),
        ('images', 'neg_category_ids'),
        ('images', 'not_exhaustive_category_ids'),
        ('annotations', 'area'),
    ],
)
def test_files_that_are_not_of_lvis(part, key):
    with pytest.raises(ValueError, match=f"has {part} without '{key}'"):
        LVISAnnotations(without(part, key), 'a.json')
    data = two_images()
    del data[part]
    with pytest.raises(ValueError, match=f"a.json has no '{part}'"):
        LVISAnnotations(data, 'a.json')


def test_parts_that_do_not_belong_together():
    data = two_images()
    data['annotations'].append(annotation(id=4, category_id=9))
    with pytest.raises(ValueError, match='no category 9, which image 1'):
        LVISAnnotations(data)
    data['annotations'][-1] = annotation(id=4, category_id=2, image_id=3)
    with pytest.raises(ValueError, match='objects of image 3, which is not'):
        LVISAnnotations(data)
    data = json.loads(json.dumps(two_images()))
    data['categories'][0]['frequency'] = 'x'
    with pytest.raises(ValueError, match=r"frequency \['x'\]"):
        LVISAnnotations(data)
