r"""FCN of MobileNetV2 on CamVid, the baseline of SegCopyPaste.

Weights: data/weights/mobilenet_v2_in1k_mmseg.pth, a MobileNetV2 trained on
ImageNet-1k with MMSegmentation's names. Another file: --cfg-options
model.init_cfg.checkpoint=PATH.

Paper: none.
Expected: not measured.
Hardware: 1 GPU with 8 images; memory and hours not measured.
Command:
    python tools/train.py \
        configs/seg_copy_paste/fcn_mobilenetv2_in1k-pre_1xb8-4k_camvid-360x360.py
"""

_base_ = [
    '../_base_/models/fcn_mobilenetv2.py',
    '../_base_/datasets/camvid-360x360.py',
    '../_base_/schedules/finetune_sgd_4k_b8.py',
    '../_base_/segmentation_runtime.py',
]

model = dict(
    # What is padded is void, too.
    data_preprocessor=dict(size=(360, 360), seg_pad_val=11),
    decode_head=dict(num_classes=11, ignore_index=11),
    init_cfg=dict(
        type='mmcp.Pretrained',
        checkpoint='data/weights/mobilenet_v2_in1k_mmseg.pth',
        part='backbone',
    ),
)
default_hooks = dict(checkpoint=dict(interval=500))
