r"""Cascade EfficientNet-B7 NAS-FPN at 1280: results on COCO's test-dev.

Trains as the config without `testdev`. Takes the checkpoints of that one and
of the one with Copy-Paste: the model is the same. Testing writes boxes and
masks of the 20,288 images to work_dirs/coco_testdev.bbox.json and
work_dirs/coco_testdev.segm.json; COCO's evaluation server answers with AP.
A second test overwrites them; --cfg-options test_evaluator.outfile_prefix=PATH
writes elsewhere.

Paper: Table 4, 'Cascade Eff-B7 NAS-FPN (1280)'; differs:
    180k steps instead of 90k (as in the released configuration).
Expected: 54.8 box AP, 46.9 mask AP on test-dev, with Copy-Paste 56.0 and
    47.4 (the paper's); ours not measured.
Hardware: 8 GPUs for testing; memory and hours not measured.
Command:
    bash tools/dist_test.sh \
        configs/copy_paste/cascade_effb7_nasfpn_ns-pre_64xb4-lsj-180k_cocotestdev-1280.py \
        CHECKPOINT 8
"""

_base_ = './cascade_effb7_nasfpn_ns-pre_64xb4-lsj-180k_coco-1280.py'

test_dataloader = dict(
    dataset=dict(
        ann_file='annotations/image_info_test-dev2017.json',
        data_prefix=dict(img='test2017/'),
    )
)
test_evaluator = dict(
    ann_file='data/coco/annotations/image_info_test-dev2017.json',
    format_only=True,
    outfile_prefix='work_dirs/coco_testdev',
)
