r"""Small Mask R-CNN on nuclei, 59 images, with Copy-Paste.

The baseline plus one line: nuclei of a second training image, jittered on its
own, are pasted onto every image. The data and the ImageNet weights are
expected in `data/`, see `docs/results/nuclei.md`.

Paper: none.
Expected: see `docs/results/nuclei.md`.
Hardware: two CPU cores.
Command:
    python tools/train.py \
        configs/copy_paste/mask-rcnn_mobilenetv2_fpn_in1k-pre_1xb4-scp-300i_dsb2018-256.py
"""

_base_ = './mask-rcnn_mobilenetv2_fpn_in1k-pre_1xb4-300i_dsb2018-256.py'

# Every image receives objects of another one.
train_dataloader = dict(dataset=dict(prob=1.0))
