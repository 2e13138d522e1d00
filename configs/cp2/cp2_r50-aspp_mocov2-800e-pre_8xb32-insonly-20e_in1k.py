r"""CP2 Quick Tuning of R50 + ASPP with the instance loss only.

Paper: Table 6, 'instance loss only'.
Expected: not measured; the paper has 78.0 mIoU on PASCAL VOC after
    fine-tuning.
Hardware: 8 GPUs with 32 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2/cp2_r50-aspp_mocov2-800e-pre_8xb32-insonly-20e_in1k.py 8
"""

_base_ = './cp2_r50-aspp_mocov2-800e-pre_8xb32-20e_in1k.py'

model = dict(dense_weight=0.0)
