r"""CP2 Quick Tuning of ViT-S/16 + FCN: 20 epochs from DINO's weights.

The paper starts from MoCo v2 of 300 epochs, whose weights are not public.
DINO's are downloaded at the first start.

Paper: Table 2, 'CP2 QT v.300'; differs: DINO's weights.
Expected: not measured; the paper has 78.6 / 77.0 / 41.2 mIoU on PASCAL VOC /
    Cityscapes / ADE20K after fine-tuning.
Hardware: 8 GPUs with 32 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2/cp2_vits16-fcn_dino-pre_8xb32-20e_in1k.py 8
"""

_base_ = [
    '../_base_/models/cp2_vits16_fcn.py',
    '../_base_/datasets/in1k_pairs.py',
    '../_base_/schedules/pretrain_adamw_b256.py',
    '../_base_/schedules/cosine_20e.py',
    '../_base_/pretrain_runtime.py',
]

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='mmcp.Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/dino/'
            'dino_deitsmall16_pretrain/dino_deitsmall16_pretrain.pth',
        )
    )
)
