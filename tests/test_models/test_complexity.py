import pytest
import torch
from mmengine.registry import MODELS
from tiny_detectors import config_of
from torch import nn

from mmcp.models.complexity import (
    Complexity,
    count_complexity,
    count_kept,
)

SIZE = 96


def build(name, device='cpu', **roi_head):
    config = config_of(name)
    types = {'mask': 'MaskRCNN', 'cascade-mask': 'CascadeRCNN'}
    config.type = f'mmdet.{types[name]}'
    config.roi_head.update(roi_head)
    with torch.device(device):
        return MODELS.build(config)


def counted_by_hooks(model, forward):
    """Outputs times what each is a sum of, layer by layer."""
    total = 0

    def add(module, inputs, output):
        nonlocal total
        weight = module.weight
        if isinstance(module, nn.ConvTranspose2d):
            total += inputs[0].numel() * weight[0].numel()
        else:
            total += output.numel() * weight[0].numel()

    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    hooks = [
        module.register_forward_hook(add)
        for module in model.modules()
        if isinstance(module, kinds)
    ]
    forward()
    for hook in hooks:
        hook.remove()
    return total


@pytest.mark.parametrize(
    ('name', 'roi_head', 'masks'),
    [
        ('mask', {}, 1),
        # MMDetection's cascade has a mask head per stage, ours has one.
        ('cascade-mask', {}, 3),
        ('cascade-mask', dict(type='mmcp.SingleMaskCascadeRoIHead'), 1),
    ],
)
@torch.no_grad()
def test_parts_are_what_their_layers_do(name, roi_head, masks):
    model = build(name, **roi_head).eval()
    image = torch.zeros(1, 3, SIZE, SIZE)
    features = model.backbone(image)
    levels = model.neck(features)
    head = model.roi_head

    def boxes():
        regions = torch.zeros(20, 8, 7, 7)
        for one in [head.bbox_head] if name == 'mask' else head.bbox_head:
            one(regions)

    def all_masks():
        regions = torch.zeros(5, 8, 14, 14)
        for one in head.mask_head if masks > 1 else [head.mask_head]:
            one(regions)

    expected = dict(
        backbone=counted_by_hooks(model, lambda: model.backbone(image)),
        neck=counted_by_hooks(model, lambda: model.neck(features)),
        rpn_head=counted_by_hooks(model, lambda: model.rpn_head(levels)),
        bbox_head=counted_by_hooks(model, boxes),
        mask_head=counted_by_hooks(model, all_masks),
    )

    found = count_complexity(model, SIZE, num_proposals=20, num_masks=5)

    assert found.multiply_adds == expected
    assert list(found.multiply_adds) == list(expected)
    assert found.total == sum(expected.values()) > 0
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert found.size == SIZE


def test_nothing_is_computed_on_the_meta_device():
    model = build('mask', 'meta')

    found = count_complexity(model, SIZE)

    assert found == count_complexity(build('mask'), SIZE)


def test_a_detector_without_masks():
    config = config_of('mask')
    config.type = 'mmdet.FasterRCNN'
    del config.roi_head['mask_head'], config.roi_head['mask_roi_extractor']

    found = count_complexity(MODELS.build(config), SIZE)

    assert list(found.multiply_adds) == [
        'backbone',
        'neck',
        'rpn_head',
        'bbox_head',
    ]


def test_a_module_without_backbone_is_refused():
    with pytest.raises(TypeError, match='Linear has no backbone'):
        count_complexity(nn.Linear(2, 2), SIZE)


def test_a_complexity_is_a_value():
    assert Complexity(8, dict(neck=3, backbone=4), 5).total == 7
    assert Complexity(8).total == 0


class Dense(nn.Module):
    """A backbone of two layers and a decode head, of which all is known."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.Sigmoid()
        )
        self.decode_head = nn.Conv2d(4, 2, 1)


@pytest.mark.parametrize('device', ['cpu', 'meta'])
def test_what_is_kept_for_the_gradients(device):
    model = Dense().to(device).eval()

    kept = count_kept(model, SIZE)

    pixels = SIZE * SIZE
    # The image, and the activation of four channels. The head keeps its
    # input, which is that activation.
    assert kept == dict(backbone=4 * (3 + 4) * pixels, decode_head=0)
    assert model.training


def test_a_detector_keeps_the_same_on_any_device():
    with torch.device('meta'):
        expected = count_kept(build('mask', 'meta'), SIZE)

    assert count_kept(build('mask'), SIZE) == expected
    assert list(expected) == ['backbone', 'neck', 'rpn_head']
    assert min(expected.values()) > 0


def test_what_has_no_backbone_keeps_nothing_known():
    with pytest.raises(TypeError, match='Linear has no backbone'):
        count_kept(nn.Linear(1, 1), SIZE)
