r"""DeepLabv3 of R50 on VOC 2012 aug, from MoCo v2 of 800 epochs.

MoCo's weights are downloaded at the first start.
Another file: --cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 1, 'MoCo v2, ResNet-50, 800 epochs'.
Expected: not measured; the paper has 77.2 mIoU.
Hardware: 4 GPUs with 4 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2_finetune/deeplabv3_r50-d16_mocov2-800e-pre_4xb4-40k_voc12aug-512x512.py 4
"""

_base_ = 'deeplabv3_r50-d16_in1k-pre_4xb4-40k_voc12aug-512x512.py'

model = dict(
    init_cfg=dict(
        checkpoint='https://dl.fbaipublicfiles.com/moco/moco_checkpoints/'
        'moco_v2_800ep/moco_v2_800ep_pretrain.pth.tar'
    )
)
