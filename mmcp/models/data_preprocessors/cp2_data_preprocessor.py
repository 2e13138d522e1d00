"""Batches of CP2 and MoCo: augmentation, pasting and normalisation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmcp.functional.batched_views import (
    augment_views,
    blur_radius,
    draw_partners,
    normalize_images,
    paste_images,
)
from mmcp.functional.views import VECTOR_FIELDS
from mmcp.registry import MODELS

__all__ = ['CP2DataPreprocessor']

_SIGMA = VECTOR_FIELDS.index('sigma')
# Enough for MoCo v2's greatest sigma of 2; one size is compiled once.
_LEAST_RADIUS = 6

Images = dict[str, Tensor]


@MODELS.register_module()
class CP2DataPreprocessor(BaseDataPreprocessor):  # type: ignore[misc]
    """Makes what the model sees of a batch of pairs, on the model's device.

    Takes the collated samples of :class:`mmcp.CopyPastePairDataset`. Where
    they bring ``views`` (``augment='model'``), colours, gray, blur and flip
    are done here for the whole batch, as drawn by the workers. Where workers
    have not pasted, foregrounds are put on their backgrounds: exactly ``fg *
    M + bg * (1 - M)``, as in section 3.1 of `CP2
    <https://arxiv.org/abs/2203.11709>`_. Then values are normalised.

    Everything is float32 and without gradient, also inside autocast.

    Args:
        mean: Mean of R, G and B. Defaults to (123.675, 116.28, 103.53),
            ImageNet's.
        std: Standard deviation of R, G and B. Defaults to (58.395, 57.12,
            57.375), ImageNet's.
        backgrounds: ``'dataset'``: backgrounds are other images of the data
            set, pasted by the workers or sent along. ``'batch'``: the
            background of a sample's query is the query of another sample,
            that of its key the key of another one; no sample is its own
            background, and from three samples on the two differ. Which ones
            depends on the samples' places in the training stream alone.
            Defaults to 'dataset'.
        channels_last: Whether images are laid out channels last, which
            convolutions on GPUs want. Defaults to False.
        compile: Whether ``torch.compile`` fuses the augmentation of
            ``augment='model'``, as a GPU wants. Defaults to False.
        seed: Changes which samples of a batch exchange images. Defaults to
            0.
        non_blocking: Whether copies to the device overlap with other work,
            if the loader pins memory. Defaults to True.

    Raises:
        ValueError: If ``backgrounds`` is unknown, or ``mean`` or ``std`` do
            not have three values.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        backgrounds: str = 'dataset',
        *,
        channels_last: bool = False,
        compile: bool = False,
        seed: int = 0,
        non_blocking: bool = True,
    ) -> None:
        super().__init__(non_blocking)
        if backgrounds not in ('dataset', 'batch'):
            raise ValueError(
                "backgrounds must be 'dataset' or 'batch', but is "
                f'{backgrounds!r}'
            )
        if len(mean) != 3 or len(std) != 3:
            raise ValueError(
                'mean and std need three values, of R, G and B, but have '
                f'{len(mean)} and {len(std)}'
            )
        self.backgrounds = backgrounds
        self.seed = seed
        for name, values in (('mean', mean), ('std', std)):
            buffer = torch.tensor(values, dtype=torch.float32)
            self.register_buffer(name, buffer, persistent=False)
        self._layout = (
            torch.channels_last if channels_last else torch.contiguous_format
        )
        self._augment = (
            torch.compile(augment_views) if compile else augment_views
        )

    def forward(
        self, data: Mapping[str, Any], training: bool = False
    ) -> dict[str, Any]:
        """Prepares a batch; training and evaluation do not differ.

        Args:
            data: Collated by ``default_collate``, images uint8 and RGB:

                - ``inputs``: dict with ``query`` and ``key``, shape (N, 3, H,
                  W) each; or one such tensor, which is normalised only.
                - ``masks``: dict with ``query`` and ``key``, shape (N, H, W)
                  each, bool, true in the foreground, on the final grid. None
                  or absent without copy-paste.
                - ``backgrounds``: dict like ``inputs``. Absent if workers
                  have pasted, or if they are taken from the batch.
                - ``views``: dict with ``query`` and ``key``, and
                  ``query_background`` and ``key_background`` where there are
                  backgrounds: parameters of shape (N, 8), float32. Absent if
                  workers have augmented.
                - ``position``: places in the stream, shape (N,), int64;
                  needed with ``backgrounds='batch'`` only.
            training: Not used. Defaults to False.

        Returns:
            A dict with ``inputs`` and, if there are any, ``masks``, of the
            same structure; images are float32.

        Raises:
            TypeError: If the batch was not collated into tensors.
            ValueError: If parts of the batch are missing or do not fit
                together, or if a batch of one takes its backgrounds from the
                batch.
        """
        inputs = data['inputs']
        single = isinstance(inputs, Tensor)
        images = _tensors({'image': inputs} if single else inputs)
        _check_images(images)
        device = torch.device(self.device)
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            if single:
                moved: Images = self.cast_data(images)
                return {'inputs': self._normalize(moved['image'])}
            return self._prepare(images, data)

    def _prepare(
        self, images: Images, data: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Augments, pastes and normalises pairs."""
        backgrounds = _tensors(data.get('backgrounds') or {})
        masks = _tensors(data.get('masks') or {})
        views = _tensors(data.get('views') or {})
        self._check_parts(images, masks, backgrounds, views)
        places = {f'{name}_background': name for name in backgrounds}
        images = images | {
            place: backgrounds[name] for place, name in places.items()
        }
        images = self._augmented(images, views)
        masks = self.cast_data(masks)
        if places:
            backgrounds = {
                name: images.pop(place) for place, name in places.items()
            }
        elif masks and self.backgrounds == 'batch':
            backgrounds = self._exchanged(images, data)
        for name, background in backgrounds.items():
            images[name] = paste_images(images[name], background, masks[name])
        prepared: dict[str, Any] = {
            'inputs': {
                name: self._normalize(image) for name, image in images.items()
            }
        }
        if masks:
            prepared['masks'] = masks
        return prepared

    def _augmented(self, images: Images, views: Images) -> Images:
        """Moves images to the device and augments them there."""
        if not views:
            moved: Images = self.cast_data(images)
            return moved
        if views.keys() != images.keys():
            raise ValueError(
                f'there are images {sorted(images)}, but views {sorted(views)}'
            )
        # Still on the CPU, so that nothing waits for the device.
        greatest = max(float(view[:, _SIGMA].max()) for view in views.values())
        radius = max(_LEAST_RADIUS, blur_radius(greatest))
        images, views = self.cast_data(images), self.cast_data(views)
        return {
            name: self._augment(image, views[name], radius)
            for name, image in images.items()
        }

    def _exchanged(self, images: Images, data: Mapping[str, Any]) -> Images:
        """Takes each sample's backgrounds from other samples."""
        if 'position' not in data:
            raise ValueError(
                "backgrounds='batch' needs each sample's 'position', which "
                'mmcp.CopyPastePairDataset gives'
            )
        positions = data['position'].tolist()
        if len(positions) < 2:
            raise ValueError(
                "backgrounds='batch' needs at least two samples in every "
                'batch of a GPU, but there is one; use a larger batch_size, '
                "drop_last=True, or backgrounds='dataset'"
            )
        rng = np.random.default_rng([self.seed, *positions])
        partners = zip(
            ('query', 'key'), draw_partners(len(positions), rng), strict=True
        )
        return {
            name: images[name][self.cast_data(indices)]
            for name, indices in partners
        }

    def _normalize(self, images: Tensor) -> Tensor:
        normalized = normalize_images(images, self.mean, self.std)
        return normalized.contiguous(memory_format=self._layout)

    def _check_parts(
        self,
        images: Images,
        masks: Images,
        backgrounds: Images,
        views: Images,
    ) -> None:
        """Checks that all parts of a batch belong together."""
        self._check_pasting(masks, backgrounds, views)
        for kind, part in (('masks', masks), ('backgrounds', backgrounds)):
            if part and part.keys() != images.keys():
                raise ValueError(
                    f'there are {kind} of {sorted(part)}, but images '
                    f'{sorted(images)}'
                )
        _check_images(backgrounds)
        for name, mask in masks.items():
            image = images[name]
            if mask.dtype != torch.bool or mask.shape != (
                len(image),
                *image.shape[2:],
            ):
                raise ValueError(
                    f'the mask of {name} must be bool of shape (N, H, W), '
                    f'but is {mask.dtype} of {tuple(mask.shape)} for images '
                    f'of {tuple(image.shape)}'
                )

    def _check_pasting(
        self, masks: Images, backgrounds: Images, views: Images
    ) -> None:
        """Checks that backgrounds come from where they are expected."""
        if backgrounds and self.backgrounds == 'batch':
            raise ValueError(
                "the data set sends backgrounds, but backgrounds='batch'; "
                'give the data set and the data preprocessor the same value'
            )
        if views and masks and not backgrounds and self.backgrounds != 'batch':
            raise ValueError(
                'the images are neither pasted nor come with backgrounds, but '
                "backgrounds='dataset'; give the data set and the data "
                'preprocessor the same value'
            )
        if backgrounds and not masks:
            raise ValueError('there are backgrounds, but no masks')


def _tensors(part: Any) -> Images:
    """A part of the batch, after checking that it is made of tensors."""
    if not isinstance(part, Mapping) or not all(
        isinstance(value, Tensor) for value in part.values()
    ):
        raise TypeError(
            'a batch must hold dicts of tensors; set '
            "collate_fn=dict(type='default_collate') in the dataloader"
        )
    return dict(part)


def _check_images(images: Images) -> None:
    for name, image in images.items():
        if image.ndim != 4 or image.shape[1] != 3:
            raise ValueError(
                f'images of {name} must have shape (N, 3, H, W), but have '
                f'{tuple(image.shape)}'
            )
