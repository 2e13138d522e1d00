"""Names of a backbone's tensors, as MMSegmentation and MMDetection have them.

Their ResNet has torchvision's names, so most files need no change. Their
vision transformer and EfficientNet have names of their own.
"""

import re
from collections.abc import Collection, Iterable

from mmcp.checkpoints import efficient_net_names

# timm's names, which DINO, DeiT, MoCo v3 and the released CP2 have, too.
_TIMM = (
    (r'^patch_embed\.proj\.', 'patch_embed.projection.'),
    (r'^blocks\.(\d+)\.norm([12])\.', r'layers.\1.ln\2.'),
    (r'^blocks\.(\d+)\.attn\.qkv\.', r'layers.\1.attn.attn.in_proj_'),
    (r'^blocks\.(\d+)\.attn\.proj\.', r'layers.\1.attn.attn.out_proj.'),
    (r'^blocks\.(\d+)\.mlp\.fc1\.', r'layers.\1.ffn.layers.0.0.'),
    (r'^blocks\.(\d+)\.mlp\.fc2\.', r'layers.\1.ffn.layers.1.'),
    (r'^norm\.', 'ln1.'),
)
_MMPRETRAIN = (
    (r'^layers\.(\d+)\.attn\.qkv\.', r'layers.\1.attn.attn.in_proj_'),
    (r'^layers\.(\d+)\.attn\.proj\.', r'layers.\1.attn.attn.out_proj.'),
)
# Classifiers and projectors that hang on a backbone, the norm of pooled
# features before them, and what stands for masked patches in a pretraining.
_TAILS = (
    'fc.',
    'fc_norm.',
    'mask_token',
    'head.',
    'head_dist.',
    'pre_logits.',
    'classifier.',
    '_fc.',
)


def is_tail(name: str) -> bool:
    """Whether a tensor belongs to what follows a backbone.

    Args:
        name: Name within the backbone.

    Returns:
        True for a classifier, a projector and what serves the pretraining.
    """
    return name.startswith(_TAILS)


def translate(names: Collection[str]) -> dict[str, str]:
    """Translates a backbone's names to MMSegmentation's or MMDetection's.

    Args:
        names: Names within the backbone.

    Returns:
        From each name to the new one; most are the same.
    """
    if 'patch_embed.proj.weight' in names:
        return {name: _apply(_TIMM, name) for name in names}
    if 'layers.0.attn.qkv.weight' in names:
        return {name: _apply(_MMPRETRAIN, name) for name in names}
    if efficient_net_names.is_timm(names):
        return efficient_net_names.from_timm(names)
    if efficient_net_names.is_flat(names):
        return efficient_net_names.from_flat(names)
    return {name: name for name in names}


def is_transformer(names: Collection[str]) -> bool:
    """Whether translated names are those of a vision transformer.

    Args:
        names: Names as :func:`translate` gives them.

    Returns:
        True if so.
    """
    return 'layers.0.attn.attn.in_proj_weight' in names


def _apply(rules: Iterable[tuple[str, str]], name: str) -> str:
    for pattern, replacement in rules:
        name, count = re.subn(pattern, replacement, name)
        if count:
            break
    return name
