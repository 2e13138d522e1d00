"""What MoCo and CP2 share: two encoders, a queue and a step counter."""

from abc import abstractmethod
from copy import deepcopy
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmcp.checkpoints.pretrained import mark_initialised
from mmcp.functional.contrastive import unit_norm
from mmcp.models.selfsup.encoder import ImageEncoder, SegmentationEncoder
from mmcp.models.selfsup.key_queue import KeyQueue
from mmcp.models.selfsup.shuffle import (
    check_equal_batches,
    gather_batch,
    own_part,
    shuffle_order,
)
from mmcp.models.selfsup.split_batch_norm import (
    has_batch_norm,
    split_batch_norm,
)

Encoder = SegmentationEncoder | ImageEncoder
Config = dict[str, Any]
Views = dict[str, Tensor]


class MomentumContrast(BaseModel):  # type: ignore[misc]
    """A query encoder, its moving average and a queue of keys.

    ``encoder_k`` starts as a copy of ``encoder_q`` with whatever weights
    ``init_weights`` gave that, and is a copy too where a checkpoint holds
    ``encoder_q`` alone. It has no gradients; its batch normalisation
    statistics are its own.

    Every forward pass in training with ``mode='loss'`` moves ``encoder_k``,
    fills the queue and counts as a step. With gradients accumulated over n
    batches the queue rightly takes all keys; give ``momentum ** (1 / n)`` to
    move ``encoder_k`` as far per optimizer step as without. So does a pass
    whose gradients overflow in float16, for which the optimizer takes no
    step: its keys are sound negatives, and queries stand still.

    A checkpoint holds all of it. Resumed or taken as ``load_from``, keys and
    steps go on where they were (``dense_warmup`` is not done again); to start
    from mere weights give them as ``init_cfg`` of backbone or head.

    Args:
        encoder: The query encoder.
        queue_len: Number of keys kept, K in the paper.
        momentum: m of ``key = m * key + (1 - m) * query``.
        shuffle_bn: Whether keys are encoded on other devices, or in other
            parts of the batch, than their queries. Without batch
            normalisation it is never done.
        bn_splits: Parts of a batch that batch normalisation treats as if they
            were on different GPUs.
        seed: Seed of the shuffled order.
        data_preprocessor: Config of the data preprocessor.
        init_cfg: Initialisation of the whole model.

    Attributes:
        step: Number of training steps so far, shape (), int64.

    Raises:
        ValueError: If momentum, queue_len or bn_splits is out of range.
    """

    step: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        queue_len: int,
        momentum: float,
        shuffle_bn: bool,
        bn_splits: int,
        seed: int,
        data_preprocessor: Config | nn.Module | None,
        init_cfg: Config | list[Config] | None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        if not 0 <= momentum <= 1:
            raise ValueError(f'momentum must be in [0, 1], but is {momentum}')
        if bn_splits < 1:
            raise ValueError(f'bn_splits must be >= 1, but is {bn_splits}')
        if bn_splits > 1:
            split_batch_norm(encoder, bn_splits)
        self.encoder_q = encoder
        self.encoder_k = deepcopy(encoder).requires_grad_(False)
        self.queue = KeyQueue(encoder.out_channels, queue_len)
        self.momentum = float(momentum)
        self.bn_splits = bn_splits
        self.seed = seed
        self.shuffle_bn = shuffle_bn and has_batch_norm(encoder)
        self._pools_to_one = _pools_to_one(encoder)
        self.register_buffer('step', torch.zeros((), dtype=torch.int64))

    def init_weights(self) -> None:
        """Initialises the query encoder and copies it to the key encoder."""
        mark_initialised(self.encoder_k)
        super().init_weights()
        self.encoder_k.load_state_dict(self.encoder_q.state_dict())

    def forward(
        self,
        inputs: Views | Tensor,
        masks: Views | None = None,
        mode: str = 'tensor',
    ) -> Tensor | dict[str, Tensor]:
        """Computes losses or features.

        Args:
            inputs: Normalised views ``query`` and ``key``, each of shape
                (N, 3, H, W); a tensor will do for features.
            masks: Their foregrounds, each bool of shape (N, H, W). Defaults
                to None (images are not composed).
            mode: ``'loss'`` or ``'tensor'``. Defaults to ``'tensor'``.

        Returns:
            Losses and monitored values by name, each of shape (), or the
            features of :meth:`extract` from the query view.

        Raises:
            ValueError: If the mode is unknown or the inputs do not fit.
        """
        if mode == 'tensor':
            query = inputs if isinstance(inputs, Tensor) else inputs['query']
            return self.extract(query)
        if mode != 'loss':
            raise ValueError(
                f"mode must be 'loss' or 'tensor', but is {mode!r}: a model "
                'in pretraining predicts nothing. Remove val_cfg and test_cfg'
            )
        if isinstance(inputs, Tensor):
            raise ValueError(
                'the loss needs inputs=dict(query=..., key=...), but got one '
                'tensor'
            )
        self._check_views(inputs, masks)
        return self.loss(inputs, masks)

    def extract(self, images: Tensor, encoder: str = 'query') -> Tensor:
        """Projected features of length one.

        Args:
            images: Normalised images, shape (N, 3, H, W).
            encoder: ``'query'`` or ``'key'``. Defaults to ``'query'``.

        Returns:
            Shape (N, D, h, w), float32, unit norm over D; h = w = 1 from a
            model that pools before it projects.

        Raises:
            ValueError: If the encoder is unknown.
        """
        encoders = {'query': self.encoder_q, 'key': self.encoder_k}
        if encoder not in encoders:
            raise ValueError(
                f"encoder must be 'query' or 'key', but is {encoder!r}"
            )
        return unit_norm(encoders[encoder](images))

    @abstractmethod
    def loss(self, inputs: Views, masks: Views | None) -> dict[str, Tensor]:
        """Computes losses and monitored values by name; one step.

        Args:
            inputs: Views ``query`` and ``key``.
            masks: Their foregrounds, or None.

        Returns:
            Scalars; the sum of those named ``loss_*`` is minimised.
        """

    # Not worth compiling: one fused call for all parameters, and a schedule
    # may change the number in every step. The copy must not be optimised
    # away, or a compiled backward pass would read the counter after the step.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    @torch.no_grad()
    def start_step(self) -> Tensor:
        """Moves the key encoder, in training.

        Returns:
            Number of steps before this one, shape (), int64; it stays as it
            is when the step is finished.
        """
        if self.training:
            torch._foreach_lerp_(
                list(self.encoder_k.parameters()),
                list(self.encoder_q.parameters()),
                1 - self.momentum,
            )
        return self.step.clone()

    @torch.no_grad()
    def encode_keys(self, images: Tensor, step: Tensor) -> Tensor:
        """Encodes keys, each on some device or in some part of the batch.

        Args:
            images: Key views of this rank, shape (N, 3, H, W).
            step: What :meth:`start_step` returned.

        Returns:
            Unit-norm features of these, shape (N, D, h, w), without gradient.

        Raises:
            ValueError: If the batches of the ranks differ in size.
        """
        check_equal_batches(len(images), images.device)
        ranks = get_world_size()
        shuffles = self.shuffle_bn and ranks * self.bn_splits > 1
        if not (shuffles and self.training):
            return unit_norm(self.encoder_k(images))
        order = shuffle_order(ranks * len(images), step, self.seed)
        images = gather_batch(_as_computed(images))[own_part(order)]
        maps = gather_batch(self.encoder_k(images))
        return unit_norm(maps[own_part(torch.argsort(order))])

    @torch.no_grad()
    def finish_step(self, keys: Tensor | None) -> None:
        """Counts the step and keeps the keys of all ranks.

        Args:
            keys: Pooled keys of this rank, unit norm, shape (N, D). None
                leaves the queue as it is.
        """
        if not self.training:
            return
        if keys is not None:
            self.queue.enqueue(gather_batch(keys))
        self.step.add_(1)

    def _check_views(self, inputs: Views, masks: Views | None) -> None:
        for name in ('query', 'key'):
            for part in (inputs, masks):
                if part is not None and name not in part:
                    raise ValueError(
                        f'inputs and masks need query and key, but one has '
                        f'{sorted(part)}'
                    )
            if masks is not None:
                _check_mask(name, inputs[name], masks[name])
        count, keys = len(inputs['query']), len(inputs['key'])
        if count != keys:
            raise ValueError(f'{count} query views, but {keys} key views')
        if (
            self.training
            and count // self.bn_splits < 2
            and self._pools_to_one
        ):
            raise ValueError(
                f'{count} sample(s) per GPU in {self.bn_splits} part(s): the '
                'head pools an image to one position, and batch '
                'normalisation cannot work on a single one. Take at least 2 '
                'samples per GPU and part, or GroupNorm in the head'
            )

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *rest: Any
    ) -> None:
        """Lets a checkpoint without key encoder fill both."""
        query, key = f'{prefix}encoder_q.', f'{prefix}encoder_k.'
        if not any(name.startswith(key) for name in state_dict):
            for name in [n for n in state_dict if n.startswith(query)]:
                state_dict[key + name[len(query) :]] = state_dict[name]
        super()._load_from_state_dict(state_dict, prefix, *rest)


