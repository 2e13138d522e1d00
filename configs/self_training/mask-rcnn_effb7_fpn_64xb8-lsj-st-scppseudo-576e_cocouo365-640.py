r"""Student EfficientNet-B7 FPN at 640: objects pasted into pseudo-labelled images.

Pseudo-labels on unlabelled COCO and Objects365.

Paper: Table 3, '+Copy-Paste Pseudo data'.
Expected: 50.8 box AP, 44.5 mask AP (the paper's); ours not measured.
Hardware: 64 GPUs with 8 images each; memory and hours not measured.
Command, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/self_training/mask-rcnn_effb7_fpn_64xb8-lsj-st-scppseudo-576e_cocouo365-640.py 8
"""

_base_ = './mask-rcnn_effb7_fpn_64xb8-lsj-st-576e_cocouo365-640.py'

# Objects of COCO go onto pseudo-labelled images only.
train_dataloader = dict(dataset=dict(pseudo_prob=1.0))
