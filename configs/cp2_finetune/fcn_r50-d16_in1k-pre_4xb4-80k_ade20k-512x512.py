r"""FCN of R50 on ADE20K, from ImageNet-1k labels.

OpenMMLab's weights are downloaded at the first start; the paper's are
torchvision's (torchvision://resnet50, where that package is installed).
Another file: --cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 2, 'supervised, ResNet-50'; differs: OpenMMLab's weights.
Expected: not measured; the paper has 37.4 mIoU.
Hardware: 4 GPUs with 4 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2_finetune/fcn_r50-d16_in1k-pre_4xb4-80k_ade20k-512x512.py 4
"""

_base_ = [
    '../_base_/models/fcn_r50-d16.py',
    '../_base_/datasets/ade20k-512x512.py',
    '../_base_/schedules/finetune_sgd_80k_b16.py',
    '../_base_/segmentation_runtime.py',
]

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=150),
    init_cfg=dict(
        type='mmcp.Pretrained',
        checkpoint='mmcls://resnet50',
        part='backbone',
    ),
)
