r"""Mask R-CNN R50-FPN at 1024, LSJ + Copy-Paste, from scratch, 49 epochs.

Paper: Figure 4 (left), 'random initialization w/ Copy-Paste'; differs: batch
    64.
Expected: not measured; the paper says +1.0 AP over the baseline at 48 epochs.
Hardware: 8 GPUs with 8 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/copy_paste/mask-rcnn_r50_fpn_8xb8-lsj-scp-90k_coco-1024.py 8
"""

_base_ = './mask-rcnn_r50_fpn_8xb8-lsj-90k_coco-1024.py'

# Every image receives objects of another one.
train_dataloader = dict(dataset=dict(prob=1.0))
