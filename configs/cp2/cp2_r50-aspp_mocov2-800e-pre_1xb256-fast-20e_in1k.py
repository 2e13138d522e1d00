r"""CP2 Quick Tuning of R50 + ASPP on one GPU, fast.

With less memory take train_dataloader.batch_size=128, model.bn_splits=4 and
--auto-scale-lr, or model.backbone.with_cp=True.

Paper: Table 1, 'CP2 QT r.800'; differs: one GPU, bf16.
Expected: not measured; the paper has 78.6 / 77.4 / 41.3 mIoU on PASCAL VOC /
    Cityscapes / ADE20K after fine-tuning.
Hardware: one GPU of 80 GB; memory and hours not measured.
Command:
    python tools/train.py \
        configs/cp2/cp2_r50-aspp_mocov2-800e-pre_1xb256-fast-20e_in1k.py
"""

_base_ = './cp2_r50-aspp_mocov2-800e-pre_8xb32-20e_in1k.py'

# Batch normalisation in 8 parts of 32 images, shuffled between query and key,
# as 8 GPUs would do it. Workers decode and crop; the rest is done on the GPU.
model = dict(
    bn_splits=8,
    data_preprocessor=dict(channels_last=True, compile=True),
)
train_dataloader = dict(
    batch_size=256,
    num_workers=16,
    dataset=dict(augment='model'),
)
# bf16 needs no scaling of the loss.
optim_wrapper = dict(type='AmpOptimWrapper', dtype='bfloat16', loss_scale=1.0)
compile = True
