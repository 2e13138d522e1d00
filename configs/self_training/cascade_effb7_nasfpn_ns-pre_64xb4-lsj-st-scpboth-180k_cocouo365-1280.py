r"""Student Cascade EfficientNet-B7 NAS-FPN at 1280: pasted into both.

Pseudo-labels on unlabelled COCO and Objects365. For test-dev, the cocotestdev
config of configs/copy_paste takes its checkpoints, too.

Paper: Table 4, 'w/ self-training Copy-Paste'.
Expected: 57.0 box AP, 48.9 mask AP (the paper's); ours not measured.
Hardware: 64 GPUs with 4 images each; memory and hours not measured.
Command, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/self_training/cascade_effb7_nasfpn_ns-pre_64xb4-lsj-st-scpboth-180k_cocouo365-1280.py 8
"""

_base_ = [
    '../_base_/models/cascade-mask-rcnn_effb7_nasfpn.py',
    '../_base_/datasets/coco-unlabeled-objects365-1280_lsj.py',
    '../_base_/schedules/sgd_b256.py',
    '../_base_/schedules/180k.py',
    '../_base_/default_runtime.py',
]

# Objects of COCO go onto all images. The batch is the teacher's, for lack of
# memory (Section 4.1).
train_dataloader = dict(
    batch_size=4, dataset=dict(labeled_prob=1.0, pseudo_prob=1.0)
)
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='mmcp.Pretrained',
            checkpoint='https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/tf_efficientnet_b7_ns-1dbc32de.pth',
        )
    )
)
