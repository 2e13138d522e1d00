"""Heat maps of fixed images that show what a CP2 model tells apart."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import is_main_process
from torch import Tensor

from mmcp.engine.config import UsageError
from mmcp.engine.hooks.periodic_hook import PeriodicHook
from mmcp.engine.inference import (
    evaluating,
    normalization,
    preprocess,
    unwrap,
)
from mmcp.engine.pictures import publish
from mmcp.functional.contrastive import resize_mask
from mmcp.functional.similarity import foreground_similarity
from mmcp.registry import DATASETS, HOOKS
from mmcp.visualization.draw import Image
from mmcp.visualization.pairs import to_images
from mmcp.visualization.similarity_maps import (
    SimilarityView,
    draw_similarity_maps,
)

_VIEWS = ('query', 'key')
_SEED = 0


@HOOKS.register_module()
class SimilarityMapHook(PeriodicHook):
    """Draws how similar the places of two views are to the foreground.

    A map shows the cosine of every position of one view, seen by its own
    encoder, with the pooled foreground (Eq. 4 of CP2) of the other view: what
    both losses compare. With time the foreground should turn bright and the
    background dark. Colours go from -1 to 1 in all pictures, so that they can
    be compared; means of both parts are written below.

    The same pairs are drawn each time, in resumed runs and with any seed
    too, if the data set draws from :class:`SampleIndex`. The pictures are
    `vis/similarity_maps_{iteration}.png` in the work directory and go to the
    visualizer; iteration 0 is the model before its training. Only the first
    rank does anything, and the training is not changed. Without masks (no
    copy-paste) the whole of a view counts as foreground.

    Args:
        num_images: Number of images, evenly spread over the data set.
            Defaults to 6.
        indices: Places of the images in the data set instead. Defaults to
            None.
        dataset: A data set of pairs to take the images from, or its config.
            Defaults to None, that of the training.
        interval: Epochs (or iterations) between two pictures. Defaults to 1.
        by_epoch: Whether `interval` counts epochs. Defaults to True.

    Raises:
        ValueError: If `num_images` or `interval` is below 1, or `indices`
            is empty.
    """

    def __init__(
        self,
        num_images: int = 6,
        indices: Sequence[int] | None = None,
        dataset: Any = None,
        interval: int = 1,
        by_epoch: bool = True,
    ) -> None:
        super().__init__(interval, by_epoch)
        if num_images < 1:
            raise ValueError(
                f'num_images must be at least 1, got {num_images}'
            )
        if indices is not None and not len(indices):
            raise ValueError('indices is empty; leave it out or name images')
        self.num_images = num_images
        self.indices = indices
        self.dataset = dataset
        self._batch: Any = None

    def before_train(self, runner: Any) -> None:
        """Makes the pairs, and draws them if the training begins.

        Args:
            runner: The runner.

        Raises:
            UsageError: If the data set has no image at one of the indices.
        """
        super().before_train(runner)
        if not is_main_process():
            return
        loader = runner.train_dataloader
        self._batch = loader.collate_fn(self._samples(loader.dataset))
        if runner.iter == 0:
            self._act_once(runner, 0)

    def act(self, runner: Any, iteration: int) -> None:
        """Draws the maps.

        Args:
            runner: The runner.
            iteration: Number of iterations completed.

        Raises:
            UsageError: If the model gives no feature maps.
        """
        if is_main_process():
            picture = self._draw(unwrap(runner.model))
            publish(runner, 'similarity_maps', picture, iteration)

    def _draw(self, model: Any) -> Image:
        """Draws the maps of a model."""
        seen = preprocess(model, self._batch)
        inputs = seen['inputs']
        masks = seen.get('masks') or {
            view: torch.ones_like(inputs[view][:, 0], dtype=torch.bool)
            for view in _VIEWS
        }
        with evaluating(model):
            features = {
                view: model.extract(inputs[view], encoder=view)
                for view in _VIEWS
            }
        if features['query'].shape[-2:] == (1, 1):
            raise UsageError(
                'SimilarityMapHook has nothing to draw: '
                f'{type(model).__name__} gives one vector per image, not a '
                'map as mmcp.CP2 does. Remove it from custom_hooks.'
            )
        colours = normalization(model)
        images = {view: to_images(inputs[view], *colours) for view in _VIEWS}
        views = _views(images, masks, features)
        return draw_similarity_maps(views['query'], views['key'])

    def _samples(self, dataset: Any) -> list[Any]:
        """Makes the pairs from generators of their own."""
        # With it comes MMDetection, too slow for whoever imports the hooks.
        from mmcp.datasets.sample_index import SampleIndex, seeded

        if isinstance(self.dataset, dict):
            self.dataset = DATASETS.build(self.dataset)
        dataset = dataset if self.dataset is None else self.dataset
        length = len(dataset)
        count = min(self.num_images, length)
        indices = self.indices or [length * i // count for i in range(count)]
        wrong = [index for index in indices if not 0 <= index < length]
        if wrong:
            raise UsageError(
                f'SimilarityMapHook: the data set has {length} images, so '
                f'there are none at {wrong}'
            )
        samples = []
        for index in indices:
            place = SampleIndex(index, index, _SEED)
            with seeded(place):
                samples.append(dataset[place])
        return samples


def _views(
    images: dict[str, list[Any]],
    masks: dict[str, Tensor],
    features: dict[str, Tensor],
) -> dict[str, list[SimilarityView]]:
    """Puts together what is drawn of the query and the key views."""
    height, width = features['query'].shape[-2:]
    grid_masks = {
        view: resize_mask(masks[view], (height, width)) for view in _VIEWS
    }
    drawn = {}
    for view, other in zip(_VIEWS, reversed(_VIEWS), strict=True):
        cosines = foreground_similarity(
            features[view], features[other], grid_masks[other]
        )
        drawn[view] = [
            SimilarityView(image, *parts)
            for image, *parts in zip(
                images[view],
                masks[view].cpu().numpy(),
                cosines.cpu().numpy(),
                grid_masks[view].cpu().numpy(),
                strict=True,
            )
        ]
    return drawn
