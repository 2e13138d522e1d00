r"""Mask R-CNN EfficientNet-B7 FPN at 640, SSJ + Copy-Paste, 96 epochs.

Also Figure 5 (left), with all of COCO. The paper trained until convergence; 96
epochs are what it gives for SSJ without Copy-Paste.

Paper: Table 11, 'Main Image SSJ, Pasted Image SSJ'.
Expected: 48.1 box AP, 42.1 mask AP (the paper's); ours not measured.
Hardware: 64 GPUs with 4 images each; memory and hours not measured.
Command, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/copy_paste/mask-rcnn_effb7_fpn_64xb4-ssj-scp-96e_coco-640.py 8
"""

_base_ = './mask-rcnn_effb7_fpn_64xb4-ssj-96e_coco-640.py'

# Every image receives objects of another one.
train_dataloader = dict(dataset=dict(prob=1.0))
