"""The second training stage on LVIS: the last classification layer alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmdet.models.detectors import TwoStageDetector
from mmdet.structures import SampleList
from torch import Tensor

from mmcp.checkpoints.comparison import compare
from mmcp.checkpoints.strict import MismatchError
from mmcp.models.trained_parameters import PartlyTrained
from mmcp.registry import MODELS


@MODELS.register_module()
class ClassifierFineTuner(PartlyTrained, TwoStageDetector):  # type: ignore[misc]
    """Trains the last classification layer of a two-stage detector.

    The second stage of section 4.7 of `Simple Copy-Paste
    <https://arxiv.org/abs/2012.07177>`_: "only update the final
    classification layer in Mask R-CNN using the classification loss". Put it
    in the place of ``MaskRCNN`` or ``CascadeRCNN`` (all heads of a cascade
    are trained), and :class:`mmcp.ClassifierRoIHead` or
    :class:`mmcp.ClassifierCascadeRoIHead` in that of the RoI head, and start
    from the first stage's checkpoint, whose names it keeps; the first stage's
    config can test what it saves. A checkpoint without all that stays frozen
    is refused, where mmengine would only warn and leave it random.

    Everything else is frozen and in evaluation mode, see
    :class:`PartlyTrained`. The RPN proposes, but has no losses.

    Args:
        *args: As of MMDetection's ``TwoStageDetector``.
        trained: Names of the parameters to train, with ``*`` for any
            characters. Defaults to ('roi_head.bbox_head*.fc_cls.*',).
        **kwargs: As of MMDetection's ``TwoStageDetector``.

    Attributes:
        trained_names: Names of the parameters that are trained.

    Raises:
        ValueError: If one of ``trained`` matches no parameter.
    """

    def __init__(
        self,
        *args: Any,
        trained: Sequence[str] = ('roi_head.bbox_head*.fc_cls.*',),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.train_only(trained)

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Tensor], prefix: str, *args: Any
    ) -> None:
        """Refuses weights that would leave frozen ones random.

        Both torch's and mmengine's loading come here first, whether they are
        strict or not.
        """
        frozen = {
            name: value
            for name, value in self.state_dict(prefix=prefix).items()
            if name.removeprefix(prefix) not in self.trained_names
        }
        held = {
            name: state_dict[name] for name in frozen if name in state_dict
        }
        comparison = compare('detector', frozen, held)
        if not comparison.fits:
            raise MismatchError(
                '\n  '.join(
                    [
                        'The checkpoint does not hold all that '
                        f'{type(self).__name__} keeps as it is; start from '
                        'the first stage of the same model and classes '
                        '(load_from):',
                        *comparison.problems(),
                    ]
                )
            )
        super()._load_from_state_dict(state_dict, prefix, *args)

    def loss(
        self, batch_inputs: Tensor, batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """Computes the classification loss.

        Args:
            batch_inputs: Images, shape (N, C, H, W).
            batch_data_samples: Their annotations.

        Returns:
            ``loss_cls`` and ``acc``, or those of every stage of a cascade.
        """
        features = self.extract_feat(batch_inputs)
        proposals = self._propose(features, batch_data_samples)
        losses = self.roi_head.loss(features, proposals, batch_data_samples)
        return {
            name: value
            for name, value in losses.items()
            if 'loss' not in name or 'loss_cls' in name
        }

    def _propose(
        self, features: tuple[Tensor, ...], samples: SampleList
    ) -> list[Any]:
        """What the RPN proposes in training, without its losses."""
        if not self.with_rpn:
            return [sample.proposals for sample in samples]
        config = self.train_cfg.get('rpn_proposal', self.test_cfg.rpn)
        proposals: list[Any] = self.rpn_head.predict_by_feat(
            *self.rpn_head(features),
            batch_img_metas=[sample.metainfo for sample in samples],
            cfg=config,
        )
        return proposals
