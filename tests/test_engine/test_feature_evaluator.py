"""Accuracy of classified features, in one process and in two."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from mmcp.engine.feature_evaluator import FeatureEvaluator, pooled_features
from mmcp.functional.knn import knn_classify

MEAN, STD = torch.zeros(3, 1, 1), torch.ones(3, 1, 1)


class Colours(Dataset):
    """Images of one primary colour each, plus noise of their own.

    Args:
        labels: The colour of each image; a negative one gives a black image,
            as a file that cannot be read does.
        names: Labels to tell instead of the true ones.
    """

    def __init__(self, labels, names=None):
        self.labels = labels
        self.names = labels if names is None else names

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        noise = torch.Generator().manual_seed(index + 100 * len(self))
        image = torch.randint(0, 40, (3, 4, 4), generator=noise).byte()
        if self.labels[index] < 0:
            return torch.zeros_like(image), -1
        image[self.labels[index]] += 200
        return image, self.names[index]


class Pixels(nn.Module):
    """A backbone that gives the image, colours moved as a buffer says."""

    def __init__(self, shift=0):
        super().__init__()
        self.register_buffer('shift', torch.tensor(shift))

    def forward(self, images):
        return (images * 0, images.roll(int(self.shift), dims=1))


def evaluator(bank, queries, **options):
    def fit(features, labels):
        return partial(
            knn_classify, bank=features, labels=labels, num_classes=3, k=2
        )

    defaults = dict(fit=fit, batch_size=4, num_workers=0)
    return FeatureEvaluator(bank, queries, **defaults | options)


BANK = Colours([0, 1, 2] * 3)


@pytest.mark.parametrize('workers', [0, 1])
def test_colours_are_told_apart(workers):
    # The last of eight is called by another name.
    queries = Colours([0, 1, 2, 0, 1, 2, 0, 1], [0, 1, 2, 0, 1, 2, 0, 2])
    found = evaluator(BANK, queries, num_workers=workers)
    assert found.accuracy(Pixels(), MEAN, STD) == 87.5


def test_unreadable_images_do_not_count():
    bank = Colours([-1, 0, 1, 2, -1, 0, 1, 2])
    queries = Colours([0, -1, 1, -1, 2], [0, 0, 1, 0, 1])
    found = evaluator(bank, queries).accuracy(Pixels(), MEAN, STD)
    assert found == pytest.approx(200 / 3)


def test_without_any_query_the_accuracy_is_not_a_number():
    found = evaluator(BANK, Colours([-1])).accuracy(Pixels(), MEAN, STD)
    assert found != found


def test_a_bank_with_fewer_images_than_neighbours_is_refused():
    bank = Colours([0, -1])
    with pytest.raises(ValueError, match='the 1 features of the bank'):
        evaluator(bank, BANK).accuracy(Pixels(), MEAN, STD)


def test_the_generator_of_the_training_is_not_touched():
    before = torch.get_rng_state()
    evaluator(BANK, BANK).accuracy(Pixels(), MEAN, STD)
    assert torch.equal(torch.get_rng_state(), before)


def test_features_are_pooled_normalised_and_of_unit_norm():
    images = torch.tensor([30, 60, 90]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    mean = torch.tensor([10.0, 20.0, 30.0]).view(3, 1, 1)
    std = torch.tensor([10.0, 10.0, 15.0]).view(3, 1, 1)
    found = pooled_features(Pixels(), images.byte(), mean, std)
    torch.testing.assert_close(found, torch.tensor([[1.0, 2.0, 2.0]]) / 3)


def test_a_class_token_beside_the_map_is_left_out():
    def backbone(images):
        return ((images, images.mean((2, 3)) * 0),)

    images = torch.full((2, 3, 2, 2), 9, dtype=torch.uint8)
    found = pooled_features(backbone, images, MEAN, STD)
    torch.testing.assert_close(found, torch.full((2, 3), 3**-0.5))


# Rank 1 would mistake every colour for another, were its buffer used.
SCRIPT = """
import json, sys
sys.path.insert(0, {folder!r})
from test_feature_evaluator import BANK, MEAN, STD, Colours, Pixels, evaluator
import torch
rank = int(sys.argv[1])
torch.distributed.init_process_group(
    'gloo', init_method='file://{store}', rank=rank, world_size=2)
backbone = Pixels(rank)
queries = Colours([0, 1, 2, 0, 1, 2, 0], [0, 1, 2, 0, 1, 2, 1])
accuracy = evaluator(BANK, queries).accuracy(backbone, MEAN, STD)
print(json.dumps([accuracy, backbone.shift.item()]))
"""


@pytest.mark.dist
def test_two_processes_share_the_work_and_the_first_ones_buffers(tmp_path):
    script = SCRIPT.format(
        folder=str(Path(__file__).parent), store=tmp_path / 'store'
    )
    processes = [
        subprocess.Popen(
            [sys.executable, '-c', script, str(rank)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, 'OMP_NUM_THREADS': '1'},
        )
        for rank in (0, 1)
    ]
    results = [
        json.loads(process.communicate(timeout=120)[0].splitlines()[-1])
        for process in processes
    ]
    accuracy = pytest.approx(600 / 7)
    assert results == [[accuracy, 0], [accuracy, 1]]
