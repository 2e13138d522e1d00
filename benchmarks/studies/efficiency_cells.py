"""Cells of the data-efficiency study: which recipe, data, jitter and seed.

A cell is one training. Its config is a shipped recipe, with and without
Copy-Paste, in which the length, the jitter, the training images and, if
wanted, the image size are replaced. The recipe of the sample starts from
random weights, which takes more steps than a study on a CPU has; here it has
the network of the nuclei's recipe, with its ImageNet weights.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from masks_equality import shorten
from mmengine.config import Config
from training_cells import ROOT

from mmcp.datasets.data_fractions import fraction_size, nested_order

ARMS = {'baseline': False, 'copy-paste': True}
SUBSET_SEED = 0


@dataclass(frozen=True)
class Jitter:
    """How the size of training images varies.

    Args:
        ratio_range: From which to which size, relative to the output.
        val_ratio: Size of the validation images, likewise; one that the
            training has seen.
    """

    ratio_range: tuple[float, float]
    val_ratio: float


# The paper's two ranges.
JITTERS = {
    'ssj': Jitter((0.8, 1.25), 1.0),
    'lsj': Jitter((0.1, 2.0), 1.5),
}


@dataclass(frozen=True)
class Data:
    """A data set with its recipe.

    Args:
        baseline: Recipe without Copy-Paste, from the root of the repository.
        pasted: The same with it.
        train_file: Annotations of the training images, likewise.
        val_file: Annotations of the validation images, likewise.
        max_dets: Detections an image that count.
        percents: Parts of the training images that the study takes.
        size: Side of the training images as shipped, in pixels.
        steps: Training steps as shipped.
    """

    baseline: str
    pasted: str
    train_file: str
    val_file: str
    max_dets: int
    percents: tuple[int, ...]
    size: int
    steps: int


_NUCLEI = 'configs/copy_paste/mask-rcnn_mobilenetv2_fpn_in1k-pre_1xb4'
_SAMPLE = 'configs/demo/mask-rcnn_r18_fpn_1xb4-lsj'
DATA = {
    'nuclei': Data(
        baseline=f'{_NUCLEI}-300i_dsb2018-256.py',
        pasted=f'{_NUCLEI}-scp-300i_dsb2018-256.py',
        train_file='data/dsb2018_nuclei/instances_train.json',
        val_file='data/dsb2018_nuclei/instances_val.json',
        max_dets=300,
        percents=(10, 25, 100),
        size=256,
        steps=300,
    ),
    'sample': Data(
        baseline=f'{_SAMPLE}-900i_demo-256.py',
        pasted=f'{_SAMPLE}-scp-900i_demo-256.py',
        train_file='data/demo/annotations/instances_train.json',
        val_file='data/demo/annotations/instances_val.json',
        max_dets=100,
        percents=(25, 50, 100),
        size=256,
        steps=900,
    ),
}


@dataclass(frozen=True)
class Cell:
    """One training of the study.

    Args:
        data: Key of ``DATA``.
        percent: Part of its training images.
        jitter: Key of ``JITTERS``.
        arm: Key of ``ARMS``.
        seed: Seed of the weights that are not pretrained, of the order of
            the images and of the augmentation; not of the subset.
    """

    data: str
    percent: int
    jitter: str
    arm: str
    seed: int

    @property
    def name(self) -> str:
        """Name of the cell's folder."""
        return (
            f'{self.data}-{self.percent:03d}_{self.jitter}-{self.arm}'
            f'_seed{self.seed}'
        )


def choose(images: Sequence[Mapping[str, Any]], percent: int) -> list[int]:
    """Chooses a part of the images, within every larger part.

    Args:
        images: ``images`` of a COCO file.
        percent: How much of them, above 0 and up to 100.

    Returns:
        Places of those that ``tools/converters/coco_fractions.py`` takes,
        ascending.
    """
    order = nested_order([image['id'] for image in images], SUBSET_SEED)
    chosen = set(order[: fraction_size(percent, len(order))])
    return [i for i, image in enumerate(images) if image['id'] in chosen]


def count_objects(train_file: Path, percent: int) -> tuple[int, int]:
    """Counts what a part of the training images holds.

    Args:
        train_file: Annotations, COCO JSON.
        percent: As in :func:`choose`.

    Returns:
        Number of images and of objects, crowds left out.
    """
    truth = json.loads(train_file.read_text(encoding='utf-8'))
    images = truth['images']
    chosen = {images[i]['id'] for i in choose(images, percent)}
    objects = sum(
        a['image_id'] in chosen and not a.get('iscrowd', 0)
        for a in truth['annotations']
    )
    return len(chosen), objects


def build_config(
    cell: Cell, steps: int, size: int, root: Path = ROOT
) -> Config:
    """Builds the config of a cell.

    Args:
        cell: The cell.
        steps: Training steps; the schedule is kept in proportion.
        size: Side of the training images in pixels.
        root: Where ``data/`` is. Defaults to the root of the repository.

    Returns:
        The config. It differs from the shipped recipe by steps, training
        images, jitter and sizes, that of the sample by its network too.
    """
    data = DATA[cell.data]
    recipe = data.pasted if ARMS[cell.arm] else data.baseline
    config = shorten(Config.fromfile(ROOT / recipe), steps)
    if cell.data == 'sample':
        use_pretrained(config)
    train = config.train_dataloader.dataset.dataset
    truth = json.loads((root / data.train_file).read_text(encoding='utf-8'))
    train.indices = choose(truth['images'], cell.percent)
    set_jitter(config, [train.pipeline], JITTERS[cell.jitter], size)
    return config


def use_pretrained(config: Config) -> None:
    """Gives a detector the network of the nuclei's recipe.

    Args:
        config: Its config; changed. How it is trained and tested, assigners
            and samplers included, stays.
    """
    old = config.model
    config.model = Config.fromfile(ROOT / DATA['nuclei'].baseline).model
    for head in ('bbox_head', 'mask_head'):
        classes = old.roi_head[head].num_classes
        config.model.roi_head[head].num_classes = classes
    config.model.train_cfg, config.model.test_cfg = (
        old.train_cfg,
        old.test_cfg,
    )


def set_jitter(
    config: Config, pipelines: Iterable[list], jitter: Jitter, size: int
) -> None:
    """Sets the sizes of training and validation images.

    Args:
        config: Config of a detector; changed.
        pipelines: Its pipelines that jitter training images.
        jitter: How.
        size: Side of the training images in pixels.
    """
    for pipeline in pipelines:
        step = _step(pipeline, 'mmcp.ScaleJitter')
        step.update(size=size, ratio_range=jitter.ratio_range)
    side = round(size * jitter.val_ratio)
    for loader in (config.val_dataloader, config.test_dataloader):
        _step(loader.dataset.pipeline, 'Resize').scale = (side, side)


def write_config(
    cell: Cell, steps: int, size: int, folder: Path, root: Path = ROOT
) -> Path:
    """Writes the config of a cell.

    Args:
        cell: The cell.
        steps: As in :func:`build_config`.
        size: As in :func:`build_config`.
        folder: Folder to write into, made if missing.
        root: As in :func:`build_config`.

    Returns:
        Path of the config.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f'{cell.name}.py'
    build_config(cell, steps, size, root).dump(file)
    return file


def _step(pipeline: list, kind: str) -> dict:
    """The only step of a kind in a pipeline."""
    (step,) = (step for step in pipeline if step['type'] == kind)
    return step
