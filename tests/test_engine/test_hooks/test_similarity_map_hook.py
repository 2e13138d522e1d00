"""Heat maps of fixed pairs."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate
from toy_pairs import MEAN, STD, Pairs, make_runner, small_cp2, small_moco

from mmcp.datasets.sample_index import SampleIndex
from mmcp.engine.config import UsageError
from mmcp.engine.hooks import SimilarityMapHook
from mmcp.functional.contrastive import resize_mask
from mmcp.functional.similarity import foreground_similarity
from mmcp.registry import DATASETS
from mmcp.visualization import SimilarityView, draw_similarity_maps

GRAY = np.full((8, 8, 3), 128, np.uint8)


def pictures(folder):
    return {
        path.name: cv2.imread(str(path))
        for path in sorted((folder / 'vis').iterdir())
    }


def expected_picture(model, indices):
    """The same by a straight way from the data set to the picture."""
    model.eval()
    batch = default_collate([Pairs()[SampleIndex(i, i, 0)] for i in indices])
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    features, grids = {}, {}
    with torch.no_grad():
        for view in ('query', 'key'):
            images = (batch['inputs'][view] - mean) / std
            features[view] = model.extract(images, encoder=view)
            size = tuple(features[view].shape[2:])
            grids[view] = resize_mask(batch['masks'][view], size)
    drawn = []
    for view, other in (('query', 'key'), ('key', 'query')):
        cosines = foreground_similarity(
            features[view], features[other], grids[other]
        )
        drawn.append(
            [
                SimilarityView(
                    np.ascontiguousarray(
                        batch['inputs'][view][place]
                        .permute(1, 2, 0)
                        .numpy()[..., ::-1]
                    ),
                    batch['masks'][view][place].numpy(),
                    cosines[place].numpy(),
                    grids[view][place].numpy(),
                )
                for place in range(len(indices))
            ]
        )
    return draw_similarity_maps(*drawn)


def test_maps_are_those_of_the_model_at_that_time(tmp_path):
    hook = SimilarityMapHook(num_images=3)
    runner = make_runner(tmp_path, hook, epochs=2)
    runner.train()
    found = pictures(tmp_path)
    assert list(found) == [f'similarity_maps_{n:07d}.png' for n in (0, 3, 6)]
    last = expected_picture(runner.model, [0, 4, 8])
    assert np.array_equal(found['similarity_maps_0000006.png'], last)
    first, second, third = found.values()
    assert not np.array_equal(first, second)
    assert not np.array_equal(second, third)
    (copy,) = tmp_path.glob('*/vis_data/vis_image/similarity_maps_6.png')
    assert np.array_equal(cv2.imread(str(copy)), last)


def test_images_can_be_chosen(tmp_path):
    hook = SimilarityMapHook(indices=[5, 1], interval=2, by_epoch=False)
    runner = make_runner(tmp_path, hook, iterations=2)
    runner.train()
    found = pictures(tmp_path)
    assert list(found) == [f'similarity_maps_{n:07d}.png' for n in (0, 2)]
    assert np.array_equal(
        found['similarity_maps_0000002.png'],
        expected_picture(runner.model, [5, 1]),
    )


@DATASETS.register_module()
class OtherPairs(Pairs):
    """Another data set."""


@pytest.mark.parametrize('build', [OtherPairs, dict])
def test_images_can_come_from_another_data_set(tmp_path, build):
    dataset = (
        OtherPairs(3)
        if build is OtherPairs
        else dict(type='mmcp.OtherPairs', length=3)
    )
    hook = SimilarityMapHook(dataset=dataset)
    runner = make_runner(tmp_path, hook)
    runner.train()
    found = pictures(tmp_path)['similarity_maps_0000003.png']
    expected = expected_picture(runner.model, [0, 1, 2])
    assert np.array_equal(found, expected)


def test_a_resumed_run_draws_the_same_pairs(tmp_path):
    make_runner(tmp_path, SimilarityMapHook(), seed=1).train()
    before = pictures(tmp_path)
    hook = SimilarityMapHook()
    make_runner(tmp_path, hook, epochs=2, resume=True, seed=2).train()
    after = pictures(tmp_path)
    assert list(after) == [*before, 'similarity_maps_0000006.png']
    for name, picture in before.items():
        assert np.array_equal(after[name], picture)
    # The views themselves, left of the maps.
    assert np.array_equal(
        after['similarity_maps_0000006.png'][:-40, :160],
        before['similarity_maps_0000003.png'][:-40, :160],
    )


class Unseeded(Pairs):
    """Draws from the global generator, whatever the index says."""

    def __getitem__(self, index):
        return super().__getitem__(int(index))


def test_pairs_of_a_data_set_without_seeds_are_fixed_too(tmp_path):
    drawn = []
    for seed in (1, 2):
        hook = SimilarityMapHook(dataset=Unseeded())
        runner = make_runner(tmp_path / str(seed), hook, seed=seed)
        state = torch.get_rng_state()
        hook.before_train(
            SimpleNamespace(train_dataloader=runner.train_dataloader, iter=1)
        )
        assert torch.equal(torch.get_rng_state(), state)
        runner.train()
        drawn.append(pictures(tmp_path / str(seed)))
    first, second = (d['similarity_maps_0000003.png'] for d in drawn)
    assert np.array_equal(first[:-40, :160], second[:-40, :160])


def test_without_masks_the_whole_view_is_foreground(tmp_path, monkeypatch):
    hook = SimilarityMapHook(num_images=2)
    model = small_cp2(dense_weight=0)
    runner = make_runner(tmp_path, hook, model=model, masks=False)
    seen = []
    module = 'mmcp.engine.hooks.similarity_map_hook.draw_similarity_maps'
    monkeypatch.setattr(module, lambda *views: seen.append(views) or GRAY)
    runner.train()
    assert len(seen) == 2
    for views in seen[-1]:
        assert [view.mask.all() for view in views] == [True, True]
        assert [view.grid_mask.all() for view in views] == [True, True]


def test_a_model_without_maps_is_refused(tmp_path):
    runner = make_runner(
        tmp_path, SimilarityMapHook(), model=small_moco(), masks=False
    )
    with pytest.raises(UsageError, match='MoCo gives one vector per image'):
        runner.train()


def test_only_the_first_rank_draws(tmp_path, monkeypatch):
    module = 'mmcp.engine.hooks.similarity_map_hook'
    monkeypatch.setattr(f'{module}.is_main_process', lambda: False)
    make_runner(tmp_path, SimilarityMapHook()).train()
    assert not (tmp_path / 'vis').exists()


@pytest.mark.parametrize('index', [-1, 12])
def test_an_image_that_is_not_there(tmp_path, index):
    hook = SimilarityMapHook(indices=[0, index])
    runner = make_runner(tmp_path, hook)
    with pytest.raises(UsageError, match=rf'12 images.*\[{index}\]'):
        runner.train()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_images=0), 'num_images must be at least 1, got 0'),
        (dict(indices=[]), 'indices is empty'),
        (dict(interval=0), 'interval must be at least 1, got 0'),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        SimilarityMapHook(**options)
