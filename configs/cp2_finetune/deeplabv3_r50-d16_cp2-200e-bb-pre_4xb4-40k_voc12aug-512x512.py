r"""DeepLabv3 of R50 on VOC 2012 aug, from CP2 of 200 epochs, random head.

The backbone is that of cp2_r50-aspp_8xb32-200e_in1k; its head is left out, and
the weight decay is that of a random head.
Another file: --cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 3, 'CP2 backbone, random head, ResNet-50, 200 epochs'.
Expected: not measured; the paper has 76.3 mIoU.
Hardware: 4 GPUs with 4 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2_finetune/deeplabv3_r50-d16_cp2-200e-bb-pre_4xb4-40k_voc12aug-512x512.py 4
"""

_base_ = 'deeplabv3_r50-d16_in1k-pre_4xb4-40k_voc12aug-512x512.py'

model = dict(
    init_cfg=dict(
        checkpoint='work_dirs/cp2_r50-aspp_8xb32-200e_in1k/epoch_200.pth'
    )
)
