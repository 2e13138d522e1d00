import copy

import pytest
import torch
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.structures.bbox import bbox2roi
from mmengine.registry import MODELS
from tiny_detectors import NUM_CLASSES, config_of, make_batch

CASCADE_LOSSES = {
    f's{i}.{name}' for i in range(3) for name in ('loss_cls', 'loss_bbox')
}


def make():
    config = config_of('cascade-mask')
    config.type = 'mmdet.CascadeRCNN'
    config.roi_head.type = 'mmcp.SingleMaskCascadeRoIHead'
    torch.manual_seed(0)
    model = MODELS.build(config)
    model.init_weights()
    return model


@pytest.fixture
def model():
    return make()


def losses_of(model):
    torch.manual_seed(0)
    data = model.data_preprocessor(make_batch(), training=True)
    return model(**data, mode='loss')


def predictions_of(model):
    model.eval()
    model.test_cfg.rcnn.score_thr = 0.0
    model.roi_head.test_cfg.score_thr = 0.0
    with torch.no_grad():
        return model.test_step(make_batch())


def test_one_mask_head_is_trained_by_the_last_stage(model):
    losses = losses_of(model.train())

    assert {n for n in losses if 'mask' in n} == {'s2.loss_mask'}
    assert {n for n in losses if 'loss' in n and 'rpn' not in n} == {
        *CASCADE_LOSSES,
        's2.loss_mask',
    }
    losses['s2.loss_mask'].backward()
    head = model.roi_head.mask_head
    assert all((p.grad != 0).any() for p in head.parameters())


def test_its_loss_is_weighted_as_the_last_stage():
    model = make().train()
    first = losses_of(model)['s2.loss_mask']
    weights = model.roi_head.stage_loss_weights
    model.roi_head.stage_loss_weights = [*weights[:2], 2 * weights[2]]

    assert losses_of(model)['s2.loss_mask'] == 2 * first


def test_losses_of_the_boxes_are_those_of_mmdetection(model):
    config = config_of('cascade-mask')
    config.type = 'mmdet.CascadeRCNN'
    theirs = MODELS.build(config)
    theirs.load_state_dict(
        {n: v for n, v in model.state_dict().items() if 'mask_head' not in n},
        strict=False,
    )

    found = losses_of(copy.deepcopy(model).eval())
    expected = losses_of(theirs.eval())

    for name in CASCADE_LOSSES:
        assert torch.equal(found[name], expected[name])


def test_masks_are_those_of_a_standard_head_on_the_final_boxes(model):
    (sample, _) = predictions_of(model)
    objects = sample.pred_instances
    assert len(objects) > 10
    assert objects.masks.shape == (len(objects), 64, 64)

    head = model.roi_head
    with torch.no_grad():
        data = model.data_preprocessor(make_batch(), training=False)
        features = model.extract_feat(data['inputs'])
        rois = bbox2roi([objects.bboxes])
        logits = head.mask_head(head.mask_roi_extractor(features[:4], rois))
    again = head.mask_head.predict_by_feat(
        (logits,),
        [copy.deepcopy(objects)],
        [sample.metainfo],
        head.test_cfg,
        rescale=True,
    )
    assert torch.equal(again[0].masks, objects.masks)


def test_no_objects_give_no_masks(model):
    model.eval()
    model.roi_head.test_cfg.score_thr = 1.0

    with torch.no_grad():
        samples = model.test_step(make_batch())

    assert [s.pred_instances.masks.shape for s in samples] == [(0, 64, 64)] * 2


def test_raw_outputs(model):
    model.eval()
    data = model.data_preprocessor(make_batch(), training=False)
    with torch.no_grad():
        outputs = model(**data, mode='tensor')
    scores, deltas, masks = outputs[-1]

    assert [len(s) for s in scores] == [len(d) for d in deltas]
    assert masks.shape == (sum(map(len, scores)), NUM_CLASSES, 28, 28)


def test_names_of_the_mask_head_are_a_mask_rcnns(model):
    config = config_of('mask')
    config.type = 'mmdet.MaskRCNN'
    other = MODELS.build(config)
    assert isinstance(other.roi_head, StandardRoIHead)

    def names(detector):
        state = detector.roi_head.state_dict()
        return {n: v.shape for n, v in state.items() if 'mask' in n}

    assert names(model) == names(other)
    assert len(names(model)) > 0
