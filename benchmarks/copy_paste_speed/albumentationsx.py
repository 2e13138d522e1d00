"""AlbumentationsX' CopyAndPaste, in a Python of its own.

AlbumentationsX is under the AGPL, so it is never a dependency and never in
one process with this package: :class:`AlbumentationsXPaste` talks through
pipes to a Python that has it, which runs this file as a script, without
anything of this project.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np


class AlbumentationsXPaste:
    """A stage that another Python runs and times.

    The other side gets full-size bitmaps of both images and one donor an
    object; rasterising is not part of the transform.

    Args:
        python: A Python interpreter with ``torch`` and
            ``albumentationsx[headless]``.
    """

    def __init__(self, python: str) -> None:
        self.server = subprocess.Popen(
            [python, str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version = str(self._read()['version'])

    def _read(self) -> dict[str, Any]:
        assert self.server.stdout is not None
        line = self.server.stdout.readline()
        if not line:
            raise RuntimeError(
                'the Python given for AlbumentationsX ended; install '
                'torch and albumentationsx[headless] into it'
            )
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __call__(self, both: tuple[dict[str, Any], dict[str, Any]]) -> Any:
        """Pastes the second image's objects onto the first.

        Args:
            both: MMDetection's results of both images, with bitmaps.

        Returns:
            The time that it took there.
        """
        from copy_paste_speed.timing import Elsewhere

        arrays = {}
        for side, results in zip(('to', 'from'), both, strict=True):
            arrays[f'{side}_image'] = results['img']
            arrays[f'{side}_boxes'] = results['gt_bboxes'].numpy()
            arrays[f'{side}_masks'] = results['gt_masks'].masks
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / 'scene.npz'
            np.savez(path, **arrays)
            assert self.server.stdin is not None
            self.server.stdin.write(f'{path}\n')
            self.server.stdin.flush()
            return Elsewhere(**self._read())

    def close(self) -> None:
        """Ends the other Python."""
        self.server.communicate()


def _serve() -> None:
    """Answers each scene with the time of its transform."""
    import albumentations
    import cv2

    cv2.setNumThreads(0)
    paste = albumentations.Compose(
        [albumentations.CopyAndPaste(p=1.0)],
        bbox_params=albumentations.BboxParams(
            coord_format='pascal_voc', label_fields=['labels']
        ),
    )
    print(json.dumps({'version': albumentations.__version__}), flush=True)
    for line in sys.stdin:
        arguments = _arguments(np.load(line.strip()))
        cpu, wall = time.process_time(), time.perf_counter()
        paste(**arguments)
        taken = {
            'cpu': (time.process_time() - cpu) * 1e3,
            'wall': (time.perf_counter() - wall) * 1e3,
        }
        print(json.dumps(taken), flush=True)


def _arguments(scene: Any) -> dict[str, Any]:
    height, width = scene['to_image'].shape[:2]
    boxes = scene['to_boxes'].clip(0, [width, height, width, height])
    source, masks = scene['from_image'], scene['from_masks']
    donors = [
        {'image': source, 'mask': mask, 'bbox_labels': {'labels': 0}}
        for mask in masks
    ]
    return {
        'image': scene['to_image'],
        'masks': scene['to_masks'],
        'bboxes': boxes,
        'labels': [0] * len(boxes),
        'copy_paste_metadata': donors,
    }


if __name__ == '__main__':
    _serve()
