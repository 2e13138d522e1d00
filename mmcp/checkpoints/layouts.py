"""Where checkpoints of known projects keep their weights.

Each layout says under which names a file holds its backbone, neck, decode
head and projector. Names are compared after ``module.``
(DistributedDataParallel) and ``_orig_mod.`` (torch.compile) are taken out.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mmcp.checkpoints.reader import CheckpointError

WRAPPERS = ('module', '_orig_mod')
# First parts of the names in MMSegmentation's FCN and ASPP heads, and the
# released CP2's projector.
HEAD_ROOTS = (
    'image_pool',
    'aspp_modules',
    'bottleneck',
    'convs',
    'conv_cat',
    'conv_seg',
    'contrast_conv',
)
_STARTS = (
    'conv1.',
    'stem.',
    'patch_embed.',
    'conv_stem.',
    '_conv_stem.',
    'layers.0.conv.',
)
_SHOWN = 8


class LayoutError(CheckpointError):
    """No known layout describes a checkpoint."""


@dataclass(frozen=True)
class Layout:
    """Where a file keeps the parts of a model.

    Attributes:
        name: A short name.
        title: What people call it, with the project that writes it.
        marks: What names begin with; all of these must occur.
        backbone: What the backbone's names begin with.
        neck: The same for the neck; None if there is none.
        head: The same for the decode head. ``''``: without a prefix, told
            from the backbone by ``HEAD_ROOTS``.
        projector: From the beginnings of the projector's names to ours.
        further: From other beginnings of the backbone's names to its own.
        pretraining: Whether it is written by a pretraining: a classifier in
            it is untrained, and the second encoder and the queue are of no
            use any more.
        plain: Whether the backbone must start as torchvision's or timm's do;
            its prefix alone says too little.
        style: What OpenMMLab calls the style of all its ResNets: 'pytorch' if
            the 3x3 convolution of a bottleneck has the stride. None where
            files differ.
    """

    name: str
    title: str
    marks: tuple[str, ...]
    backbone: str
    neck: str | None = None
    head: str | None = None
    projector: Mapping[str, str] = field(default_factory=dict)
    further: Mapping[str, str] = field(default_factory=dict)
    pretraining: bool = True
    plain: bool = False
    style: str | None = None

    def describes(self, names: Collection[str]) -> bool:
        """Whether names are those of a file in this layout.

        Args:
            names: Names without wrappers.

        Returns:
            True if all marks occur, and a plain backbone where one must be.
        """
        if not all(_has(names, mark) for mark in self.marks):
            return False
        if not self.plain:
            return True
        return any(_has(names, self.backbone + start) for start in _STARTS)


def _mlp(first: str, second: str) -> Mapping[str, str]:
    return MappingProxyType({first: 'hidden.', second: 'output.'})


# The first that describes a file is taken.
LAYOUTS = (
    Layout(
        'cp2-official',
        'training checkpoint of the released CP2 (wangf3014/CP2)',
        ('encoder_q.backbone.', 'encoder_q.decode_head.contrast_conv.'),
        backbone='encoder_q.backbone.',
        head='encoder_q.decode_head.',
        style='pytorch',
        projector=_mlp(
            'encoder_q.decode_head.contrast_conv.0.',
            'encoder_q.decode_head.contrast_conv.2.',
        ),
    ),
    Layout(
        'mmcp-cp2',
        'training checkpoint of mmcp.CP2',
        ('encoder_q.backbone.', 'encoder_q.decode_head.'),
        backbone='encoder_q.backbone.',
        neck='encoder_q.neck.',
        head='encoder_q.decode_head.',
        projector={'encoder_q.projector.': ''},
    ),
    Layout(
        'mmcp-moco',
        'training checkpoint of mmcp.MoCo',
        ('encoder_q.backbone.',),
        backbone='encoder_q.backbone.',
        projector={'encoder_q.projector.': ''},
    ),
    # InsLoc's C4 model has the last stage of its backbone in the RoI head.
    Layout(
        'insloc',
        'InsLoc (limbo0000/InstanceLoc)',
        ('backbone.', 'backbone_k.'),
        backbone='backbone.',
        further={'roi_head.shared_head.': ''},
    ),
    Layout(
        'mmselfsup-moco',
        'MoCo or DenseCL of MMSelfSup or MMPreTrain',
        ('backbone.', 'encoder_k.'),
        backbone='backbone.',
        projector=_mlp('neck.mlp.0.', 'neck.mlp.2.'),
    ),
    Layout(
        'mmselfsup-byol',
        'BYOL of MMSelfSup or MMPreTrain',
        ('backbone.', 'target_net.'),
        backbone='backbone.',
    ),
    # Also MMPreTrain's classifiers and SimCLR, and the teacher of DINO.
    Layout(
        'openmmlab',
        'a model with the backbone under "backbone." (OpenMMLab, DINO)',
        ('backbone.',),
        backbone='backbone.',
        neck='neck.',
        head='decode_head.',
        pretraining=False,
    ),
    Layout(
        'openselfsup-moco',
        'MoCo or DenseCL of OpenSelfSup',
        ('encoder_q.0.',),
        backbone='encoder_q.0.',
        projector=_mlp('encoder_q.1.mlp.0.', 'encoder_q.1.mlp.2.'),
    ),
    Layout(
        'openselfsup-byol',
        'BYOL of OpenSelfSup',
        ('online_net.0.',),
        backbone='online_net.0.',
    ),
    Layout(
        'moco-v3',
        'MoCo v3 (facebookresearch/moco-v3)',
        ('base_encoder.',),
        backbone='base_encoder.',
        plain=True,
        style='pytorch',
    ),
    Layout(
        'moco',
        'MoCo v1 or v2 (facebookresearch/moco)',
        ('encoder_q.',),
        backbone='encoder_q.',
        projector=_mlp('encoder_q.fc.0.', 'encoder_q.fc.2.'),
        plain=True,
        style='pytorch',
    ),
    Layout(
        'pixpro',
        'PixPro (zdaxie/PixPro)',
        ('encoder.', 'encoder_k.'),
        backbone='encoder.',
        plain=True,
        style='pytorch',
    ),
    Layout(
        'pycontrast',
        'InfoMin and others of HobbitLong/PyContrast, and other models with '
        'the backbone under "encoder."',
        ('encoder.',),
        backbone='encoder.',
        plain=True,
        style='pytorch',
    ),
    *(
        Layout(
            'cp2-released',
            'released CP2 weights (wangf3014/CP2), without prefixes',
            (mark,),
            backbone='',
            head='',
            projector=_mlp('contrast_conv.0.', 'contrast_conv.2.'),
            plain=True,
            style='pytorch',
        )
        for mark in ('contrast_conv.', 'image_pool.', 'convs.')
    ),
    # torchvision; SimCLR by tonylins/simclr-converter; BYOL by
    # ajtejankar/byol-convert; DenseCL's extracted backbones; DINO's and
    # timm's transformers; EfficientNets of timm and EfficientNet-PyTorch;
    # backbones of OpenMMLab without prefix.
    Layout(
        'backbone',
        'a backbone alone (torchvision, timm, DINO, SimCLR, BYOL, DenseCL)',
        (),
        backbone='',
        pretraining=False,
        plain=True,
    ),
)


def plain_name(name: str) -> str:
    """Takes out what wraps a model or a part of it.

    Args:
        name: Name of a tensor.

    Returns:
        The name without ``module.`` and ``_orig_mod.``.
    """
    return '.'.join(part for part in name.split('.') if part not in WRAPPERS)


def detect_layout(names: Collection[str], source: str) -> Layout:
    """Finds out who wrote a checkpoint.

    Args:
        names: Names of its tensors, without wrappers.
        source: What errors call the file.

    Returns:
        The first of ``LAYOUTS`` that describes the names.

    Raises:
        LayoutError: If none does.
    """
    for layout in LAYOUTS:
        if layout.describes(names):
            return layout
    found = _prefixes_of_backbones(names)
    advice = (
        'A backbone seems to be under '
        + ' and '.join(f"'{prefix}'" for prefix in found)
        + f": give prefix='{found[0]}'."
        if found
        else 'No backbone can be seen in it.'
    )
    roots = sorted({name.split('.', 1)[0] for name in names})
    shown = ', '.join(roots[:_SHOWN]) + (
        ', ...' if len(roots) > _SHOWN else ''
    )
    raise LayoutError(
        f'{source} has no known layout; its names begin with: {shown}. '
        f'{advice}'
    )


def _prefixes_of_backbones(names: Collection[str]) -> list[str]:
    first = re.compile(
        r'(?P<prefix>.+\.)(conv1|patch_embed\.proj'
        r'|_?conv_stem|layers\.0\.conv)\.weight'
    )
    matches = [first.fullmatch(name) for name in sorted(names)]
    prefixes = [match['prefix'] for match in matches if match]
    return [p for p in prefixes if not re.search(r'layer\d+\.\d+\.$', p)]


def _has(names: Collection[str], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in names)
