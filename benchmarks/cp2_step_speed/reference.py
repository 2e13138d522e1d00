"""The step of CP2's released algorithm, written anew from its description.

Plain PyTorch in float32: the moving average parameter by parameter, logits
joined with the queue's, the matrix of pixels against pixels as it stands. It
is what a reader of the paper would write, and what ours must agree with.
"""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ReleasedCP2(nn.Module):
    """Encoders, queue and losses of CP2 on one device.

    Args:
        encoder: Gives a map of shape (N, D, h, w) for images (N, 3, H, W).
        channels: D.
        queue_len: Number of keys kept.
    """

    def __init__(self, encoder: nn.Module, channels: int, queue_len: int):
        super().__init__()
        self.encoder_q = encoder
        self.encoder_k = deepcopy(encoder)
        for parameter in self.encoder_k.parameters():
            parameter.requires_grad = False
        queue = F.normalize(torch.randn(channels, queue_len), dim=0)
        self.register_buffer('queue', queue)
        self.pointer = 0

    def forward(
        self, inputs: dict[str, Tensor], masks: dict[str, Tensor]
    ) -> Tensor:
        """Makes a step up to the loss.

        Args:
            inputs: Normalised ``query`` and ``key``, shape (N, 3, H, W).
            masks: Their foregrounds, shape (N, H, W).

        Returns:
            The instance loss and 0.2 times the dense loss, shape ().
        """
        query = F.normalize(self.encoder_q(inputs['query']), dim=1)
        with torch.no_grad():
            self._move_key_encoder()
            order = torch.randperm(len(query), device=query.device)
            key = self.encoder_k(inputs['key'][order])
            key = F.normalize(key, dim=1)[torch.argsort(order)]
        stride = inputs['query'].shape[-1] // query.shape[-1]
        start = stride // 2
        grid = [
            masks[view][:, start::stride, start::stride].flatten(1).float()
            for view in ('query', 'key')
        ]
        query, key = query.flatten(2), key.flatten(2)
        one = F.normalize((query * grid[0][:, None]).sum(2), dim=1)
        other = F.normalize((key * grid[1][:, None]).sum(2), dim=1)
        loss = self._instance(one, other) + 0.2 * _dense(query, key, *grid)
        self._enqueue(other)
        return loss

    def _instance(self, query: Tensor, key: Tensor) -> Tensor:
        positive = torch.einsum('nc,nc->n', query, key)[:, None]
        negative = query @ self.queue.clone().detach()
        logits = torch.cat([positive, negative], dim=1) / 0.2
        target = torch.zeros(
            len(logits), dtype=torch.long, device=logits.device
        )
        return F.cross_entropy(logits, target)

    def _move_key_encoder(self) -> None:
        pairs = zip(
            self.encoder_q.parameters(),
            self.encoder_k.parameters(),
            strict=True,
        )
        for query, key in pairs:
            key.data = key.data * 0.999 + query.data * 0.001

    @torch.no_grad()
    def _enqueue(self, keys: Tensor) -> None:
        for key in keys.split(self.queue.shape[1] - self.pointer):
            end = self.pointer + len(key)
            self.queue[:, self.pointer : end] = key.t()
            self.pointer = end % self.queue.shape[1]


def _dense(
    query: Tensor, key: Tensor, query_mask: Tensor, key_mask: Tensor
) -> Tensor:
    logits = torch.einsum('ncx,ncy->nxy', query, key)
    positive = query_mask[:, :, None] * key_mask[:, None, :]
    log_share = F.log_softmax(logits, dim=1)
    loss = -(positive * log_share).sum(dim=(1, 2)) / positive.sum(dim=(1, 2))
    return loss.mean()
