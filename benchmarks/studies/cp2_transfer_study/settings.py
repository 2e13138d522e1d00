"""What is compared, on which data, and how large it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Config = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """A start of the fine-tuning.

    Attributes:
        title: What tables call it.
        source: ``'imagenet'``, the name of a pretraining (``'moco'`` or
            ``'cp2'``), or None for random weights.
        part: What is loaded of it, as ``mmcp.Pretrained`` has it.
    """

    title: str
    source: str | None
    part: str = 'backbone'


ARMS = {
    'random': Arm('random weights', None),
    'imagenet': Arm('ImageNet, supervised', 'imagenet'),
    'moco': Arm('MoCo v2', 'moco'),
    'cp2': Arm('CP2', 'cp2', 'backbone+head'),
    'cp2-backbone': Arm('CP2, backbone only', 'cp2'),
}
PRETRAININGS = ('cp2', 'moco')


@dataclass(frozen=True)
class Target:
    """A data set to fine-tune on.

    Attributes:
        title: What tables call it.
        classes: How many there are.
        ignore_index: Label of pixels that do not count.
        train: Config of the training images, without pipeline; paths start
            from the folder of all data.
        val: That of the validation images.
    """

    title: str
    classes: int
    ignore_index: int
    train: Config
    val: Config


def _camvid(split: str) -> Config:
    names = 'sky building pole road pavement tree sign fence car pedestrian'
    return dict(
        type='BaseSegDataset',
        data_root='camvid',
        data_prefix=dict(
            img_path=f'images/{split}', seg_map_path=f'annotations/{split}'
        ),
        metainfo=dict(classes=(*names.split(), 'bicyclist')),
        ignore_index=11,
    )


def _coco(split: str) -> Config:
    return dict(
        type='PascalVOCDataset',
        data_root='coco_small',
        ann_file=f'voc21_semseg/{split}.txt',
        data_prefix=dict(img_path=split, seg_map_path=f'voc21_semseg/{split}'),
    )


TARGETS = {
    'camvid': Target('CamVid', 11, 11, _camvid('train'), _camvid('val')),
    'coco': Target(
        'coco_small', 21, 255, _coco('train2017'), _coco('val2017')
    ),
}

# Below the folder of all data. The images that the fine-tuning is evaluated
# on, and those that the nearest neighbours are asked for, are not in it.
UNLABELLED = ('caltech101_sub/train', 'coco_small/train2017')
LABELLED = 'caltech101_sub'
IMAGENET = 'weights/mobilenet_v2_in1k_mmseg.pth'


@dataclass(frozen=True)
class Settings:
    """How large everything is; the defaults are those for a GPU.

    Attributes:
        view: Height and width of the views of the pretraining, in pixels.
        pretrain_batch: Images in a batch of the pretraining.
        bn_splits: Parts of it that are normalised apart.
        epochs: Passes through the unlabelled images.
        queue_len: Keys in the queue.
        momentum: m of the key encoder.
        pretrain_optimizer: Config of the pretraining's optimizer.
        views: What is changed in MoCo v2's augmentation.
        head_channels: Channels of the FCN head, which has one convolution
            of ``head_dilation``.
        head_dilation: Its dilation.
        scale: Long and short side that images of the fine-tuning are scaled
            to fit, before random scaling by 0.5 to 2.
        crop: Height and width of the fine-tuning's crops.
        batch: Crops in a batch.
        steps: Steps of the fine-tuning.
        optimizer: Config of the fine-tuning's optimizer.
        workers: Processes that load images.
    """

    view: int = 224
    pretrain_batch: int = 256
    bn_splits: int = 8
    epochs: int = 400
    queue_len: int = 1024
    momentum: float = 0.99
    pretrain_optimizer: Mapping[str, Any] = field(
        default_factory=lambda: dict(
            type='SGD', lr=0.06, momentum=0.9, weight_decay=1e-4
        )
    )
    views: Mapping[str, Any] = field(default_factory=dict)
    head_channels: int = 256
    head_dilation: int = 6
    scale: tuple[int, int] = (480, 360)
    crop: int = 360
    batch: int = 8
    steps: int = 2000
    optimizer: Mapping[str, Any] = field(
        default_factory=lambda: dict(
            type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4
        )
    )
    workers: int = 8


# Milder views: nothing else is learnt in some hundred steps.
SMALL = Settings(
    view=80,
    pretrain_batch=32,
    bn_splits=2,
    epochs=5,
    queue_len=64,
    pretrain_optimizer=dict(
        type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-4
    ),
    views=dict(
        crop_scale=(0.4, 1.0),
        brightness=0.2,
        contrast=0.2,
        saturation=0.2,
        hue=0.05,
        gray_prob=0.1,
        blur_prob=0.2,
    ),
    head_channels=128,
    head_dilation=2,
    scale=(240, 180),
    crop=128,
    steps=100,
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.01),
    workers=0,
)


def check_data(data: Path) -> None:
    """Looks for all folders and files that the study reads.

    Args:
        data: Folder of all data.

    Raises:
        FileNotFoundError: If some are missing; it names them.
    """
    needed = [*UNLABELLED, f'{LABELLED}/val', IMAGENET]
    for target in TARGETS.values():
        for part in (target.train, target.val):
            folders = [*part['data_prefix'].values()]
            names = folders + (
                [part['ann_file']] if 'ann_file' in part else []
            )
            needed += [f'{part["data_root"]}/{name}' for name in names]
    missing = [name for name in needed if not (data / name).exists()]
    if missing:
        raise FileNotFoundError(
            f"--data '{data}' lacks {', '.join(missing)}; "
            'docs/results/cp2_transfer.md says what they are'
        )
