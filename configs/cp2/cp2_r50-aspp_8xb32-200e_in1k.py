r"""CP2 of R50 + ASPP from random weights, 200 epochs of ImageNet-1k.

Paper: Table 1, 'CP2, ResNet-50, 200 epochs'.
Expected: not measured; the paper has 77.6 / 77.3 / 40.5 mIoU on PASCAL VOC /
    Cityscapes / ADE20K after fine-tuning.
Hardware: 8 GPUs with 32 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2/cp2_r50-aspp_8xb32-200e_in1k.py 8
"""

_base_ = [
    '../_base_/models/cp2_r50_aspp.py',
    '../_base_/datasets/in1k_pairs.py',
    '../_base_/schedules/pretrain_sgd_b256.py',
    '../_base_/schedules/cosine_200e.py',
    '../_base_/pretrain_runtime.py',
]