def spread(features: Tensor) -> Tensor:
    """Standard deviation over a batch, mean over channels.

    About ``1 / sqrt(D)`` where unit-norm features point everywhere, 0 where
    all are the same (collapse).

    Args:
        features: Unit-norm features, shape (N, D, ...).

    Returns:
        Shape ().
    """
    return features.detach().std(dim=0, correction=0).mean()


def _as_computed(images: Tensor) -> Tensor:
    """Casts to what autocast would cast to anyway: less to send."""
    device = images.device.type
    if torch.is_autocast_enabled(device):
        return images.to(torch.get_autocast_dtype(device))
    return images


def _check_mask(name: str, images: Tensor, mask: Tensor) -> None:
    expected = (len(images), *images.shape[-2:])
    if tuple(mask.shape) != expected:
        raise ValueError(
            f'masks[{name!r}] must have shape {expected} like the images, '
            f'but has {tuple(mask.shape)}'
        )


def _pools_to_one(encoder: Encoder) -> bool:
    """Whether batch normalisation sees one position per image."""
    head = getattr(encoder, 'decode_head', None)
    if head is None or not has_batch_norm(head):
        return False
    return any(
        isinstance(part, nn.AdaptiveAvgPool2d)
        and part.output_size in (1, (1, 1))
        for part in head.modules()
    )
