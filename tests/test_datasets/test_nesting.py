from types import SimpleNamespace

from torch.utils.data import ConcatDataset, Subset

from mmcp.datasets.nesting import datasets_inside


class Wanted:
    """The kind that is looked for."""


def test_wrappers_are_looked_into_and_each_is_found_once():
    first, second = Wanted(), Wanted()
    inner = SimpleNamespace(dataset=second, other=Wanted(), dataset_size=4)
    whole = ConcatDataset([Subset(first, [0]), Subset(first, [0])])
    found = list(
        datasets_inside(SimpleNamespace(dataset=whole, part=inner), Wanted)
    )
    assert [id(part) for part in found] == [
        id(part) for part in (second, inner.other, first)
    ]


def test_the_data_set_itself_and_nothing_inside_of_it():
    outer = Wanted()
    outer.dataset = Wanted()
    assert list(datasets_inside(outer, Wanted)) == [outer]


def test_circles_end():
    one = SimpleNamespace()
    one.dataset = SimpleNamespace(dataset=one)
    assert list(datasets_inside(one, Wanted)) == []
