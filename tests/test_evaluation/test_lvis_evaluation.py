import itertools
import json

import lvis_official
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lvis_samples import make_annotations, make_detections, with_masks, write
from pycocotools import mask as mask_api

from mmcp.evaluation.lvis_annotations import LVISAnnotations
from mmcp.evaluation.lvis_evaluation import (
    AREA_RANGES,
    IOU_THRESHOLDS,
    RECALLS,
    evaluate_results,
)

RECORDED = json.loads(lvis_official.RECORDED.read_text())


def evaluated(annotations, results, metric):
    return evaluate_results(LVISAnnotations(annotations), results, metric)


@pytest.mark.parametrize('metric', ['bbox', 'segm'])
def test_equal_to_the_official_results(metric):
    case = lvis_official.synthetic_case(metric)
    found = evaluated(*case, metric).results()
    assert found == pytest.approx(RECORDED[f'synthetic {metric}'], abs=1e-9)


@pytest.mark.parametrize('metric', ['bbox', 'segm'])
def test_equal_to_the_official_results_on_real_annotations(
    shared_data, metric
):
    case = lvis_official.real_case(shared_data / 'lvis_tiny', metric)
    found = evaluated(*case, metric).results()
    assert found == pytest.approx(RECORDED[f'real {metric}'], abs=1e-9)


@pytest.mark.skipif(
    not lvis_official.installed(),
    reason='the package lvis is not installed; its recorded results are used',
)
@pytest.mark.parametrize('metric', ['bbox', 'segm'])
def test_the_recorded_results_are_those_of_the_package(tmp_path, metric):
    annotations, results = lvis_official.synthetic_case(metric)
    path = write(tmp_path / 'truth.json', annotations)
    live = lvis_official.evaluate(path, results, metric)
    assert live == pytest.approx(RECORDED[f'synthetic {metric}'], abs=1e-12)


class Plain:
    """The evaluation from its definition, one detection after another."""

    def __init__(self, data, results, metric):
        self.images = {one['id']: one for one in data['images']}
        self.objects = [a for a in data['annotations'] if a['area'] > 0]
        self.part = 'bbox' if metric == 'bbox' else 'segmentation'
        self.results = self._counting(results)

    def _counting(self, results):
        """The 300 best of an image, of categories known there."""
        chosen = []
        for key, image in self.images.items():
            rows = [r for r in results if r['image_id'] == key]
            rows = sorted(rows, key=lambda r: -r['score'])[:300]
            known = {*image['neg_category_ids']} | {
                a['category_id'] for a in self._of(key)
            }
            chosen += [
                r
                for r in rows
                if r['category_id'] in known and self._area(r) > 0
            ]
        return chosen

    def _of(self, image_id):
        return [a for a in self.objects if a['image_id'] == image_id]

    def _area(self, row):
        if self.part == 'bbox':
            return row['bbox'][2] * row['bbox'][3]
        return float(mask_api.area(row['segmentation']))

    def _shape(self, row):
        shape = row[self.part]
        if isinstance(shape, list) and self.part == 'segmentation':
            image = self.images[row['image_id']]
            return mask_api.frPyObjects(
                shape, image['height'], image['width']
            )[0]
        return shape

    def _ignored(self, a, area):
        low, high = AREA_RANGES[area]
        return bool(a.get('ignore')) or not low <= a['area'] <= high

    def outcomes(self, category, area, threshold):
        """Right, wrong or ignored by falling score; number of objects."""
        found = []
        for key in sorted(self.images):
            found += self._of_image(key, category, area, threshold)
        found.sort(key=lambda pair: -pair[0])
        positives = [
            a
            for a in self.objects
            if a['category_id'] == category and not self._ignored(a, area)
        ]
        return [outcome for _, outcome in found], len(positives)

    def _of_image(self, key, category, area, threshold):
        free = [a for a in self._of(key) if a['category_id'] == category]
        low, high = AREA_RANGES[area]
        image = self.images[key]
        for row in self.results:
            if (row['image_id'], row['category_id']) != (key, category):
                continue
            match = self._match(row, free, area, threshold)
            if match is not None:
                free.remove(match)
                right = not self._ignored(match, area)
                outcome = 'right' if right else 'ignored'
            elif (
                category in image['not_exhaustive_category_ids']
                or not low <= self._area(row) <= high
            ):
                outcome = 'ignored'
            else:
                outcome = 'wrong'
            yield row['score'], outcome

    def _match(self, row, free, area, threshold):
        for ignored in (False, True):
            best, most = None, min(threshold, 1 - 1e-10)
            for a in free:
                if self._ignored(a, area) != ignored:
                    continue
                iou = mask_api.iou([self._shape(row)], [self._shape(a)], [0])
                if iou[0, 0] >= most:
                    best, most = a, iou[0, 0]
            if best is not None:
                return best
        return None


