r"""FCN of R50 on Cityscapes, from MoCo v2 of 200 epochs.

MoCo's weights are downloaded at the first start.
Another file: --cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 2, 'MoCo v2, ResNet-50, 200 epochs'.
Expected: not measured; the paper has 75.8 mIoU.
Hardware: 4 GPUs with 2 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2_finetune/fcn_r50-d16_mocov2-200e-pre_4xb2-60k_cityscapes-512x1024.py 4
"""

_base_ = 'fcn_r50-d16_in1k-pre_4xb2-60k_cityscapes-512x1024.py'

model = dict(
    init_cfg=dict(
        checkpoint='https://dl.fbaipublicfiles.com/moco/moco_checkpoints/'
        'moco_v2_200ep/moco_v2_200ep_pretrain.pth.tar'
    )
)
