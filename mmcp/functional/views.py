"""Random views of an image: the augmentation of MoCo v2 (``--aug-plus``).

A random crop is resized, its colours are jittered, it may become gray, be
blurred and be mirrored, in this order, as in section 3.1 of `CP2
<https://arxiv.org/abs/2203.11709>`_ and in `MoCo v2
<https://arxiv.org/abs/2003.04297>`_. All that is random about a view is drawn
first, into :class:`ViewParams`; what follows is a pure function, here or on
the device.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mmcp.functional.blurring import gaussian_blur
from mmcp.functional.color_jitter import ORDERS, jitter_colors, to_gray
from mmcp.functional.ranges import check_range
from mmcp.functional.resizing import resize_antialiased

__all__ = [
    'VECTOR_FIELDS',
    'ViewParams',
    'ViewSettings',
    'augment_view',
    'crop_view',
    'draw_view',
    'reduction_for',
]

Image = NDArray[np.uint8]
Box = tuple[int, int, int, int]

VECTOR_FIELDS = (
    'brightness',
    'contrast',
    'saturation',
    'hue',
    'order',
    'gray',
    'sigma',
    'flip',
)
"""Order of the numbers in :meth:`ViewParams.to_vector`."""

_TRIES = 10
_REDUCTIONS = (8, 4, 2)


@dataclass(frozen=True)
class ViewSettings:
    """What views are drawn from; the defaults are those of MoCo v2.

    Args:
        crop_scale: Least and greatest area of the crop, relative to the
            image's. Defaults to (0.2, 1.0).
        crop_ratio: Least and greatest width of the crop relative to its
            height. Defaults to (3 / 4, 4 / 3).
        jitter_prob: Probability of the colour jitter. Defaults to 0.8.
        brightness: The factor lies in 1 +- this. Defaults to 0.4.
        contrast: The factor lies in 1 +- this. Defaults to 0.4.
        saturation: The factor lies in 1 +- this. Defaults to 0.4.
        hue: The shift lies in +- this, in turns. Defaults to 0.1.
        gray_prob: Probability of losing all colour. Defaults to 0.2.
        blur_prob: Probability of the blur. Defaults to 0.5.
        blur_sigma: Least and greatest standard deviation of the blur, in
            pixels of the view. Defaults to (0.1, 2.0).
        flip_prob: Probability of mirroring left to right. Defaults to 0.5.

    Raises:
        ValueError: If a value is out of its range.
    """

    crop_scale: tuple[float, float] = (0.2, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    jitter_prob: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    gray_prob: float = 0.2
    blur_prob: float = 0.5
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    flip_prob: float = 0.5

    def __post_init__(self) -> None:
        """Checks the values."""
        for name in ('jitter_prob', 'gray_prob', 'blur_prob', 'flip_prob'):
            self._check(name, 0, 1)
        for name in ('brightness', 'contrast', 'saturation'):
            self._check(name, 0, 1)
        self._check('hue', 0, 0.5)
        check_range('crop_scale', self.crop_scale, limit=1)
        check_range('crop_ratio', self.crop_ratio)
        check_range('blur_sigma', self.blur_sigma)

    def _check(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            raise ValueError(
                f'{name} must lie in [{low}, {high}], but is {value}'
            )


@dataclass(frozen=True)
class ViewParams:
    """Everything random about one view.

    Args:
        box: The crop in the image, ``xyxy``, whole pixels, half open.
        brightness: Factor; 1 changes nothing. Defaults to 1.0.
        contrast: Factor; 1 changes nothing. Defaults to 1.0.
        saturation: Factor; 1 changes nothing. Defaults to 1.0.
        hue: Shift in turns; 0 changes nothing. Defaults to 0.0.
        order: In which order these four are applied, an index into
            ``color_jitter.ORDERS``. Defaults to 0.
        gray: Whether the view loses all colour. Defaults to False.
        sigma: Standard deviation of the blur in pixels of the view; 0 is no
            blur. Defaults to 0.0.
        flip: Whether the view is mirrored left to right. Defaults to False.
    """

    box: Box
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue: float = 0.0
    order: int = 0
    gray: bool = False
    sigma: float = 0.0
    flip: bool = False

    def to_vector(self) -> NDArray[np.float32]:
        """All but the box as numbers, for a device.

        Returns:
            The fields named in ``VECTOR_FIELDS``, shape (8,), float32.
        """
        values = [float(getattr(self, name)) for name in VECTOR_FIELDS]
        return np.array(values, np.float32)

    @classmethod
    def from_vector(
        cls, vector: NDArray[np.float32], box: Box = (0, 0, 0, 0)
    ) -> 'ViewParams':
        """Makes parameters of :meth:`to_vector`'s numbers again.

        Args:
            vector: Shape (8,), float32.
            box: The crop, which the numbers do not hold. Defaults to
                (0, 0, 0, 0).

        Returns:
            The parameters, rounded to float32.

        Raises:
            ValueError: If there are not eight numbers.
        """
        types = {'order': int, 'gray': bool, 'flip': bool}
        values = {
            name: types.get(name, float)(value)
            for name, value in zip(VECTOR_FIELDS, vector.tolist(), strict=True)
        }
        return cls(box, **values)


def draw_view(
    rng: np.random.Generator,
    image_size: tuple[int, int],
    settings: ViewSettings,
) -> ViewParams:
    """Draws a view.

    Everything but the box is drawn first, from as many numbers whatever the
    settings, so that it does not depend on the size of the image.

    Args:
        rng: Source of randomness.
        image_size: Size of the image, (H, W).
        settings: What to draw from.

    Returns:
        The drawn parameters.
    """
    jittered, grayed, blurred, flipped, *draws = rng.random(9).tolist()
    order = int(rng.integers(len(ORDERS)))
    box = _draw_box(rng, image_size, settings)
    low, high = settings.blur_sigma
    params = dict(
        gray=grayed < settings.gray_prob,
        sigma=low + draws[0] * (high - low)
        if blurred < settings.blur_prob
        else 0.0,
        flip=flipped < settings.flip_prob,
    )
    if jittered >= settings.jitter_prob:
        return ViewParams(box, **params)
    brightness, contrast, saturation, hue = (2 * d - 1 for d in draws[1:])
    return ViewParams(
        box,
        brightness=1 + brightness * settings.brightness,
        contrast=1 + contrast * settings.contrast,
        saturation=1 + saturation * settings.saturation,
        hue=hue * settings.hue,
        order=order,
        **params,
    )


def _draw_box(
    rng: np.random.Generator,
    image_size: tuple[int, int],
    settings: ViewSettings,
) -> Box:
    """Draws a crop, distributed as torchvision's RandomResizedCrop."""
    height, width = image_size
    low, high = np.log(settings.crop_ratio)
    for _ in range(_TRIES):
        area = height * width * rng.uniform(*settings.crop_scale)
        ratio = np.exp(rng.uniform(low, high))
        columns = round(float(np.sqrt(area * ratio)))
        rows = round(float(np.sqrt(area / ratio)))
        if 0 < columns <= width and 0 < rows <= height:
            y = int(rng.integers(height - rows + 1))
            x = int(rng.integers(width - columns + 1))
            return x, y, x + columns, y + rows
    return _central_box(image_size, settings.crop_ratio)


