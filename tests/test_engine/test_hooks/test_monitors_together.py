"""All that watches a pretraining, at once."""

import cv2
import numpy as np
import pytest
import torch
from toy_pairs import make_runner, small_cp2

from mmcp.visualization import read_scalars

NAMES = ('CP2Check', 'ComposedPairs', 'SimilarityMap', 'Curves', 'Collapse')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp('labelled')
    rng = np.random.default_rng(0)
    for part in ('train', 'val'):
        for name in ('a', 'b'):
            (root / part / name).mkdir(parents=True)
            for number in range(3):
                image = rng.integers(0, 256, (32, 32, 3), np.uint8)
                path = root / part / name / f'{number}.png'
                cv2.imwrite(str(path), image)
    return root


def monitors(folder):
    knn = dict(
        type='mmcp.KNNHook',
        data_root=str(folder),
        k=3,
        size=32,
        interval=1,
        num_workers=0,
    )
    return [*(dict(type=f'mmcp.{name}Hook') for name in NAMES), knn]


def trained(work_dir, *hooks, **options):
    runner = make_runner(work_dir, *hooks, epochs=2, **options)
    runner.train()
    return runner.model.state_dict(), torch.get_rng_state()


def test_watching_does_not_change_the_training(tmp_path, folder):
    """The pairs draw from the global generator, which must be left alone."""
    plain, generator = trained(tmp_path / 'plain')
    watched, after = trained(tmp_path / 'watched', *monitors(folder))
    assert watched.keys() == plain.keys()
    for name, value in plain.items():
        assert torch.equal(watched[name], value), name
    assert torch.equal(after, generator)


@pytest.mark.parametrize('augment', ['worker', 'model'])
def test_with_the_data_of_a_real_pretraining(tmp_path, folder, augment):
    dataset = dict(
        type='mmcp.CopyPastePairDataset',
        dataset=dict(type='mmcp.UnlabeledImageDataset', sources=str(folder)),
        size=32,
        backgrounds='batch',
        augment=augment,
    )
    model = small_cp2(queue_len=12)
    model['data_preprocessor'] = dict(
        type='mmcp.CP2DataPreprocessor', backgrounds='batch'
    )
    hooks = monitors(folder)
    trained(tmp_path, *hooks, model=model, dataset=dataset)
    assert len(list((tmp_path / 'vis').iterdir())) == 4


def test_everything_is_written_and_logged(tmp_path, folder):
    trained(tmp_path, *monitors(folder))
    written = {
        str(path.relative_to(tmp_path))
        for path in tmp_path.rglob('*.png')
        if 'vis_data' not in path.parts
    }
    assert written == {
        'curves.png',
        'vis/composed_pairs_0000000.png',
        *(f'vis/similarity_maps_{n:07d}.png' for n in (0, 3, 6)),
    }
    steps = [step for step, _ in read_scalars(tmp_path)['knn/top1']]
    assert steps == [0, 3, 6]