def plain_precision(outcomes, positives):
    """Precision at every recall; -1 without objects."""
    if not positives:
        return np.full(len(RECALLS), -1.0)
    rows, tp, fp = [], 0, 0
    for outcome in outcomes:
        tp, fp = tp + (outcome == 'right'), fp + (outcome == 'wrong')
        rows.append((tp / positives, tp / max(tp + fp, 1)))
    return np.array(
        [max([p for r, p in rows if r >= at], default=0) for at in RECALLS]
    )


@pytest.mark.parametrize('metric', ['bbox', 'segm'])
@given(seed=st.integers(0, 10**6))
def test_equal_to_the_definition(metric, seed):
    data = make_annotations(3, 7, seed)
    results = make_detections(data, 25, seed + 1)
    if metric == 'segm':
        results = with_masks(data, results)
    found = evaluated(data, results, metric)
    plain = Plain(data, results, metric)
    rng = np.random.default_rng(seed)
    lanes = [*itertools.product(range(7), range(4), range(10))]
    for place, area, threshold in rng.choice(lanes, 12, replace=False):
        expected = plain_precision(
            *plain.outcomes(
                data['categories'][place]['id'],
                area,
                IOU_THRESHOLDS[threshold],
            )
        )
        np.testing.assert_allclose(
            found.precision[threshold, :, place, area], expected, rtol=1e-9
        )


def one_object(**image):
    """One image of 100 x 100 pixels with one object of category 1."""
    return dict(
        images=[
            dict(
                id=1,
                height=100,
                width=100,
                **dict(neg_category_ids=[], not_exhaustive_category_ids=[]),
            )
            | image
        ],
        categories=[
            dict(id=key, name=f'{key}', frequency=frequency)
            for key, frequency in ((1, 'r'), (2, 'c'), (3, 'f'))
        ],
        annotations=[
            dict(
                id=1,
                image_id=1,
                category_id=1,
                bbox=[10, 10, 40, 40],
                area=1600.0,
                segmentation=[[10, 10, 50, 10, 50, 50, 10, 50]],
            )
        ],
    )


def detection(score, category=1, box=(10, 10, 40, 40)):
    return dict(image_id=1, category_id=category, score=score, bbox=[*box])


ELSEWHERE = (60, 60, 40, 40)


def test_a_right_detection():
    found = evaluated(one_object(), [detection(0.5)], 'bbox').results()
    assert found == pytest.approx(
        {
            **dict(AP=1, AP50=1, AP75=1, APs=-1, APm=1, APl=-1),
            **{'APr': 1, 'APc': -1, 'APf': -1},
            **{'AR@300': 1, 'ARs@300': -1, 'ARm@300': 1, 'ARl@300': -1},
        }
    )


def test_a_better_scored_wrong_one_halves_precision():
    rows = [detection(0.9, box=ELSEWHERE), detection(0.5)]
    found = evaluated(one_object(), rows, 'bbox').results()
    assert found['AP'] == pytest.approx(0.5)


