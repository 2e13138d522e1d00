r"""Student R50-FPN at 1024, unlabelled COCO: no objects pasted.

Paper: Table 3, 'self-training'; differs: Res-50 FPN (1024), batch 128, 146
    epochs, unlabelled COCO only.
Expected: not measured; the paper's 50.0 box AP and 44.0 mask AP are of
    EfficientNet-B7 FPN (640).
Hardware: 8 GPUs with 16 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/self_training/mask-rcnn_r50_fpn_8xb16-lsj-st-270k_cocou-1024.py 8
"""

_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/coco-unlabeled-1024_lsj.py',
    '../_base_/schedules/sgd_b64.py',
    '../_base_/schedules/270k.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=16)
# Twice the teacher's batch; the learning rate stays (Section 4.1).
auto_scale_lr = dict(base_batch_size=128)
