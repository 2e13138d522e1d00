"""CP2: copy-paste contrastive pretraining of a segmentation model."""

from typing import Any

import torch
from torch import Tensor, nn

from mmcp.functional.contrastive import (
    DENOMINATORS,
    check_positive,
    dense_contrastive_loss,
    info_nce_accuracy,
    info_nce_loss,
    masked_pool,
    pair_statistics,
    resize_mask,
    unit_norm,
)
from mmcp.models.selfsup.encoder import SegmentationEncoder
from mmcp.models.selfsup.momentum_contrast import (
    MomentumContrast,
    Views,
    spread,
)
from mmcp.registry import MODELS

Config = dict[str, Any]


@MODELS.register_module()
class CP2(MomentumContrast):
    """Pretrains backbone and decode head on images with pasted foregrounds.

    Implements `CP2 <https://arxiv.org/abs/2203.11709>`_. Query and key show
    the same foreground on different backgrounds. The instance loss (Eq. 3)
    tells the pooled foregrounds of images apart, the dense loss (Eq. 2) tells
    foreground pixels from background pixels.

    The ablations of the paper's Table 6: instance loss only with
    ``dense_weight=0``, dense loss only with ``instance_weight=0``, no
    copy-paste with ``dense_weight=0`` and data without masks, which pools
    over the whole image.

    Args:
        backbone: Config of the backbone, from MMSegmentation.
        decode_head: Config of the decode head, as in a segmentor.
        neck: Config of what stands between. Defaults to None.
        projector: ``hidden_channels`` (those of the head by default) and
            ``out_channels`` (128). Defaults to None.
        queue_len: Number of keys kept, K in the paper. Defaults to 65536.
        momentum: m of ``key = m * key + (1 - m) * query``; mmengine's own
            averages take 1 - m. Defaults to 0.999.
        temperature: tau_ins in the paper. Defaults to 0.2.
        dense_temperature: tau_dense in the paper. Defaults to 1.0.
        instance_weight: Weight of the instance loss; 0 switches it and the
            queue off. Defaults to 1.0.
        dense_weight: Weight of the dense loss, alpha in the paper; 0 switches
            it off. Defaults to 0.2.
        dense_denominator: ``'query'`` as the released code computes the dense
            loss, ``'key'`` as Eq. 2 says. Defaults to ``'query'``.
        dense_warmup: Steps in which the dense weight grows from 0, for a
            trained backbone under a random head. Defaults to 0.
        dense_chunk: Rows of the matrix of pixels against pixels that are made
            at a time; for inputs of 512 pixels and more. Defaults to None,
            meaning all.
        shuffle_bn: Whether keys are shuffled between GPUs, or between the
            parts of ``bn_splits``. Defaults to True.
        bn_splits: Parts of a batch that batch normalisation treats as if they
            were on different GPUs; 8 on a single GPU. Defaults to 1.
        checkpoint_activations: Save memory as ``SegmentationEncoder`` says.
            Defaults to False.
        seed: Seed of the shuffled order. Defaults to 0.
        data_preprocessor: Config of the data preprocessor. Defaults to None.
        init_cfg: Initialisation of the whole model; give weights to start
            from as ``init_cfg`` of the backbone or the head. Defaults to None.

    Raises:
        ValueError: If a number is out of range, both losses are off, the
            denominator is unknown or the head cannot be used.
    """

    def __init__(
        self,
        backbone: Config,
        decode_head: Config,
        neck: Config | None = None,
        projector: Config | None = None,
        queue_len: int = 65536,
        momentum: float = 0.999,
        temperature: float = 0.2,
        dense_temperature: float = 1.0,
        instance_weight: float = 1.0,
        dense_weight: float = 0.2,
        dense_denominator: str = 'query',
        dense_warmup: int = 0,
        dense_chunk: int | None = None,
        shuffle_bn: bool = True,
        bn_splits: int = 1,
        checkpoint_activations: bool = False,
        seed: int = 0,
        data_preprocessor: Config | nn.Module | None = None,
        init_cfg: Config | list[Config] | None = None,
    ) -> None:
        _check_losses(
            instance_weight, dense_weight, dense_denominator, dense_warmup
        )
        for name, value in (
            ('temperature', temperature),
            ('dense_temperature', dense_temperature),
            ('dense_chunk', dense_chunk),
        ):
            if value is not None:
                check_positive(name, value)
        super().__init__(
            SegmentationEncoder(
                backbone, decode_head, neck, projector, checkpoint_activations
            ),
            queue_len=queue_len,
            momentum=momentum,
            shuffle_bn=shuffle_bn,
            bn_splits=bn_splits,
            seed=seed,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        self.temperature = temperature
        self.dense_temperature = dense_temperature
        self.instance_weight = instance_weight
        self.dense_weight = dense_weight
        self.dense_denominator = dense_denominator
        self.dense_warmup = dense_warmup
        self.dense_chunk = dense_chunk

    def loss(self, inputs: Views, masks: Views | None) -> dict[str, Tensor]:
        """Computes losses and what is watched; one step.

        Samples whose mask is empty on the feature grid are left out of both
        losses.

        Args:
            inputs: Views ``query`` and ``key``, shape (N, 3, H, W).
            masks: Their foregrounds, bool, shape (N, H, W). None where images
                are not composed.

        Returns:
            ``loss_instance`` and ``loss_dense``, weighted; ``acc_instance``,
            ``acc_dense`` and ``queue_fill`` in percent; ``cos_fg_fg``,
            ``cos_fg_bg``, ``std_pixels`` and, with two samples or more,
            ``std_pooled``. What belongs to a loss is absent if that is off.

        Raises:
            ValueError: If the dense loss is on, but there are no masks.
        """
        if masks is None and self.dense_weight:
            raise ValueError(
                'the dense loss needs masks. Let the data set compose images '
                '(mask=...), or switch it off with dense_weight=0'
            )
        query = unit_norm(self.encoder_q(inputs['query']))
        step = self.start_step()
        negatives = self.queue.snapshot() if self.instance_weight else None
        key = self.encode_keys(inputs['key'], step)
        query_mask = _grid_mask(masks, 'query', query)
        key_mask = _grid_mask(masks, 'key', key)
        query, key = query.flatten(2), key.flatten(2)  # (N, D, S)
        pooled_query = masked_pool(query, query_mask)
        pooled_key = masked_pool(key, key_mask)
        results: dict[str, Tensor] = {}
        if negatives is not None:
            both = query_mask.any(dim=1) & key_mask.any(dim=1)
            results |= self._instance_terms(
                pooled_query, pooled_key, negatives, both
            )
        if self.dense_weight:
            weight = self._dense_weight_at(step)
            results |= self._dense_terms(
                query, key, query_mask, key_mask, weight
            )
        results['std_pixels'] = spread(query.permute(2, 1, 0))
        if len(query) > 1:
            results['std_pooled'] = spread(pooled_query)
        self.finish_step(pooled_key if self.instance_weight else None)
        if self.instance_weight:
            results['queue_fill'] = self.queue.fill
        return results

    def _instance_terms(
        self, query: Tensor, key: Tensor, negatives: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        loss = info_nce_loss(query, key, negatives, self.temperature, weight)
        return dict(
            loss_instance=self.instance_weight * loss,
            acc_instance=info_nce_accuracy(query, key, negatives),
        )

    def _dense_terms(
        self,
        query: Tensor,
        key: Tensor,
        query_mask: Tensor,
        key_mask: Tensor,
        weight: Tensor | float,
    ) -> dict[str, Tensor]:
        loss = dense_contrastive_loss(
            query,
            key,
            query_mask,
            key_mask,
            self.dense_temperature,
            self.dense_denominator,
            self.dense_chunk,
        )
        statistics = pair_statistics(
            query, key, query_mask, key_mask, self.dense_chunk
        )
        return dict(
            loss_dense=weight * loss,
            acc_dense=statistics.accuracy,
            cos_fg_fg=statistics.foreground_cosine,
            cos_fg_bg=statistics.background_cosine,
        )

    def _dense_weight_at(self, step: Tensor) -> Tensor | float:
        if not self.dense_warmup:
            return self.dense_weight
        return self.dense_weight * (step / self.dense_warmup).clamp(max=1)


def _check_losses(
    instance_weight: float,
    dense_weight: float,
    dense_denominator: str,
    dense_warmup: int,
) -> None:
    if dense_denominator not in DENOMINATORS:
        raise ValueError(
            "dense_denominator must be 'query' (as released) or 'key' (Eq. "
            f'2), but is {dense_denominator!r}'
        )
    weights = instance_weight, dense_weight
    if min(weights) < 0 or not any(weights):
        raise ValueError(
            'weights must be >= 0 and one of them positive, but '
            f'instance_weight is {instance_weight} and dense_weight is '
            f'{dense_weight}'
        )
    if dense_warmup < 0:
        raise ValueError(f'dense_warmup must be >= 0, but is {dense_warmup}')


def _grid_mask(masks: Views | None, view: str, maps: Tensor) -> Tensor:
    """The foreground on a feature map's grid, bool, shape (N, S)."""
    size = (maps.shape[2], maps.shape[3])
    if masks is None:
        shape = (len(maps), size[0] * size[1])
        return torch.ones(shape, dtype=torch.bool, device=maps.device)
    return resize_mask(masks[view], size).flatten(1)
