r"""CP2 Quick Tuning of R50 + FCN: 20 epochs from MoCo v2 of 200 epochs.

Paper: Table 2, 'CP2 QT r.200'.
Expected: not measured; the paper has 75.2 / 76.4 / 38.0 mIoU on PASCAL VOC /
    Cityscapes / ADE20K after fine-tuning.
Hardware: 8 GPUs with 32 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2/cp2_r50-fcn_mocov2-200e-pre_8xb32-20e_in1k.py 8
"""

_base_ = './cp2_r50-fcn_mocov2-800e-pre_8xb32-20e_in1k.py'

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='mmcp.Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/moco/moco_checkpoints/'
            'moco_v2_200ep/moco_v2_200ep_pretrain.pth.tar',
        )
    )
)
