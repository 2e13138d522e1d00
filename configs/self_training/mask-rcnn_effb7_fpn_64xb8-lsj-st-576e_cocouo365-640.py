r"""Student EfficientNet-B7 FPN at 640: no objects pasted.

Pseudo-labels on unlabelled COCO and Objects365.

Paper: Table 3, 'self-training'.
Expected: 50.0 box AP, 44.0 mask AP (the paper's); ours not measured.
Hardware: 64 GPUs with 8 images each; memory and hours not measured.
Command, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/self_training/mask-rcnn_effb7_fpn_64xb8-lsj-st-576e_cocouo365-640.py 8
"""

_base_ = [
    '../_base_/models/mask-rcnn_effb7_fpn.py',
    '../_base_/datasets/coco-unlabeled-objects365-640_lsj.py',
    '../_base_/schedules/sgd_b256.py',
    '../_base_/schedules/576e_b256.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=8)
# Twice the teacher's batch; the learning rate stays (Section 4.1).
auto_scale_lr = dict(base_batch_size=512)