def test_it_does_no_harm_where_objects_may_lack():
    rows = [detection(0.9, box=ELSEWHERE), detection(0.5)]
    data = one_object(not_exhaustive_category_ids=[1])
    found = evaluated(data, rows, 'bbox').results()
    assert found['AP'] == pytest.approx(1)


def two_objects_of_category_2():
    """As :func:`one_object`, and a second image with category 2."""
    data = one_object()
    data['images'].append(data['images'][0] | dict(id=2))
    data['annotations'].append(
        data['annotations'][0] | dict(id=2, image_id=2, category_id=2)
    )
    return data


@pytest.mark.parametrize(('absent', 'expected'), [([], 1.0), ([2], 0.5)])
def test_only_categories_known_to_be_absent_do_harm(absent, expected):
    data = two_objects_of_category_2()
    data['images'][0]['neg_category_ids'] = absent
    rows = [
        detection(0.9, category=2),
        detection(0.5, category=2) | dict(image_id=2),
    ]
    found = evaluated(data, rows, 'bbox').results()
    assert found['APc'] == pytest.approx(expected)


def test_300_detections_of_all_categories_count():
    rows = [detection(0.9, category=3) for _ in range(300)]
    right = detection(0.5)
    found = evaluated(one_object(), [*rows, right], 'bbox').results()
    assert found['AP'] == 0
    found = evaluated(one_object(), [*rows[1:], right], 'bbox').results()
    assert found['AP'] == pytest.approx(1)


def test_no_detections_at_all():
    found = evaluated(one_object(), [], 'segm').results()
    assert found['AP'] == found['AR@300'] == 0
    assert found['APc'] == -1


def test_masks_are_sorted_into_ranges_by_their_own_area():
    """A box of 40 x 40 is medium, half of it is small."""
    data = one_object()
    thin = [[10, 10, 50, 10, 50, 30, 10, 30]]
    data['annotations'][0].update(segmentation=thin, area=800.0)
    box = detection(0.9, box=ELSEWHERE)
    (rle,) = mask_api.frPyObjects(
        [[60, 60, 100, 60, 100, 80, 60, 80]], 100, 100
    )
    wrong = dict(image_id=1, category_id=1, score=0.9, segmentation=rle)
    (rle,) = mask_api.frPyObjects(thin, 100, 100)
    right = dict(image_id=1, category_id=1, score=0.5, segmentation=rle)
    found = evaluated(data, [wrong, right], 'segm').results()
    assert found['APs'] == pytest.approx(0.5)
    # The box, being medium, does no harm among small ones.
    found = evaluated(data, [box, detection(0.5)], 'bbox').results()
    assert found['APs'] == pytest.approx(1)


def test_category_results_leave_out_those_without_objects():
    found = evaluated(one_object(), [detection(0.5)], 'bbox')
    assert found.by_category() == {'1': pytest.approx(1)}


def test_the_order_of_images_changes_nothing():
    data = make_annotations(8, seed=3)
    results = make_detections(data, 60)
    backwards = sorted(results, key=lambda one: -one['image_id'])
    first = evaluated(data, results, 'bbox')
    second = evaluated(data, backwards, 'bbox')
    np.testing.assert_array_equal(first.precision, second.precision)


def test_wrong_results():
    with pytest.raises(ValueError, match="'bbox' or 'segm', is 'proposal'"):
        evaluated(one_object(), [], 'proposal')
    with pytest.raises(ValueError, match='in image 9, which the annotations'):
        evaluated(one_object(), [detection(1) | dict(image_id=9)], 'bbox')
    (rle,) = mask_api.frPyObjects([[0, 0, 9, 0, 9, 9]], 50, 100)
    row = dict(image_id=1, category_id=1, score=1, segmentation=rle)
    with pytest.raises(ValueError, match=r'a mask of it is \(50, 100\)'):
        evaluated(one_object(), [row], 'segm')