def _central_box(
    image_size: tuple[int, int], crop_ratio: tuple[float, float]
) -> Box:
    """The largest crop of an allowed ratio in the middle of the image."""
    rows, columns = height, width = image_size
    low, high = crop_ratio
    if width / height < low:
        rows = min(max(round(width / low), 1), height)
    elif width / height > high:
        columns = min(max(round(height * high), 1), width)
    y, x = (height - rows) // 2, (width - columns) // 2
    return x, y, x + columns, y + rows


def reduction_for(views: Iterable[ViewParams], size: tuple[int, int]) -> int:
    """How much smaller an image may be decoded for these views of it.

    Args:
        views: The views.
        size: Height and width of the views.

    Returns:
        8, 4, 2 or 1: the greatest with which all crops still have at least
        as many pixels, in height and width, as the views.
    """
    scales = []
    for view in views:
        x0, y0, x1, y1 = view.box
        scales += [(y1 - y0) / size[0], (x1 - x0) / size[1]]
    least = min(scales, default=1.0)
    return next((r for r in _REDUCTIONS if r <= least), 1)


def crop_view(
    image: Image,
    params: ViewParams,
    size: tuple[int, int],
    image_size: tuple[int, int] | None = None,
) -> Image:
    """Cuts out a view's crop and resizes it.

    Args:
        image: Image of shape (H, W, 3) or (H, W), uint8, channels in any
            order.
        params: The view; only its box is used.
        size: Height and width of the result.
        image_size: Size of the image that the box belongs to, if ``image``
            is a smaller copy of it, (H, W). Defaults to None, meaning the
            size of ``image``.

    Returns:
        A new image of the given size, same number of channels and dtype.
    """
    x0, y0, x1, y1 = params.box
    reduced = image_size is not None and image_size != image.shape[:2]
    if image_size is not None and reduced:
        y0, y1 = _rescale(y0, y1, image.shape[0], image_size[0])
        x0, x1 = _rescale(x0, x1, image.shape[1], image_size[1])
    return resize_antialiased(image[y0:y1, x0:x1], size, reduced)


def _rescale(start: int, stop: int, size: int, whole: int) -> tuple[int, int]:
    """A range in a smaller copy, at least one pixel long."""
    reduction = -(-whole // size)
    # Reduced JPEGs are rounded up: the last pixel stands for fewer.
    is_reduced = -(-whole // reduction) == size
    factor = 1 / reduction if is_reduced else size / whole
    first = min(round(start * factor), size - 1)
    return first, min(max(round(stop * factor), first + 1), size)


def augment_view(view: Image, params: ViewParams) -> Image:
    """Does all that follows the crop: colours, gray, blur and flip.

    Args:
        view: RGB image of shape (H, W, 3), uint8.
        params: The view; its box is not used.

    Returns:
        A new image, same shape and dtype, or ``view`` itself if there is
        nothing to change.
    """
    factors = (
        params.brightness,
        params.contrast,
        params.saturation,
        params.hue,
    )
    view = jitter_colors(view, factors, params.order)
    if params.gray:
        view = to_gray(view)
    if params.sigma:
        view = gaussian_blur(view, params.sigma)
    if params.flip:
        view = cv2.flip(view, 1)
    return view
