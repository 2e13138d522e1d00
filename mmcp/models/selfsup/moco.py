"""MoCo v2, the baseline of CP2 from the same parts."""

from typing import Any

from torch import Tensor, nn

from mmcp.functional.contrastive import (
    check_positive,
    info_nce_accuracy,
    info_nce_loss,
    masked_pool,
    unit_norm,
)
from mmcp.models.selfsup.encoder import ImageEncoder
from mmcp.models.selfsup.momentum_contrast import (
    MomentumContrast,
    Views,
    spread,
)
from mmcp.registry import MODELS

Config = dict[str, Any]


@MODELS.register_module()
class MoCo(MomentumContrast):
    """Pretrains a backbone by telling images apart.

    Implements `MoCo v2 <https://arxiv.org/abs/2003.04297>`_: global average
    pooling of the last feature map, an MLP, InfoNCE against a queue. Masks
    are ignored.

    Args:
        backbone: Config of the backbone, such as MMSegmentation's ResNet.
        projector: Arguments of ``Projector``, with ``in_channels``.
        queue_len: Number of keys kept, K in the paper. Defaults to 65536.
        momentum: m of ``key = m * key + (1 - m) * query``; mmengine's own
            averages take 1 - m. Defaults to 0.999.
        temperature: What cosines are divided by. Defaults to 0.2.
        shuffle_bn: Whether keys are shuffled between GPUs, or between the
            parts of ``bn_splits``. Defaults to True.
        bn_splits: Parts of a batch that batch normalisation treats as if they
            were on different GPUs; 8 on a single GPU. Defaults to 1.
        checkpoint_activations: Save memory as ``ImageEncoder`` says. Defaults
            to False.
        seed: Seed of the shuffled order. Defaults to 0.
        data_preprocessor: Config of the data preprocessor. Defaults to None.
        init_cfg: Initialisation of the whole model. Defaults to None.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(
        self,
        backbone: Config,
        projector: Config,
        queue_len: int = 65536,
        momentum: float = 0.999,
        temperature: float = 0.2,
        shuffle_bn: bool = True,
        bn_splits: int = 1,
        checkpoint_activations: bool = False,
        seed: int = 0,
        data_preprocessor: Config | nn.Module | None = None,
        init_cfg: Config | list[Config] | None = None,
    ) -> None:
        check_positive('temperature', temperature)
        super().__init__(
            ImageEncoder(backbone, projector, checkpoint_activations),
            queue_len=queue_len,
            momentum=momentum,
            shuffle_bn=shuffle_bn,
            bn_splits=bn_splits,
            seed=seed,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        self.temperature = temperature

    def loss(self, inputs: Views, masks: Views | None) -> dict[str, Tensor]:
        """Computes the loss and what is watched; one step.

        Args:
            inputs: Views ``query`` and ``key``, shape (N, 3, H, W).
            masks: Not used.

        Returns:
            ``loss_instance``, ``acc_instance``, ``queue_fill`` (percent) and,
            with two samples or more, ``std_pooled``.
        """
        query = masked_pool(
            unit_norm(self.encoder_q(inputs['query'])).flatten(2)
        )
        step = self.start_step()
        negatives = self.queue.snapshot()
        key = masked_pool(self.encode_keys(inputs['key'], step).flatten(2))
        results = dict(
            loss_instance=info_nce_loss(
                query, key, negatives, self.temperature
            ),
            acc_instance=info_nce_accuracy(query, key, negatives),
        )
        if len(query) > 1:
            results['std_pooled'] = spread(query)
        self.finish_step(key)
        return results | dict(queue_fill=self.queue.fill)
