import pytest
from mmdet.datasets import MultiImageMixDataset
from mmengine.dataset import (
    BaseDataset,
    ClassBalancedDataset,
    ConcatDataset,
    RepeatDataset,
)
from torch.utils.data import ConcatDataset as TorchConcat
from torch.utils.data import Subset

from mmcp.datasets import CopyPasteDataset
from mmcp.datasets.image_categories import categories_of


class Labelled(BaseDataset):
    """Images whose classes are known; loading one is an error."""

    METAINFO = dict(classes=('a', 'b', 'c'))

    def __init__(self, labels):
        self.labels = labels
        super().__init__()

    def load_data_list(self):
        return [
            dict(
                instances=[dict(bbox_label=label) for label in one],
                width=8,
                height=8,
            )
            for one in self.labels
        ]

    def get_cat_ids(self, idx):
        return [x['bbox_label'] for x in self.get_data_info(idx)['instances']]

    def __getitem__(self, idx):
        raise AssertionError('an image is loaded')


LABELS = [[0, 0, 2], [], [1]]


def labelled():
    return Labelled(LABELS)


@pytest.mark.parametrize(
    ('wrap', 'indices'),
    [
        (lambda one: one, [0, 1, 2]),
        (lambda one: ConcatDataset([one, labelled()]), [0, 1, 2] * 2),
        (lambda one: TorchConcat([one, Subset(one, [1])]), [0, 1, 2, 1]),
        (lambda one: RepeatDataset(one, 2), [0, 1, 2] * 2),
        (lambda one: ClassBalancedDataset(one, 0.4), [0, 0, 1, 2, 2]),
        (lambda one: Subset(one, [2, 0]), [2, 0]),
        (lambda one: CopyPasteDataset(one), [0, 1, 2]),
        (lambda one: MultiImageMixDataset(one, []), [0, 1, 2]),
        (
            lambda one: CopyPasteDataset(RepeatDataset(one, 2), source=one),
            [0, 1, 2] * 2,
        ),
        (
            lambda one: RepeatDataset(
                dict(type='mmcp.CopyPasteDataset', dataset=one), 2
            ),
            [0, 1, 2] * 2,
        ),
    ],
)
def test_classes_through_wrappers(wrap, indices):
    dataset = wrap(labelled())
    assert len(dataset) == len(indices)
    assert categories_of(dataset) == [LABELS[index] for index in indices]


def test_a_wrapper_that_is_not_complete_yet():
    dataset = RepeatDataset(labelled(), 2, lazy_init=True)
    assert categories_of(dataset) == LABELS * 2
    dataset = ClassBalancedDataset(labelled(), 0.4, lazy_init=True)
    assert len(categories_of(dataset)) == 5


def test_a_data_set_that_does_not_tell():
    with pytest.raises(TypeError, match='range has no get_cat_ids'):
        categories_of(Subset(range(4), [1]))
