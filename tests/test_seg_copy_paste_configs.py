"""Configs of Copy-Paste on label maps: what differs, and that they train."""

import pytest
from check_configs import ROOT
from mmengine.config import Config
from reduce_config import reduce_config, train_reduced
from torch import nn

from mmcp.engine.build_on_meta import build_on_meta
from mmcp.engine.data_check import check_data

FOLDER = ROOT / 'configs' / 'seg_copy_paste'
PASTED = sorted(path.stem for path in FOLDER.glob('*-scp-*.py'))


def load(stem):
    return Config.fromfile(FOLDER / f'{stem}.py')


@pytest.mark.parametrize('stem', PASTED)
def test_copy_paste_is_the_only_difference_to_the_baseline(stem):
    pasted = load(stem).to_dict()
    baseline = load(stem.replace('-scp-', '-')).to_dict()
    pastes = [
        config['train_dataloader']['dataset']['pipeline'][0]
        for config in (pasted, baseline)
    ]

    assert [p['type'] for p in pastes] == ['mmcp.SegCopyPaste'] * 2
    assert [p.pop('prob') for p in pastes] == [0.5, 0]
    assert pasted == baseline


@pytest.mark.parametrize('stem', PASTED)
def test_void_is_ignored_everywhere(stem):
    config = load(stem)
    inner = config.train_dataloader.dataset.dataset
    (paste, *_) = config.train_dataloader.dataset.pipeline
    (crop,) = [t for t in inner.pipeline if t.type == 'RandomCrop']
    evaluated = (config.val_dataloader, config.test_dataloader)

    assert {
        inner.ignore_index,
        paste.ignore_index,
        crop.ignore_index,
        config.model.decode_head.ignore_index,
        config.model.data_preprocessor.seg_pad_val,
        *(loader.dataset.ignore_index for loader in evaluated),
        config.val_evaluator.ignore_index,
        config.test_evaluator.ignore_index,
    } == {len(inner.metainfo.classes)}
    assert config.model.decode_head.num_classes == len(inner.metainfo.classes)
    assert len(inner.metainfo.palette) == len(inner.metainfo.classes)
    assert set(paste.allow) < set(inner.metainfo.classes)


@pytest.mark.parametrize('stem', PASTED)
def test_output_stride_is_16(stem):
    model = build_on_meta(load(stem))
    stride = 1
    for module in model.backbone.modules():
        if isinstance(module, nn.Conv2d):
            stride *= module.stride[0]
    assert stride == 16


@pytest.mark.parametrize('stem', PASTED)
def test_pair_trains_and_is_evaluated_in_the_real_layout(stem, tmp_path):
    small = reduce_config(load(stem), tmp_path)
    # The regions of the tiny images.
    small.train_dataloader.dataset.pipeline[0].update(prob=1.0, allow=None)
    check_data(small, ['train', 'val', 'test'])

    steps = train_reduced(small)

    assert all(0 < loss < 20 for loss in steps.losses)
    assert steps.changed > 0.9
    assert 0 <= steps.metrics['val/mIoU'] <= 100
