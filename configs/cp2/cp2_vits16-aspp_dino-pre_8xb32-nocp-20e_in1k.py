r"""Quick Tuning of ViT-S/16 + ASPP without copy-paste: plain views, instance loss only.

Paper: Table 4, 'no copy-paste, ViT-S/16'; differs: DINO's weights.
Expected: not measured; the paper has 78.9 mIoU on PASCAL VOC after
    fine-tuning.
Hardware: 8 GPUs with 32 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2/cp2_vits16-aspp_dino-pre_8xb32-nocp-20e_in1k.py 8
"""

_base_ = './cp2_vits16-aspp_dino-pre_8xb32-20e_in1k.py'

model = dict(dense_weight=0.0)
# Views stay as they are, and features are pooled over the whole view.
train_dataloader = dict(dataset=dict(mask=None))
