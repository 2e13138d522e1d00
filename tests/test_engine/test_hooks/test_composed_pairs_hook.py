"""The picture of the first pairs."""

import cv2
import numpy as np
import pytest
from toy_pairs import make_runner, small_moco

from mmcp.engine.hooks import ComposedPairsHook
from mmcp.visualization import draw_pairs


class Keep(ComposedPairsHook):
    """Keeps the batch that it was shown."""

    batch = None

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.batch = self.batch or data_batch
        super().before_train_iter(runner, batch_idx, data_batch)


def expected_picture(batch, count):
    """The pairs of a batch, drawn without going through a model."""
    images = {
        view: [
            np.ascontiguousarray(image.transpose(1, 2, 0)[..., ::-1])
            for image in pixels[:count].numpy()
        ]
        for view, pixels in batch['inputs'].items()
    }
    masks = {
        f'{view}_masks': mask[:count].numpy()
        for view, mask in batch.get('masks', {}).items()
    }
    return draw_pairs(images['query'], images['key'], **masks)


@pytest.mark.parametrize('count', [3, 8])
def test_the_first_batch_is_drawn_as_it_was_before_normalisation(
    tmp_path, count
):
    hook = Keep(num_pairs=count)
    make_runner(tmp_path, hook, epochs=2).train()
    (path,) = (tmp_path / 'vis').iterdir()
    assert path.name == 'composed_pairs_0000000.png'
    picture = cv2.imread(str(path))
    assert np.array_equal(picture, expected_picture(hook.batch, count))
    (copy,) = tmp_path.glob('*/vis_data/vis_image/composed_pairs_0.png')
    assert np.array_equal(cv2.imread(str(copy)), picture)


def test_the_picture_is_there_before_the_first_iteration(tmp_path):
    runner = make_runner(tmp_path, ComposedPairsHook())
    runner.model.loss = lambda *_: (_ for _ in ()).throw(OSError('stopped'))
    with pytest.raises(OSError, match='stopped'):
        runner.train()
    assert (tmp_path / 'vis' / 'composed_pairs_0000000.png').is_file()


def test_a_resumed_run_draws_its_own_first_batch(tmp_path):
    make_runner(tmp_path, ComposedPairsHook()).train()
    make_runner(tmp_path, ComposedPairsHook(), epochs=2, resume=True).train()
    names = sorted(path.name for path in (tmp_path / 'vis').iterdir())
    assert names == [f'composed_pairs_{n:07d}.png' for n in (0, 3)]


def test_without_masks_there_is_no_line(tmp_path):
    hook = Keep()
    make_runner(tmp_path, hook, model=small_moco(), masks=False).train()
    picture = cv2.imread(str(tmp_path / 'vis' / 'composed_pairs_0000000.png'))
    assert 'masks' not in hook.batch
    assert np.array_equal(picture, expected_picture(hook.batch, 4))


def test_bad_arguments():
    with pytest.raises(ValueError, match='at least 1, got 0'):
        ComposedPairsHook(num_pairs=0)
