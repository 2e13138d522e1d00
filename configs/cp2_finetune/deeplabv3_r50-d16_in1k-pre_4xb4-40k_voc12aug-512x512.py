r"""DeepLabv3 of R50 on VOC 2012 aug, from ImageNet-1k labels.

OpenMMLab's weights are downloaded at the first start; the paper's are
torchvision's (torchvision://resnet50, where that package is installed).
Another file: --cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 1, 'supervised, ResNet-50'; differs: OpenMMLab's weights.
Expected: not measured; the paper has 76.0 mIoU.
Hardware: 4 GPUs with 4 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2_finetune/deeplabv3_r50-d16_in1k-pre_4xb4-40k_voc12aug-512x512.py 4
"""

_base_ = [
    '../_base_/models/deeplabv3_r50-d16.py',
    '../_base_/datasets/voc12aug-512x512.py',
    '../_base_/schedules/finetune_sgd_40k_b16.py',
    '../_base_/segmentation_runtime.py',
]

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=21),
    init_cfg=dict(
        type='mmcp.Pretrained',
        checkpoint='mmcls://resnet50',
        part='backbone',
    ),
)
