"""Peak memory above the idle level, each measured in a new process.

Linux only: reads ``/proc/self/status``.
"""

import argparse
import gc
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.dataset import pseudo_collate

from copy_paste_speed.images import Images
from copy_paste_speed.mask_head import make_inputs, make_targets
from copy_paste_speed.packets import round_trip
from copy_paste_speed.pipelines import (
    MAKERS,
    make_repeatable,
    run_on_one_core,
)
from copy_paste_speed.scenes import SceneMaker

BATCH = 4
_FOLDER = Path(__file__).resolve().parents[1]


def peak_of_worker(peer: str, images: Images, samples: int) -> float:
    """Peak memory of a process that makes and sends batches of 4.

    Args:
        peer: Key of ``MAKERS``.
        images: The images.
        samples: Samples it makes.

    Returns:
        MB above what it held once the data set was ready.
    """
    return _in_new_process('worker', peer, images, samples)


def peak_of_mask_targets(peer: str, images: Images) -> float:
    """Peak memory of the mask targets of one image.

    Args:
        peer: ``'cropped'`` or ``'bitmap'``.
        images: Where the objects come from.

    Returns:
        MB above what held the masks already.
    """
    return _in_new_process('targets', peer, images, 1)


def _in_new_process(
    task: str, peer: str, images: Images, samples: int
) -> float:
    call = json.dumps(
        dict(
            task=task,
            peer=peer,
            samples=samples,
            images=dict(vars(images), root=str(images.root)),
        )
    )
    done = subprocess.run(
        [sys.executable, '-m', 'copy_paste_speed.memory', call],
        cwd=_FOLDER,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout.splitlines()[-1])


def _run_worker(peer: str, images: Images, samples: int) -> float:
    dataset = MAKERS[peer](images)

    def work() -> None:
        for start in range(0, samples, BATCH):
            batch = []
            for number in range(start, start + BATCH):
                make_repeatable(number)
                batch.append(dataset[number % len(dataset)])
            round_trip(pseudo_collate(batch))

    return _peak(work)


def _run_targets(peer: str, images: Images) -> float:
    inputs = make_inputs(SceneMaker(images), peer == 'cropped')
    return _peak(lambda: make_targets(inputs))


def _peak(work: Callable[[], Any]) -> float:
    """MB by which the process grows while it works, at most."""
    gc.collect()
    # Sets the peak to what is held now.
    Path('/proc/self/clear_refs').write_text('5')
    idle = _status('VmRSS')
    work()
    return _status('VmHWM') - idle


def _status(field: str) -> float:
    for line in Path('/proc/self/status').read_text().splitlines():
        name, _, value = line.partition(':')
        if name == field:
            return int(value.split()[0]) / 1e3
    raise RuntimeError(f'/proc/self/status has no {field}')


def main() -> None:
    """Measures what the parent process asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('call')
    call = json.loads(parser.parse_args().call)
    images = call['images']
    images['root'] = Path(images['root'])
    run_on_one_core()
    if call['task'] == 'worker':
        peak = _run_worker(call['peer'], Images(**images), call['samples'])
    else:
        peak = _run_targets(call['peer'], Images(**images))
    print(peak)


if __name__ == '__main__':
    main()
