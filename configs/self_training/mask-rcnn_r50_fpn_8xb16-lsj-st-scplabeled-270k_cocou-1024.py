r"""Student R50-FPN at 1024, unlabelled COCO: objects pasted into COCO.

Paper: Table 3, '+Copy-Paste COCO'; differs: Res-50 FPN (1024), batch 128,
    146 epochs, unlabelled COCO only.
Expected: not measured; the paper's 50.4 box AP and 44.0 mask AP are of
    EfficientNet-B7 FPN (640).
Hardware: 8 GPUs with 16 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/self_training/mask-rcnn_r50_fpn_8xb16-lsj-st-scplabeled-270k_cocou-1024.py 8
"""

_base_ = './mask-rcnn_r50_fpn_8xb16-lsj-st-270k_cocou-1024.py'

# Objects of COCO go onto COCO only.
train_dataloader = dict(dataset=dict(labeled_prob=1.0))
