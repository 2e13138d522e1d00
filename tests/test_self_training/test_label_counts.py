from mmcp.self_training.label_counts import BINS, LabelCounts


def label(category, score):
    return dict(category_id=category, score=score)


def test_counts():
    counts = LabelCounts([dict(id=18, name='dog'), dict(id=3, name='car')])
    counts.add([label(18, 0.5), label(3, 1.0), label(18, 0.519)])
    counts.add([])
    counts.add([label(18, 0.0)])

    scores = [0] * BINS
    scores[0], scores[25], scores[49] = 1, 2, 1
    assert counts.objects.tolist() == [3, 1]
    assert counts.to_dict() == dict(
        images=3,
        images_without_objects=1,
        objects=4,
        objects_per_class=dict(dog=3, car=1),
        scores=scores,
    )
    assert counts.histogram[1].nonzero()[0].tolist() == [49]
