r"""CP2 Quick Tuning of R50 + ASPP with polygons as foreground.

Paper: Table 4, 'polygon mask, ResNet-50'.
Expected: not measured; the paper has 78.1 mIoU on PASCAL VOC after
    fine-tuning.
Hardware: 8 GPUs with 32 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2/cp2_r50-aspp_mocov2-800e-pre_8xb32-polygon-20e_in1k.py 8
"""

_base_ = './cp2_r50-aspp_mocov2-800e-pre_8xb32-20e_in1k.py'

train_dataloader = dict(dataset=dict(mask=dict(type='polygon')))
