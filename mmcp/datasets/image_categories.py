"""Which classes the images of a data set have, whatever is around it."""

from collections.abc import Sequence
from typing import Any

from mmengine.dataset import ClassBalancedDataset, RepeatDataset
from torch.utils.data import ConcatDataset, Subset


def categories_of(dataset: Any) -> list[Sequence[int]]:
    """Asks for the classes of every image, without loading images.

    Args:
        dataset: A data set with ``get_cat_ids(index)``, as MMDetection's, or
            a wrapper around such ones: mmengine's or torch's, or any that has
            as many samples as its ``dataset``.

    Returns:
        For each index the class indices of its objects.

    Raises:
        TypeError: If a data set has no ``get_cat_ids``.
    """
    # Wrappers of mmengine are complete after that.
    size = len(dataset)
    if isinstance(dataset, ConcatDataset):
        parts = [categories_of(part) for part in dataset.datasets]
        return [one for part in parts for one in part]
    if isinstance(dataset, RepeatDataset):
        times: int = dataset.times
        return categories_of(dataset.dataset) * times
    indices = _indices(dataset)
    if indices is not None:
        inner = categories_of(dataset.dataset)
        return [inner[index] for index in indices]
    inside = getattr(dataset, 'dataset', None)
    if inside is not None and len(inside) == size:
        return categories_of(inside)
    if not hasattr(dataset, 'get_cat_ids'):
        raise TypeError(
            f'{type(dataset).__name__} has no get_cat_ids(index), which says '
            'what classes an image has'
        )
    return [dataset.get_cat_ids(index) for index in range(size)]


def _indices(dataset: Any) -> Sequence[int] | None:
    """Places in the wrapped data set, of wrappers that choose."""
    if isinstance(dataset, Subset):
        return dataset.indices
    if isinstance(dataset, ClassBalancedDataset):
        indices: Sequence[int] = dataset.repeat_indices
        return indices
    return None
