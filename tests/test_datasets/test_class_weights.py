import numpy as np
import pytest

from mmcp.datasets.class_weights import ClassWeights

CLASSES = ('cat', 'dog', 'bird')
ALL = np.arange(3)


def weights_of(*args, classes=CLASSES, **kwargs):
    weights = ClassWeights(*args, **kwargs)
    if classes:
        weights.resolve(classes)
        weights.resolve(classes)
    return weights.of(ALL).tolist()


@pytest.mark.parametrize(
    ('kwargs', 'expected'),
    [
        ({}, [1, 1, 1]),
        (dict(weights={'dog': 3, 2: 0.5}), [1, 3, 0.5]),
        (dict(weights=[2, 0, 1]), [2, 0, 1]),
        (dict(weights=np.array([2, 0, 1])), [2, 0, 1]),
        (dict(weights={np.int64(1): 4}), [1, 4, 1]),
        (dict(allow=['bird', 0]), [1, 0, 1]),
        (dict(allow=[]), [0, 0, 0]),
        (dict(allow=np.array([1])), [0, 1, 0]),
        (dict(deny=np.array([1, 2])), [1, 0, 0]),
        (dict(allow=['cat', 'dog'], deny=['cat']), [0, 1, 0]),
        (dict(weights={'cat': 5}, deny=['dog']), [5, 0, 1]),
    ],
)
def test_weights_of_classes(kwargs, expected):
    assert weights_of(**kwargs) == expected


def test_indices_need_no_class_names():
    assert weights_of({1: 4}, deny=[0], classes=None) == [0, 4, 1]


def test_what_is_not_resolved_is_named():
    weights = ClassWeights({'cat': 2, 1: 3}, allow=['dog'], deny=['bird'])
    assert weights.names == ['cat', 'dog', 'bird']
    with pytest.raises(ValueError, match=r"\['cat', 'dog', 'bird'\]"):
        weights.of(ALL)
    weights.resolve(CLASSES)
    assert weights.names == []


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(weights={3: 1}), 'class_weights gives class 3, .* 3 classes'),
        (dict(allow=[-1]), 'allow gives class -1'),
        (dict(deny=[np.int64(7)]), 'deny gives class 7'),
        (dict(weights=[1, 2]), 'class_weights has 2 weights, .* 3 classes'),
        (dict(weights=[1, 2, 3, 4]), 'class_weights has 4 weights'),
        (dict(weights={'dog': 1, 1: 2}), "class 1, 'dog', twice"),
        (dict(allow=['dog', 1]), "allow gives class 1, 'dog', twice"),
        (dict(deny=[0, 0]), "deny gives class 0, 'cat', twice"),
        (dict(deny=['brid']), "no class 'brid'; did you mean 'bird'"),
        (dict(weights={0: -1}), 'not negative'),
        (dict(weights={0: float('inf')}), 'finite'),
        (dict(weights='inverse'), "'inverse_frequency', .* is 'inverse'"),
    ],
)
def test_values_that_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        weights_of(**kwargs)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(allow=[1.0]), 'not by 1.0'),
        (dict(weights={None: 1}), 'not by None'),
        (dict(deny='dog'), r"write deny=\['dog'\]"),
    ],
)
def test_classes_of_other_types_are_refused(kwargs, message):
    with pytest.raises(TypeError, match=message):
        ClassWeights(**kwargs)


@pytest.mark.parametrize(
    ('kwargs', 'trivial'),
    [
        ({}, True),
        (dict(deny=[]), True),
        (dict(allow=[]), False),
        (dict(deny=[1]), False),
        (dict(weights={0: 1}), False),
        (dict(weights='inverse_frequency'), False),
    ],
)
def test_trivial(kwargs, trivial):
    assert ClassWeights(**kwargs).trivial is trivial


@pytest.mark.parametrize(
    ('weights', 'expected'),
    [
        ('inverse_frequency', [0.25, 1, 1]),
        ('inverse_sqrt_frequency', [0.5, 1, 1]),
        ({'dog': 3}, [1, 3, 1]),
        (None, [1, 1, 1]),
    ],
)
def test_weights_by_frequency(weights, expected):
    weights = ClassWeights(weights)
    trivial = weights.trivial
    weights.resolve(CLASSES)
    # Four cats, one bird, and no dog.
    weights.count(np.array([0, 0, 2, 0, 0]))
    assert weights.counted
    assert weights.of(ALL).tolist() == expected
    assert weights.trivial == trivial
    weights.resolve(CLASSES)
    assert weights.of(ALL).tolist() == expected


def test_frequencies_beside_a_list_of_classes():
    weights = ClassWeights('inverse_frequency', deny=['cat'])
    weights.resolve(CLASSES)
    weights.count(np.array([0, 1, 1, 1, 1]))
    assert weights.of(ALL).tolist() == [0, 0.25, 1]


def test_objects_that_nobody_has_counted():
    weights = ClassWeights('inverse_frequency')
    assert not weights.counted
    with pytest.raises(ValueError, match='put it into mmcp.CopyPasteDataset'):
        weights.of(ALL)


def test_no_objects_at_all():
    weights = ClassWeights('inverse_frequency')
    weights.count(np.zeros(0, np.int64))
    assert weights.of(np.zeros(0, np.int64)).tolist() == []
    assert not weights.trivial
