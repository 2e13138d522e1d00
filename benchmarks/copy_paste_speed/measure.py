"""All measurements, each a plain dict that goes to JSON."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from copy_paste_speed.albumentationsx import AlbumentationsXPaste
from copy_paste_speed.images import Images
from copy_paste_speed.loading import BATCH, WORKERS, measure_loaders
from copy_paste_speed.mask_head import (
    BOXES,
    OBJECTS,
    TARGET,
    make_inputs,
    make_targets,
)
from copy_paste_speed.memory import peak_of_mask_targets, peak_of_worker
from copy_paste_speed.packets import arrive, packed_bytes
from copy_paste_speed.pipelines import (
    CACHE_SIZE,
    CACHED,
    DECODED,
    FLOOR,
    MAKERS,
    MMDET,
    OURS,
    make_repeatable,
)
from copy_paste_speed.scenes import (
    SCENARIOS,
    MMDetPaste,
    OurPaste,
    Scenario,
    SceneMaker,
    mmdet_rasterise,
    mmdet_results,
    our_results,
)
from copy_paste_speed.timing import Peer, alternate, summary

ALBUMENTATIONSX = 'AlbumentationsX'
Result = dict[str, Any]


@dataclass(frozen=True)
class Amount:
    """How much is measured.

    Args:
        samples: Whole samples of each peer.
        scenes: Scenes of each scenario for the transform alone.
        loader: Samples of each peer and round from the loader.
        rounds: Rounds of the loader.
        targets: Repetitions of the mask targets.
        memory: Samples that a worker makes while its memory is watched.
    """

    samples: int = 100
    scenes: int = 15
    loader: int = 64
    rounds: int = 3
    targets: int = 7
    memory: int = 24


QUICK = Amount(samples=2, scenes=1, loader=4, rounds=1, targets=1, memory=4)


def measure_samples(images: Images, amount: Amount) -> Result:
    """Whole samples, from the JPEG to the packed sample and beyond.

    Args:
        images: The images.
        amount: How much to measure.

    Returns:
        For each peer ``made`` (decoded to packed), ``arrived`` (with a round
        trip through pickle and the masks' areas) and ``megabytes``.
    """
    peers = []
    for name, make in MAKERS.items():
        dataset = make(images)
        cached = name in (CACHED, DECODED)
        stages = [lambda n, data=dataset: data[n % len(data)]]
        if name != FLOOR:
            stages.append(arrive)
        peers.append(
            Peer(
                name,
                stages,
                make_repeatable,
                warm_up=CACHE_SIZE if cached else 5,
                watch=packed_bytes,
            )
        )
    times = alternate(peers, amount.samples, apart=True)
    result = {}
    for name, taken in times.items():
        sizes = np.array(taken.watched) / 1e6
        result[name] = {
            'made': summary(taken, 0),
            'arrived': summary(taken),
            'megabytes': {
                'median': float(np.median(sizes)),
                'mean': float(sizes.mean()),
                'max': float(sizes.max()),
            },
        }
    return result


def measure_transform(
    maker: SceneMaker, amount: Amount, other_python: str | None = None
) -> Result:
    """Copy-Paste alone, from polygons to pixels.

    Args:
        maker: Where the scenes come from.
        amount: How much to measure.
        other_python: A Python with AlbumentationsX. Defaults to None.

    Returns:
        For each scenario the times: of MMDetection with and without
        rasterising, of ours with rasterising what leaves.
    """
    other = AlbumentationsXPaste(other_python) if other_python else None
    result = {
        scenario.name: _measure_scenario(scenario, maker, amount, other)
        for scenario in SCENARIOS
    }
    if other is not None:
        other.close()
    return result


def _measure_scenario(
    scenario: Scenario,
    maker: SceneMaker,
    amount: Amount,
    other: AlbumentationsXPaste | None,
) -> Result:
    scenes = [maker.scene(scenario) for _ in range(amount.scenes)]
    peers = [
        Peer(
            MMDET,
            [mmdet_rasterise, MMDetPaste()],
            lambda n: mmdet_results(scenes[n % len(scenes)]),
        ),
        Peer(
            OURS, [OurPaste()], lambda n: our_results(scenes[n % len(scenes)])
        ),
    ]
    if other is not None:
        peers.append(
            Peer(
                ALBUMENTATIONSX,
                [other],
                lambda n: mmdet_rasterise(
                    mmdet_results(scenes[n % len(scenes)])
                ),
            )
        )
    times = alternate(peers, amount.scenes, apart=True)
    result = {
        MMDET: summary(times[MMDET]),
        f'{MMDET}, bitmaps given': summary(times[MMDET], 1),
        OURS: summary(times[OURS]),
    }
    if other is not None:
        name = f'{ALBUMENTATIONSX} {other.version}, bitmaps given'
        result[name] = summary(times[ALBUMENTATIONSX])
    return result


def measure_targets(
    maker: SceneMaker, images: Images, amount: Amount
) -> Result:
    """Mask targets of one image, and the memory they take.

    Args:
        maker: Where the objects come from.
        images: The same for a new process.
        amount: How much to measure.

    Returns:
        For both the times and the peak in MB; whether the targets agree.

    Raises:
        RuntimeError: If the targets differ.
    """
    state = maker.rng.bit_generator.state
    theirs = make_inputs(maker, cropped=False)
    maker.rng.bit_generator.state = state
    ours = make_inputs(maker, cropped=True)
    if not np.array_equal(make_targets(theirs), make_targets(ours)):
        raise RuntimeError('mask targets differ from those of BitmapMasks')
    inputs = {MMDET: theirs, OURS: ours}
    peers = [
        Peer(name, [make_targets], lambda _, i=value: i)
        for name, value in inputs.items()
    ]
    times = alternate(peers, amount.targets, apart=True)
    return {
        'objects': OBJECTS,
        'boxes': BOXES,
        'size': TARGET,
        MMDET: {
            **summary(times[MMDET]),
            'peak_megabytes': peak_of_mask_targets('bitmap', images),
        },
        OURS: {
            **summary(times[OURS]),
            'peak_megabytes': peak_of_mask_targets('cropped', images),
        },
    }


def measure_loading(images: Images, amount: Amount) -> Result:
    """Samples a second through worker processes.

    Args:
        images: The images.
        amount: How much to measure.

    Returns:
        For each peer samples a second on the clock.
    """
    datasets = {name: make(images) for name, make in MAKERS.items()}
    rates = measure_loaders(datasets, amount.loader, amount.rounds)
    return {'workers': WORKERS, 'batch': BATCH, **rates}


def measure_memory(images: Images, amount: Amount) -> Result:
    """Peak memory of a worker above its idle level.

    Args:
        images: The images.
        amount: How much to measure.

    Returns:
        MB for each peer.
    """
    return {
        name: peak_of_worker(name, images, amount.memory) for name in MAKERS
    }
