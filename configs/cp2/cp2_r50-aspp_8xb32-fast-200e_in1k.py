r"""CP2 of R50 + ASPP from random weights, fast: GPU augmentation, bf16.

Paper: Table 1, 'CP2, ResNet-50, 200 epochs'; differs: bf16.
Expected: not measured; the paper has 77.6 / 77.3 / 40.5 mIoU on PASCAL VOC /
    Cityscapes / ADE20K after fine-tuning.
Hardware: 8 GPUs with 32 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2/cp2_r50-aspp_8xb32-fast-200e_in1k.py 8
"""

_base_ = './cp2_r50-aspp_8xb32-200e_in1k.py'

# Workers decode and crop; the rest is done on the GPU for the whole batch.
train_dataloader = dict(dataset=dict(augment='model'))
model = dict(data_preprocessor=dict(channels_last=True, compile=True))
# bf16 needs no scaling of the loss.
optim_wrapper = dict(type='AmpOptimWrapper', dtype='bfloat16', loss_scale=1.0)
compile = True
