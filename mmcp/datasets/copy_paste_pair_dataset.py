"""Pairs of composed images that share their foreground, for CP2."""

from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mmcp.datasets.file_masks import FileMasks, build_mask
from mmcp.datasets.image_reader import ImageReader
from mmcp.datasets.sample_index import SampleIndex
from mmcp.datasets.transforms.randomness import worker_rng
from mmcp.datasets.unlabeled_image_dataset import UnreadableImage
from mmcp.functional.decoding import (
    EncodedImage,
    PixelImage,
    UndecodableImage,
)
from mmcp.functional.foreground_masks import ForegroundMask
from mmcp.functional.views import (
    ViewParams,
    ViewSettings,
    augment_view,
    crop_view,
    draw_view,
    reduction_for,
)
from mmcp.registry import DATASETS

__all__ = ['CopyPastePairDataset']

Image = EncodedImage | PixelImage
Mask = NDArray[np.bool_]
Planes = NDArray[np.uint8]

_MAX_REFETCH = 50
# A third word, so that nothing else draws the same numbers.
_STREAM = 2
_SIDES = ('query', 'key')


class _NoneLeft(RuntimeError):
    """There is no image that is not to be avoided."""


@dataclass(frozen=True)
class _View:
    """A view of an image.

    Args:
        params: What was drawn.
        mask: Its foreground, shape (H, W), bool; None for backgrounds.
        crop: Its pixels before the colours, RGB, (H, W, 3), uint8.
    """

    params: ViewParams
    mask: Mask | None
    crop: NDArray[np.uint8]


_Drawn = list[tuple[ViewParams, Mask | None]]
_Draw = Callable[[np.random.Generator, tuple[int, int], str], _Drawn]


