"""Pictures that hooks make during a training."""

import os
from pathlib import Path
from typing import Any

import cv2
from mmengine.dist import master_only

from mmcp.visualization.draw import Image

FOLDER = 'vis'


@master_only  # type: ignore[untyped-decorator]
def publish(runner: Any, name: str, image: Image, iteration: int) -> None:
    """Writes a picture to the work directory and gives it to the visualizer.

    The file is `vis/{name}_{iteration}.png`; a resumed run replaces those it
    makes again. Only the first rank does anything.

    Args:
        runner: The runner.
        name: What it shows, in a form that fits a file name.
        image: Shape (H, W, 3), uint8, BGR.
        iteration: Number of iterations completed.

    Raises:
        OSError: If it cannot be written.
    """
    path = Path(runner.work_dir) / FOLDER / f'{name}_{iteration:07d}.png'
    write_png(path, image)
    runner.visualizer.add_image(
        name, cv2.cvtColor(image, cv2.COLOR_BGR2RGB), iteration
    )
    runner.logger.info(f'Wrote {path}')


def write_png(path: Path, image: Image) -> None:
    """Writes a picture, all or nothing.

    Args:
        path: File to write; its folder is made when missing.
        image: Shape (H, W, 3), uint8, BGR.

    Raises:
        OSError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode('.png', image)
    draft = path.with_name(f'.{path.name}.draft')
    draft.write_bytes(encoded.tobytes())
    os.replace(draft, path)
