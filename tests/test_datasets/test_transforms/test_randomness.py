import numpy as np

from mmcp.datasets.transforms.randomness import rng_of, worker_rng


def draws(rng):
    return rng.integers(1 << 40, size=4).tolist()


def test_the_samples_own_generator_is_used_as_it_is():
    rng = np.random.default_rng(0)
    assert rng_of({'sample_rng': rng}) is rng


def test_without_one_the_global_state_decides():
    found = []
    for seed in (3, 3, 4):
        np.random.seed(seed)  # noqa: NPY002
        found.append([draws(rng_of({})), draws(rng_of({'sample_rng': None}))])
    assert found[0] == found[1]
    first, second, third, fourth = *found[0], *found[2]
    assert len({*map(tuple, (first, second, third, fourth))}) == 4


def test_worker_generators_follow_each_other():
    np.random.seed(1)  # noqa: NPY002
    one, two = draws(worker_rng()), draws(worker_rng())
    np.random.seed(1)  # noqa: NPY002
    assert [draws(worker_rng()), draws(worker_rng())] == [one, two]
    assert one != two