@DATASETS.register_module()
class CopyPastePairDataset:
    """Two views of an image, each pasted onto another image.

    The data of section 3.1 of `CP2 <https://arxiv.org/abs/2203.11709>`_:
    query and key are views of one image, ``fg``, with masks ``M`` of their
    own, in front of views of other images, ``bg``: ``fg * M + bg * (1 - M)``,
    exactly. With ``mask=None`` they are the two plain views of `MoCo v2
    <https://arxiv.org/abs/2003.04297>`_.

    All draws of a sample follow from the seed and the sample's position if
    the sampler is :class:`mmcp.EpochSampler` or
    :class:`mmcp.InfiniteSampler`: any number of workers, a resumed run and
    either ``augment`` give the same. Otherwise they follow the worker's
    numpy state. An unreadable image is reported, and another one takes its
    place.

    Samples are dicts of uint8 (3, H, W) RGB images in ``inputs``, of bool
    (H, W) masks in ``masks``, each with ``query`` and ``key``, and
    ``position``, the place in the stream (the index where there is none).
    Collate them with mmengine's ``default_collate``.

    Args:
        dataset: The images: a :class:`mmcp.UnlabeledImageDataset`, or any
            data set whose items have ``img_path``, or ``img`` of a pipeline
            with ``LoadImageFromFile`` alone; or its config.
        size: Height and width of the views; one number for both. Defaults to
            224.
        views: Arguments of :class:`mmcp.functional.views.ViewSettings` that
            differ from MoCo v2's. Defaults to None.
        mask: The foreground: ``'rectangle'``, ``'polygon'``, ``'blocks'``,
            ``'patches'``, or a dict with such a ``type`` and its arguments,
            ``dict(type='rectangle', area=(0.5, 0.8), aspect=(0.8, 1.25))``,
            see :mod:`mmcp.functional.foreground_masks`; with type ``'file'``
            masks are read, see :class:`mmcp.datasets.file_masks.FileMasks`.
            None for no copy-paste. Defaults to 'rectangle'.
        backgrounds: ``'dataset'``: two more random images, never the
            sample's own, as in the released code; or ``'batch'``: the data
            preprocessor pastes onto other samples of the batch, so that only
            one image is decoded. Without ``mask`` it means nothing. Defaults
            to 'dataset'.
        augment: ``'worker'``: samples are finished here; or ``'model'``: only
            cropped and resized, and the data preprocessor does the rest on
            the device from ``views``, float32 (8,) for each image, in the
            order of ``mmcp.functional.views.VECTOR_FIELDS``. Its
            backgrounds come as ``backgrounds``. Masks are those of the final
            images; only the images are still to be mirrored. Defaults to
            'worker'.
        background_dataset: Where backgrounds come from. Defaults to None,
            meaning ``dataset``.

    Raises:
        ValueError: If an argument is out of its range, if there is no other
            image to paste onto, or if no such mask has foreground and
            background on a grid of its stride.
    """

    def __init__(
        self,
        dataset: Any,
        size: int | tuple[int, int] = 224,
        views: Mapping[str, Any] | None = None,
        mask: str | Mapping[str, Any] | None = 'rectangle',
        *,
        backgrounds: str = 'dataset',
        augment: str = 'worker',
        background_dataset: Any = None,
    ) -> None:
        _check_choice('backgrounds', backgrounds, ('dataset', 'batch'))
        _check_choice('augment', augment, ('worker', 'model'))
        self.size = _pair(size)
        self.settings = ViewSettings(**(views or {}))
        self.mask = None if mask is None else build_mask(mask)
        self.backgrounds = backgrounds
        self.augment = augment
        self.dataset = _build(dataset)
        self._images = ImageReader(self.dataset)
        self._separate = background_dataset is not None
        self._grounds = (
            ImageReader(_build(background_dataset))
            if self._separate
            else self._images
        )
        self._check_numbers()
        if isinstance(self.mask, ForegroundMask):
            # What cannot be drawn is told now, not by the first worker.
            self.mask.draw(np.random.default_rng(0), self.size)

    def _check_numbers(self) -> None:
        if not len(self._images):
            raise ValueError('the data set has no images')
        if not self._pastes:
            return
        if len(self._grounds) < (1 if self._separate else 2):
            raise ValueError(
                'there is no other image to paste onto: the data set of the '
                f'backgrounds has {len(self._grounds)}; use more, '
                "backgrounds='batch', or mask=None for no copy-paste"
            )

    @property
    def _pastes(self) -> bool:
        """Whether backgrounds are chosen here."""
        return self.mask is not None and self.backgrounds == 'dataset'

    @property
    def metainfo(self) -> dict[str, Any]:
        """Meta information of the data set of images."""
        return dict(getattr(self.dataset, 'metainfo', None) or {})

    def full_init(self) -> None:
        """Does nothing: the data sets are initialised at construction."""

    def __len__(self) -> int:
        """Number of images."""
        return len(self._images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Makes a sample.

        Args:
            index: Index of the foreground, at best a
                :class:`mmcp.datasets.sample_index.SampleIndex`.

        Returns:
            The sample, as described above.

        Raises:
            RuntimeError: If far too many images cannot be read.
        """
        rng = _rng_of(index)
        own, fore = self._read(
            rng, self._images, index, int(index), set(), self._draw_pair
        )
        back: list[_View] = []
        if self._pastes:
            back = self._read_backgrounds(rng, index, own)
        finished = self.augment == 'worker'
        sample: dict[str, Any] = (_composed if finished else _unfinished)(
            fore, back
        )
        masks = [view.mask for view in fore if view.mask is not None]
        if masks:
            sample['masks'] = _by_side(masks)
        position = getattr(index, 'position', int(index))
        sample['position'] = torch.tensor(position)
        return sample

    def _read_backgrounds(
        self, rng: np.random.Generator, index: int, own: int
    ) -> list[_View]:
        """One view of each of two images, different ones if there are."""
        own_place = set() if self._separate else {own}
        place, view = self._read_background(rng, index, own_place)
        try:
            _, other = self._read_background(rng, index, {*own_place, place})
        except _NoneLeft:
            _, other = self._read_background(rng, index, own_place)
        return [view, other]

    def _read_background(
        self, rng: np.random.Generator, index: int, avoided: set[int]
    ) -> tuple[int, _View]:
        place, (view,) = self._read(
            rng,
            self._grounds,
            index,
            _draw_place(rng, len(self._grounds), avoided),
            avoided,
            self._draw_background,
        )
        return place, view

    def _read(
        self,
        rng: np.random.Generator,
        reader: ImageReader,
        index: int,
        place: int,
        avoided: Collection[int],
        draw: _Draw,
    ) -> tuple[int, list[_View]]:
        """Reads views of an image, or of another if it is unreadable."""
        avoided = set(avoided)
        for _ in range(_MAX_REFETCH):
            try:
                image, path = reader.open(index, place)
                drawn = _draw_or_refuse(draw, rng, image, path)
                return place, self._cut(image, drawn)
            except (UnreadableImage, UndecodableImage) as error:
                reader.report(place, error)
            avoided.add(place)
            place = _draw_place(rng, len(reader), avoided)
        raise RuntimeError(
            f'{_MAX_REFETCH} images in a row cannot be read; look at the '
            'list of unreadable images, and whether the disk is there'
        )

    def _draw_pair(
        self, rng: np.random.Generator, image_size: tuple[int, int], path: str
    ) -> _Drawn:
        return [self._draw_fore(rng, image_size, path) for _ in _SIDES]

    def _draw_fore(
        self, rng: np.random.Generator, image_size: tuple[int, int], path: str
    ) -> tuple[ViewParams, Mask | None]:
        def draw_params() -> ViewParams:
            return draw_view(rng, image_size, self.settings)

        if self.mask is None:
            return draw_params(), None
        if isinstance(self.mask, FileMasks):
            return self.mask.draw(
                rng, path, image_size, self.size, draw_params
            )
        return draw_params(), self.mask.draw(rng, self.size)

    def _draw_background(
        self, rng: np.random.Generator, image_size: tuple[int, int], _: str
    ) -> _Drawn:
        return [(draw_view(rng, image_size, self.settings), None)]

    def _cut(self, image: Image, drawn: _Drawn) -> list[_View]:
        reduction = reduction_for((p for p, _ in drawn), self.size)
        pixels = image.decode(reduction)
        views = []
        for params, mask in drawn:
            crop = crop_view(pixels, params, self.size, image.size)
            crop = cv2.cvtColor(crop, cv2.COLOR_BGR2RGB)
            views.append(_View(params, mask, crop))
        return views

    def __repr__(self) -> str:
        """Shows what samples are made of."""
        return (
            f'{type(self).__name__}({len(self)} images, size={self.size}, '
            f'mask={self.mask!r}, backgrounds={self.backgrounds!r}, '
            f'augment={self.augment!r})'
        )


def _draw_or_refuse(
    draw: _Draw, rng: np.random.Generator, image: Image, path: str
) -> _Drawn:
    """Draws views; a missing mask is no mistake if the image is damaged."""
    try:
        return draw(rng, image.size, path)
    except FileNotFoundError:
        image.decode()
        raise


def _composed(
    fore: Sequence[_View], back: Sequence[_View]
) -> dict[str, dict[str, torch.Tensor]]:
    """Augments the views and pastes them onto the backgrounds, if any."""
    images = [augment_view(view.crop, view.params) for view in fore]
    for number, view in enumerate(back):
        ground = augment_view(view.crop, view.params)
        images[number] = _paste(images[number], fore[number].mask, ground)
    return {'inputs': _by_side(_planes(image) for image in images)}


def _unfinished(
    fore: Sequence[_View], back: Sequence[_View]
) -> dict[str, dict[str, torch.Tensor]]:
    """What a device needs to do the same."""
    sample = {
        'inputs': _by_side(_planes(view.crop) for view in fore),
        'views': _by_side(view.params.to_vector() for view in fore),
    }
    if back:
        sample['backgrounds'] = _by_side(_planes(v.crop) for v in back)
        for side, view in zip(_SIDES, back, strict=True):
            vector = torch.from_numpy(view.params.to_vector())
            sample['views'][f'{side}_background'] = vector
    return sample


def _paste(
    image: NDArray[np.uint8], mask: Mask | None, ground: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Copies the foreground of an image onto ``ground``, in place."""
    assert mask is not None, 'backgrounds are read only for masks'
    pasted: NDArray[np.uint8] = cv2.copyTo(image, mask.view(np.uint8), ground)
    return pasted


def _by_side(arrays: Iterable[NDArray[Any]]) -> dict[str, torch.Tensor]:
    return {
        side: torch.from_numpy(array)
        for side, array in zip(_SIDES, arrays, strict=True)
    }


def _planes(image: NDArray[np.uint8]) -> Planes:
    """Height, width, channel to channel, height, width."""
    planes = np.empty((image.shape[2], *image.shape[:2]), np.uint8)
    # Into the planes that are given: five times faster than a transposition.
    cv2.split(image, list(planes))
    return planes


def _rng_of(index: int) -> np.random.Generator:
    if isinstance(index, SampleIndex):
        return np.random.default_rng((index.seed, index.position, _STREAM))
    return worker_rng()


def _draw_place(
    rng: np.random.Generator, count: int, avoided: Collection[int]
) -> int:
    """Draws an image that is not to be avoided."""
    if len(avoided) >= count:
        raise _NoneLeft(
            f'no other of {count} images can be read; see the list of '
            'unreadable images'
        )
    while (place := int(rng.integers(count))) in avoided:
        pass
    return place


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(
            f'size must be a positive number or (height, width), but is {size}'
        )
    return int(pair[0]), int(pair[1])


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(
            f'{name} must be {" or ".join(map(repr, choices))}, but is '
            f'{value!r}'
        )


def _build(dataset: Any) -> Any:
    built = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
    if hasattr(built, 'full_init'):
        built.full_init()
    return built
