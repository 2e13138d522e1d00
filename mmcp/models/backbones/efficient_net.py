"""EfficientNet as a detector's backbone, started as its authors start it."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from mmdet.models.backbones import EfficientNet as MMDetEfficientNet
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from mmcp.registry import MODELS


@MODELS.register_module()
class EfficientNet(MMDetEfficientNet):  # type: ignore[misc]
    """MMDetection's ``EfficientNet`` with what training from scratch needs.

    Names and shapes of the weights are MMDetection's. What differs:

    - depthwise convolutions start with the variance of `EfficientNet
      <https://arxiv.org/abs/1905.11946>`_'s released code. MMDetection's
      ``Kaiming`` counts all channels in the fan-out of a filter that sees
      one: in the widest block of B7 the weights start 62 times too small,
      and the variance of what they give is below the ``eps`` of the
      normalisation that follows;
    - swish is one operation, which keeps a fifth less memory for the
      gradients than mmcv's ``Swish`` does;
    - ``norm_eval`` holds for synchronised normalisation, too;
    - ``train`` and ``eval`` return the backbone.

    Convolutions are padded as TensorFlow's ("same": an output has
    ``ceil(size / stride)`` positions, and an odd row of padding is at the
    end), and the ``eps`` of norms is 1e-3. So were the published weights
    trained: timm's whose names begin with ``tf_`` (``tf_efficientnet_b7_ns``
    is Noisy Student), those of EfficientNet-PyTorch and of MMPreTrain.
    ``mmcp.Pretrained`` reads all of them. timm's other EfficientNets have the
    same names, but are padded evenly: give ``conv_cfg=None`` and
    ``norm_cfg=dict(type='BN', eps=1e-5)`` for them.

    Args:
        *args: As of MMDetection's ``EfficientNet``: ``arch`` from ``'b0'`` to
            ``'b8'``, ``drop_path_rate`` (the last block's; it grows linearly
            from 0), ``out_indices`` (2 to 5 are the strides 4 to 32) ...
        act_cfg: Activation. Defaults to None, ``dict(type='SiLU')``, which
            is swish.
        **kwargs: The same as ``args``.
    """

    def __init__(
        self,
        *args: Any,
        act_cfg: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        act_cfg = act_cfg or dict(type='SiLU')
        super().__init__(*args, act_cfg=act_cfg, **kwargs)

    def make_layer(self) -> None:
        """Makes the stages, on the meta device, too."""
        with _RatesOnCPU():
            super().make_layer()

    def init_weights(self) -> None:
        """Fills the weights as ``init_cfg`` says.

        After MMDetection's ``Kaiming``, depthwise convolutions are scaled to
        the fan-out of one group; weights read from a file stay as they are.
        """
        fresh = not self.is_init
        super().init_weights()
        if fresh and _is_kaiming(self.init_cfg):
            _scale_depthwise(self.modules())

    def train(self, mode: bool = True) -> 'EfficientNet':
        """Sets the mode; frozen stages and norms stay in evaluation.

        Args:
            mode: Whether to train. Defaults to True.

        Returns:
            Itself.
        """
        super().train(mode)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self


class _RatesOnCPU(TorchFunctionMode):
    """Gives the rates of stochastic depth values where a model has none.

    MMDetection reads them from a tensor of the default device.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs['device'] = 'cpu'
        return func(*args, **kwargs)


def _is_kaiming(init_cfg: Any) -> bool:
    """Whether weights are drawn by ``Kaiming`` and none are read after it."""
    items = init_cfg if isinstance(init_cfg, list) else [init_cfg]
    first = items[0] if items else None
    if not isinstance(first, Mapping) or first['type'] != 'Kaiming':
        return False
    return not any('checkpoint' in item for item in items)


@torch.no_grad()
def _scale_depthwise(modules: Iterable[nn.Module]) -> None:
    """Makes the fan-out that of one group: ``std = sqrt(2 / (k*k))``."""
    for module in modules:
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            module.weight.mul_(math.sqrt(module.groups))
