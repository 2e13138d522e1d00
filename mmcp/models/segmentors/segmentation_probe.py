"""How well a pretrained segmentor's features tell classes apart."""

from collections.abc import Sequence
from typing import Any

from mmseg.models.segmentors import EncoderDecoder

from mmcp.models.trained_parameters import PartlyTrained
from mmcp.registry import MODELS


@MODELS.register_module()
class SegmentationProbe(PartlyTrained, EncoderDecoder):  # type: ignore[misc]
    """Trains the last layer of a segmentor, a linear one, alone.

    Put it in the place of ``EncoderDecoder`` and start it from a pretrained
    backbone and head: what comes out says what pretraining has taught them,
    and not what fine-tuning adds. Everything else is frozen and in evaluation
    mode, see :class:`PartlyTrained`.

    Args:
        *args: As of MMSegmentation's ``EncoderDecoder``.
        trained: Names of the parameters to train, with ``*`` for any
            characters; ('decode_head.*',) trains a head on a frozen
            backbone. Defaults to ('decode_head.conv_seg.*',).
        **kwargs: As of MMSegmentation's ``EncoderDecoder``.

    Attributes:
        trained_names: Names of the parameters that are trained.

    Raises:
        ValueError: If one of ``trained`` matches no parameter.
    """

    def __init__(
        self,
        *args: Any,
        trained: Sequence[str] = ('decode_head.conv_seg.*',),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.train_only(trained)
