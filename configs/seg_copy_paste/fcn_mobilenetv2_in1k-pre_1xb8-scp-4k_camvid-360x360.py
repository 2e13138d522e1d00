r"""FCN of MobileNetV2 on CamVid with Copy-Paste of objects of five classes.

Half of the images receive components of poles, signs, cars, pedestrians and
bicyclists of another image. Weights as in the baseline.

Paper: none.
Expected: not measured.
Hardware: 1 GPU with 8 images; memory and hours not measured.
Command:
    python tools/train.py \
        configs/seg_copy_paste/fcn_mobilenetv2_in1k-pre_1xb8-scp-4k_camvid-360x360.py
"""

_base_ = 'fcn_mobilenetv2_in1k-pre_1xb8-4k_camvid-360x360.py'

train_dataloader = _base_.train_dataloader
train_dataloader.dataset.pipeline[0].prob = 0.5
