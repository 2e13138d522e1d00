"""What is told before a contrastive pretraining begins."""

import logging
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmseg.models.decode_heads import ASPPHead, FCNHead, PSPHead
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader
from toy_pairs import Bag, Pairs, make_runner, small_cp2

from mmcp.datasets import CopyPastePairDataset, UnlabeledImageDataset
from mmcp.engine.config import UsageError
from mmcp.engine.hooks import CP2CheckHook

HEADS = dict(
    ASPP=(ASPPHead, dict(dilations=(1, 2))),
    PSP=(PSPHead, dict(pool_scales=(1, 2))),
    FCN=(FCNHead, dict(num_convs=1)),
)


def encoder(head='ASPP', norm='BN'):
    kind, options = HEADS[head]
    norm_cfg = dict(type=norm)
    if norm == 'GN':
        norm_cfg['num_groups'] = 2
    return Bag(
        decode_head=kind(
            in_channels=4,
            channels=4,
            num_classes=3,
            norm_cfg=norm_cfg,
            **options,
        )
    )


def check(
    encoder_q,
    *,
    images=64,
    batch=4,
    splits=1,
    sampler=InfiniteSampler,
    drop_last=False,
    queue_len=8,
    **attributes,
):
    """Runs the hook; returns what it warns of."""
    data = Pairs(images)
    loader = DataLoader(
        data, batch, sampler=sampler(data), drop_last=drop_last
    )
    model = Bag(
        encoder_q=encoder_q,
        bn_splits=splits,
        queue=Bag(keys=torch.zeros(2, queue_len)),
        **attributes,
    )
    records = []
    logger = logging.Logger('test')
    logger.addHandler(
        SimpleNamespace(
            level=0, handle=lambda record: records.append(record.getMessage())
        )
    )
    runner = SimpleNamespace(
        model=model, train_dataloader=loader, logger=logger
    )
    CP2CheckHook().before_train(runner)
    return records


@pytest.mark.parametrize('head', ['ASPP', 'PSP'])
def test_one_image_per_gpu_under_a_head_that_pools(head):
    with pytest.raises(UsageError, match='a batch has one image per GPU, but'):
        check(encoder(head), batch=1)
    assert check(encoder(head), batch=2) == []


@pytest.mark.parametrize(
    ('head', 'norm'), [('FCN', 'BN'), ('ASPP', 'GN'), ('PSP', 'GN')]
)
def test_one_image_per_gpu_where_it_does_no_harm(head, norm):
    assert check(encoder(head, norm), batch=1) == []


def test_torch_agrees_that_one_image_is_too_few():
    maps = [torch.ones(1, 4, 6, 6)]
    with pytest.raises(ValueError, match='more than 1 value per channel'):
        encoder('ASPP').decode_head.train()(maps)
    encoder('FCN').decode_head.train()(maps)


def test_one_image_per_part_of_a_split_batch():
    with pytest.raises(UsageError, match=r'part \(model.bn_splits=4\)'):
        check(encoder(), batch=4, splits=4)
    assert check(encoder(), batch=8, splits=4) == []


def test_a_batch_that_does_not_split():
    with pytest.raises(
        UsageError, match=r'6 images per GPU.*bn_splits=4.*or bn_splits'
    ):
        check(encoder(), batch=6, splits=4)


@pytest.mark.parametrize(
    ('images', 'options', 'message'),
    [
        (13, dict(batch=4), 'last batch of an epoch has one image per GPU'),
        (14, dict(batch=8, splits=4), 'last batch of an epoch has 6 images'),
    ],
)
def test_the_last_batch_of_an_epoch_counts(images, options, message):
    options |= dict(images=images)
    with pytest.raises(UsageError, match=f'{message}.*drop_last=True'):
        check(encoder(), sampler=DefaultSampler, **options)
    check(encoder(), sampler=DefaultSampler, drop_last=True, **options)
    check(encoder(), sampler=InfiniteSampler, **options)


