"""Pipelines whose last step is a jitter that may wait."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mmengine.dataset import (
    BaseDataset,
    ClassBalancedDataset,
    ConcatDataset,
    RepeatDataset,
)

from mmcp.datasets.transforms.scale_jitter import ScaleJitter

__all__ = ['LateJitters', 'ends_in_jitter', 'last_is_jitter', 'leaves_of']


def ends_in_jitter(dataset: Any) -> bool:
    """Whether nobody looks at an image after the jitter, within a data set.

    Args:
        dataset: A data set that is built.

    Returns:
        Whether the pipelines of all its leaves end in their only jitter.
    """
    return all(
        _gets_as(leaf, BaseDataset)
        and type(leaf).prepare_data is BaseDataset.prepare_data
        and last_is_jitter(leaf.pipeline.transforms)
        for leaf in leaves_of(dataset)
    )


def leaves_of(dataset: Any) -> list[Any]:
    """The data sets inside wrappers that only choose among their samples.

    Args:
        dataset: A data set that is built.

    Returns:
        Those inside mmengine's wrappers, or the data set itself.
    """
    if _gets_as(dataset, ConcatDataset):
        return [leaf for part in dataset.datasets for leaf in leaves_of(part)]
    if _gets_as(dataset, RepeatDataset, ClassBalancedDataset):
        return leaves_of(dataset.dataset)
    return [dataset]


def _gets_as(dataset: Any, *kinds: Any) -> bool:
    """Whether samples are got by the method of one of some classes."""
    return any(
        isinstance(dataset, kind)
        and type(dataset).__getitem__ is kind.__getitem__
        for kind in kinds
    )


def last_is_jitter(transforms: Sequence[Any]) -> bool:
    """Whether only the last of some transforms can be a jitter, and is.

    Args:
        transforms: The transforms of a pipeline.

    Returns:
        Whether it is; a transform that may hold a jitter can be one.
    """
    *others, last = [None, *transforms]
    # A class derived from it may look at the image.
    return type(last) is ScaleJitter and not _may_jitter(others)


def _may_jitter(part: Any, depth: int = 4) -> bool:
    """Whether transforms are jitters, or hold what may be one."""
    if isinstance(part, ScaleJitter) or hasattr(part, 'transforms'):
        return True
    held: Iterable[Any] = ()
    if isinstance(part, list | tuple):
        held = part
    elif isinstance(part, Mapping):
        held = part.values()
    elif callable(part):
        held = getattr(part, '__dict__', {}).values()
    return depth > 0 and any(_may_jitter(one, depth - 1) for one in held)


class LateJitters(NamedTuple):
    """Pipelines that end in a jitter, as they were found.

    Args:
        leaves: The data sets with these pipelines.
        found: The transforms of each; None if somebody looks at its images.
    """

    leaves: list[Any]
    found: list[list[Any]] | None

    @classmethod
    def of(cls, dataset: Any) -> 'LateJitters':
        """Looks at the pipelines of a data set.

        Args:
            dataset: A data set that is built.

        Returns:
            What was found.
        """
        if not ends_in_jitter(dataset):
            return cls([], None)
        leaves = leaves_of(dataset)
        return cls(leaves, [[*leaf.pipeline.transforms] for leaf in leaves])

    @property
    def unchanged(self) -> bool:
        """Whether there are such pipelines, and the same as then."""
        return [leaf.pipeline.transforms for leaf in self.leaves] == self.found
