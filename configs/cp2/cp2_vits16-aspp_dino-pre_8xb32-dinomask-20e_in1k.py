r"""CP2 Quick Tuning of ViT-S/16 + ASPP with DINO's attention as foreground.

The first command makes the masks, from DINO's ViT-B/16; --part shares it
between GPUs. How the paper thresholds the maps it does not say; the mean of
each is used.

Paper: Table 4, 'DINO self-attention mask, ViT-S/16'; differs: DINO's weights.
Expected: not measured; the paper has 79.3 mIoU on PASCAL VOC after
    fine-tuning.
Hardware: 8 GPUs with 32 images each; memory and hours not measured.
Command:
    python tools/converters/extract_attention_masks.py data/imagenet/train \
        data/weights/dino_vitbase16_pretrain.pth \
        --out data/imagenet/train_attention --device cuda
    bash tools/dist_train.sh \
        configs/cp2/cp2_vits16-aspp_dino-pre_8xb32-dinomask-20e_in1k.py 8
"""

_base_ = './cp2_vits16-aspp_dino-pre_8xb32-20e_in1k.py'

train_dataloader = dict(
    dataset=dict(
        # _delete_: masks from files know no area.
        mask=dict(
            _delete_=True,
            type='file',
            folder='data/imagenet/train_attention',
            images='data/imagenet/train',
            threshold='mean',
        )
    )
)
