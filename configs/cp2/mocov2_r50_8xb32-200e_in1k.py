r"""MoCo v2 of R50, the baseline of CP2: 200 epochs of ImageNet-1k.

Paper: Table 1, 'MoCo v2, ResNet-50, 200 epochs'.
Expected: not measured; the paper has 74.9 / 76.2 / 39.2 mIoU on PASCAL VOC /
    Cityscapes / ADE20K after fine-tuning.
Hardware: 8 GPUs with 32 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2/mocov2_r50_8xb32-200e_in1k.py 8
"""

_base_ = [
    '../_base_/models/mocov2_r50.py',
    '../_base_/datasets/in1k_pairs.py',
    '../_base_/schedules/pretrain_sgd_b256.py',
    '../_base_/schedules/cosine_200e.py',
    '../_base_/pretrain_runtime.py',
]

# The monitors of CP2 without the maps of foreground similarity: features are
# pooled.
train_dataloader = dict(dataset=dict(mask=None))
custom_hooks = [
    dict(type='mmcp.CP2CheckHook'),
    dict(type='mmcp.MidEpochResumeHook'),
    dict(type='mmcp.UnreadableImagesHook'),
    dict(type='mmcp.ComposedPairsHook'),
    dict(type='mmcp.CollapseHook'),
    dict(type='mmcp.CurvesHook'),
]
