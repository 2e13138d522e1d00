"""What would spoil a contrastive pretraining, told before it begins."""

from typing import Any

import torch
from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmcp.engine.config import UsageError
from mmcp.engine.inference import evaluating, unwrap
from mmcp.registry import HOOKS


@HOOKS.register_module()
class CP2CheckHook(Hook):  # type: ignore[misc]
    """Compares model and data of ``mmcp.CP2`` or ``mmcp.MoCo`` at the start.

    It stops the training before the first iteration

    - if the images do not fill a single batch, so that nothing would be
      trained;
    - if data set and data preprocessor take backgrounds from different
      places, so that nobody would paste, or both;
    - if batch normalisation would get a single value (a head that pools
      images, as ASPP and PSP do, with one image per GPU or part);
    - if batches do not split into ``bn_splits`` parts.

    The last batch of an epoch counts too. It warns of SyncBN, which gives the
    answer of the contrastive task away, of a queue that is longer than the
    data set, and of masks that are drawn for a finer grid than the model's.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Any) -> None:
        """Checks.

        Args:
            runner: The runner.

        Raises:
            UsageError: If the training cannot work.
        """
        # With them comes MMDetection, too slow for whoever imports the hooks.
        from mmcp.datasets.copy_paste_pair_dataset import CopyPastePairDataset
        from mmcp.datasets.nesting import datasets_inside

        model = unwrap(runner.model)
        loader = runner.train_dataloader
        _check_length(loader)
        pairs = list(datasets_inside(loader.dataset, CopyPastePairDataset))
        for dataset in pairs:
            _check_backgrounds(dataset, model)
        splits = getattr(model, 'bn_splits', 1)
        pooled = _normalises_pooled(model.encoder_q)
        for size, which in _batches(loader):
            _check_batch(size, which, splits, pooled)
        for warning in (
            _of_sync_bn(model.encoder_q),
            _of_queue(model, len(loader.dataset)),
            *(_of_grid(model, dataset) for dataset in pairs),
        ):
            if warning:
                runner.logger.warning(warning)


def _check_length(loader: Any) -> None:
    if len(loader):
        return
    ranks = get_world_size()
    raise UsageError(
        f'the data set has {len(loader.dataset)} images, too few for one '
        f'batch of {loader.batch_sampler.batch_size} on each of {ranks} '
        'GPU(s), and incomplete batches are left out; lower '
        'train_dataloader.batch_size, or use more images.'
    )


def _check_backgrounds(dataset: Any, model: Any) -> None:
    expected = getattr(model.data_preprocessor, 'backgrounds', None)
    given = dataset.backgrounds
    if dataset.mask is None or expected in (None, given):
        return
    result = 'nobody would paste' if given == 'batch' else 'both would paste'
    raise UsageError(
        f'train_dataloader.dataset.backgrounds is {given!r}, but '
        f'model.data_preprocessor.backgrounds is {expected!r}: {result}. '
        'Give both the same value.'
    )


def _batches(loader: Any) -> list[tuple[int, str]]:
    """Sizes of the batches of a rank, and what to call them."""
    batches = loader.batch_sampler
    found = [(batches.batch_size, 'a batch')]
    sampler = batches.sampler
    endless = getattr(sampler, 'endless', False)
    if not (
        endless or batches.drop_last or isinstance(sampler, InfiniteSampler)
    ):
        rest = len(sampler) % batches.batch_size
        if rest:
            found.append((rest, 'the last batch of an epoch'))
    return found


def _check_batch(size: int, which: str, splits: int, pooled: bool) -> None:
    last = 'last' in which
    change = (
        'leave it out with train_dataloader.drop_last=True'
        if last
        else 'change train_dataloader.batch_size'
    )
    if size % splits:
        raise UsageError(
            f'{which} has {size} images per GPU, which do not split into '
            f'model.bn_splits={splits} equal parts; {change}'
            f'{"" if last else " or bn_splits"}.'
        )
    if pooled and size == splits:
        part = 'GPU' if splits == 1 else f'part (model.bn_splits={splits})'
        raise UsageError(
            f'{which} has one image per {part}, but the decode head pools '
            'each image to one position, and batch normalisation needs more '
            f'than one value; {change}, or use GroupNorm in the decode head '
            "(norm_cfg=dict(type='GN', num_groups=32))."
        )


def _normalises_pooled(encoder: nn.Module) -> bool:
    """Whether batch normalisation follows pooling to one position."""
    return any(
        _pools_to_one(block) and _normalises_alone(block)
        for block in encoder.modules()
        if isinstance(block, nn.Sequential)
    )


def _pools_to_one(block: nn.Sequential) -> bool:
    return any(
        isinstance(layer, nn.AdaptiveAvgPool2d)
        and layer.output_size in (1, (1, 1))
        for layer in block
    )


def _normalises_alone(block: nn.Module) -> bool:
    """Whether a rank normalises without the others."""
    return any(
        isinstance(part, _BatchNorm) and not _is_sync_bn(part)
        for part in block.modules()
    )


def _is_sync_bn(layer: nn.Module) -> bool:
    # mmcv has a class of its own with the same name.
    return type(layer).__name__ == 'SyncBatchNorm'


def _of_sync_bn(encoder: nn.Module) -> str | None:
    count = sum(_is_sync_bn(part) for part in encoder.modules())
    if not count:
        return None
    return (
        f'{count} layers are SyncBN. It normalises queries and keys over the '
        'same images of all GPUs, through which the model can tell which '
        'belong together without learning anything; shuffle-BN (the '
        "default, with norm_cfg type 'BN') is there to prevent that. See "
        'https://github.com/facebookresearch/moco/issues/46. SyncBN is for '
        'fine-tuning.'
    )


def _of_queue(model: Any, images: int) -> str | None:
    used: float = getattr(model, 'instance_weight', 1.0)
    length = model.queue.keys.shape[1]
    if not used or length <= images:
        return None
    return (
        f'The queue holds {length} keys, but there are {images} images: '
        'older keys of the same image will be among its negatives, up to '
        f'{-(-length // images)} of them. Set model.queue_len to at most '
        f'{images}; half of that or less is better.'
    )


def _of_grid(model: Any, dataset: Any) -> str | None:
    # mmcp.MoCo has no use for masks.
    if dataset.mask is None or not hasattr(model, 'dense_weight'):
        return None
    stride = dataset.mask.stride
    device = next(model.parameters()).device
    with evaluating(model):
        maps = model.extract(torch.zeros(1, 3, *dataset.size, device=device))
    grid = tuple(maps.shape[2:])
    drawn_for = tuple(-(-size // stride) for size in dataset.size)
    if all(c >= d for c, d in zip(grid, drawn_for, strict=True)):
        return None
    real = max(s // c for s, c in zip(dataset.size, grid, strict=True))
    return (
        f'Masks are drawn so that foreground and background are left on '
        f'{drawn_for[0]}x{drawn_for[1]} cells (mask stride {stride}), but '
        f'the features have {grid[0]}x{grid[1]}. Where one is missing, the '
        'sample does not count; set train_dataloader.dataset.mask.stride='
        f'{real}.'
    )
