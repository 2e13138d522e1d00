"""A picture of the first pairs that a contrastive model is trained on."""

from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook

from mmcp.engine.inference import normalization, preprocess, unwrap
from mmcp.engine.pictures import publish
from mmcp.registry import HOOKS
from mmcp.visualization.pairs import draw_pairs, to_images


@HOOKS.register_module()
class ComposedPairsHook(Hook):  # type: ignore[misc]
    """Draws the first batch of every run, as the model sees it.

    The batch goes through the model's data preprocessor, so the picture shows
    augmentation and composition wherever they are done. A line surrounds the
    foreground. The picture is `vis/composed_pairs_{iteration}.png` in the
    work directory and goes to the visualizer. The training is not changed.

    Args:
        num_pairs: At most so many pairs of the batch. Defaults to 8.

    Raises:
        ValueError: If `num_pairs` is below 1.
    """

    def __init__(self, num_pairs: int = 8) -> None:
        if num_pairs < 1:
            raise ValueError(f'num_pairs must be at least 1, got {num_pairs}')
        self.num_pairs = num_pairs
        self._drawn = False

    def before_train(self, runner: Any) -> None:
        """Prepares for the first batch."""
        self._drawn = False

    def before_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Draws the first batch, before it is trained on."""
        if not self._drawn:
            self._drawn = True
            self._draw(runner, data_batch)

    @master_only  # type: ignore[untyped-decorator]
    def _draw(self, runner: Any, data_batch: Any) -> None:
        model = unwrap(runner.model)
        seen = preprocess(model, data_batch)
        colours = normalization(model)
        images = {
            view: to_images(seen['inputs'][view][: self.num_pairs], *colours)
            for view in ('query', 'key')
        }
        masks = {
            f'{view}_masks': mask[: self.num_pairs].cpu().numpy()
            for view, mask in (seen.get('masks') or {}).items()
        }
        picture = draw_pairs(images['query'], images['key'], **masks)
        publish(runner, 'composed_pairs', picture, runner.iter)
