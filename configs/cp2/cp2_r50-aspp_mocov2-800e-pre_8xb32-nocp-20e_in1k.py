r"""Quick Tuning of R50 + ASPP without copy-paste: plain views, instance loss only.

It is the row 'no copy-paste' of Table 6, too.

Paper: Table 4, 'no copy-paste, ResNet-50'.
Expected: not measured; the paper has 77.6 mIoU on PASCAL VOC after
    fine-tuning.
Hardware: 8 GPUs with 32 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2/cp2_r50-aspp_mocov2-800e-pre_8xb32-nocp-20e_in1k.py 8
"""

_base_ = './cp2_r50-aspp_mocov2-800e-pre_8xb32-20e_in1k.py'

model = dict(dense_weight=0.0)
# Views stay as they are, and features are pooled over the whole view.
train_dataloader = dict(dataset=dict(mask=None))