def test_a_longer_queue_than_data_set():
    (text,) = check(encoder(), images=64, queue_len=130)
    for part in ('130 keys', '64 images', 'up to 3 of them', 'queue_len'):
        assert part in text
    assert check(encoder(), images=64, queue_len=64) == []
    switched_off = check(
        encoder(), images=64, queue_len=130, instance_weight=0
    )
    assert switched_off == []


def test_sync_bn_is_warned_of_and_spares_single_images():
    layers = nn.SyncBatchNorm.convert_sync_batchnorm(encoder())
    (text,) = check(layers, batch=1)
    assert 'layers are SyncBN' in text
    assert 'shuffle-BN' in text
    assert 'https://github.com/facebookresearch/moco/issues/46' in text


def test_a_real_model_is_checked_before_its_first_iteration(tmp_path):
    seen = []
    model = small_cp2(bn_splits=3)
    runner = make_runner(tmp_path, CP2CheckHook(), model=model)
    runner.model.register_forward_pre_hook(lambda *_: seen.append(1))
    with pytest.raises(UsageError, match='4 images per GPU'):
        runner.train()
    assert seen == []


def test_a_sound_training_starts(tmp_path):
    runner = make_runner(tmp_path, dict(type='mmcp.CP2CheckHook'))
    runner.train()
    assert runner.iter == 3


def test_too_few_images_for_a_batch():
    """mmengine would end such a training at once, and call it complete."""
    few = dict(images=3, batch=4, queue_len=2)
    with pytest.raises(
        UsageError, match='3 images.*one batch of 4 on each of 1 GPU'
    ):
        check(encoder(), sampler=DefaultSampler, drop_last=True, **few)
    assert check(encoder(), sampler=DefaultSampler, **few) == []


def pairs(folder, **options):
    """A data set of pairs of 64 pixels, as configs have it."""
    for number in range(8):
        image = np.full((40, 50, 3), 20 * number, np.uint8)
        cv2.imwrite(str(folder / f'{number}.png'), image)
    images = UnlabeledImageDataset(str(folder))
    return CopyPastePairDataset(images, **dict(size=64) | options)


def pretrain(tmp_path, dataset, backgrounds='dataset', **options):
    """Pretrains until the checks are done; returns the runner's warnings."""
    model = small_cp2(**options)
    model['data_preprocessor'] = dict(
        type='mmcp.CP2DataPreprocessor', backgrounds=backgrounds
    )
    runner = make_runner(
        tmp_path / 'work', CP2CheckHook(), model=model, dataset=dataset
    )
    said = []
    runner.logger.warning = said.append
    runner.train()
    return [text for text in said if 'mask' in text]


@pytest.mark.parametrize(
    ('of_data', 'of_model', 'result'),
    [
        ('batch', 'dataset', 'nobody would paste'),
        ('dataset', 'batch', 'both would paste'),
    ],
)
def test_backgrounds_of_data_and_model_disagree(
    tmp_path, of_data, of_model, result
):
    dataset = ConcatDataset([pairs(tmp_path, backgrounds=of_data)])
    with pytest.raises(
        UsageError, match=f"'{of_data}', but.*'{of_model}': {result}"
    ):
        pretrain(tmp_path, dataset, of_model)


@pytest.mark.parametrize('backgrounds', ['batch', 'dataset'])
def test_backgrounds_of_data_and_model_agree(tmp_path, backgrounds):
    dataset = pairs(tmp_path, backgrounds=backgrounds)
    assert pretrain(tmp_path, dataset, backgrounds) == []


def test_backgrounds_do_not_matter_without_masks(tmp_path):
    dataset = pairs(tmp_path, mask=None, backgrounds='batch')
    assert pretrain(tmp_path, dataset, dense_weight=0) == []


@pytest.mark.parametrize('stride', [4, 8, 16])
def test_masks_for_a_finer_grid_than_the_models(tmp_path, stride):
    """The model's output stride is 8."""
    dataset = pairs(tmp_path, mask=dict(type='rectangle', stride=stride))
    said = pretrain(tmp_path, dataset)
    if stride >= 8:
        assert said == []
        return
    (text,) = said
    for part in ('16x16 cells (mask stride 4)', '8x8', 'mask.stride=8'):
        assert part in text
