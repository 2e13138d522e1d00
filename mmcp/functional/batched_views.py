"""The augmentation of :mod:`mmcp.functional.views` for a whole batch.

Every image of the batch has its own parameters, and there is no loop over
images: on a GPU the work is a few dozen launches whatever the batch, and
``torch.compile`` fuses most of them. Values stay whole numbers of gray levels
in float32, rounded and clipped after every step as the CPU path does, so that
both give the same images but for a gray level here and there.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmcp.functional.color_jitter import ORDERS
from mmcp.functional.views import VECTOR_FIELDS

__all__ = [
    'augment_views',
    'blur_images',
    'blur_radius',
    'draw_partners',
    'flip_images',
    'gray_images',
    'jitter_images',
    'normalize_images',
    'paste_images',
    'shift_hues',
]

_GRAY = (0.299, 0.587, 0.114)
_FACTORS = ('brightness', 'contrast', 'saturation', 'hue')
_HUE = _FACTORS.index('hue')
# For each order: the three other steps, and how many of them precede the hue.
_BLENDS = [[step for step in order if step != _HUE] for order in ORDERS]
_HUE_PLACES = [order.index(_HUE) for order in ORDERS]
_CONTRAST, _SATURATION = 1, 2
# Standard deviations that the blur's kernel reaches to either side.
_REACH = 3.0
_LEAST_SIGMA = 1e-2


def augment_views(images: Tensor, vectors: Tensor, radius: int = 6) -> Tensor:
    """Does all that follows the crop: colours, gray, blur and flip.

    Args:
        images: RGB images of shape (N, 3, H, W), uint8, or float with values
            from 0 to 255.
        vectors: Parameters of each, shape (N, 8), float32, as
            ``ViewParams.to_vector`` gives them, on the images' device.
        radius: Pixels that the blur reaches; ``blur_radius`` of the greatest
            sigma. Defaults to 6, enough for sigma 2.

    Returns:
        New images, same shape, float32, whole numbers from 0 to 255.

    Raises:
        ValueError: If the shapes do not fit.
    """
    if vectors.shape != (len(images), len(VECTOR_FIELDS)):
        raise ValueError(
            f'{len(images)} images need parameters of shape '
            f'({len(images)}, {len(VECTOR_FIELDS)}), but they have '
            f'{tuple(vectors.shape)}'
        )
    fields = dict(zip(VECTOR_FIELDS, vectors.unbind(1), strict=True))
    factors = torch.stack([fields[name] for name in _FACTORS], 1)
    images = jitter_images(images.float(), factors, fields['order'].long())
    images = gray_images(images, fields['gray'] > 0)
    images = blur_images(images, fields['sigma'], radius)
    return flip_images(images, fields['flip'] > 0)


def jitter_images(images: Tensor, factors: Tensor, orders: Tensor) -> Tensor:
    """Changes brightness, contrast, saturation and hue, each in its order.

    Every image has its hue turned once, and three blends before and three
    after, of which only its own change something.

    Args:
        images: RGB images of shape (N, 3, H, W), float, 0 to 255.
        factors: Factors of brightness, contrast and saturation and the shift
            of the hue in turns, shape (N, 4); 1, 1, 1 and 0 change nothing.
        orders: Which of ``color_jitter.ORDERS``, shape (N,), int64.

    Returns:
        New images, same shape and dtype, whole numbers.
    """
    device = images.device
    blends = torch.tensor(_BLENDS, device=device)[orders]  # (N, 3)
    before = torch.tensor(_HUE_PLACES, device=device)[orders]
    amounts = factors.gather(1, blends)
    for place in range(3):
        wanted = place < before
        images = _blend(images, amounts[:, place], blends[:, place], wanted)
    images = shift_hues(images, factors[:, _HUE])
    for place in range(3):
        wanted = place >= before
        images = _blend(images, amounts[:, place], blends[:, place], wanted)
    return images


def _blend(
    images: Tensor, factors: Tensor, kinds: Tensor, wanted: Tensor
) -> Tensor:
    """Mixes images with black, their mean gray or their gray version."""
    factors = _per_image(torch.where(wanted, factors, 1.0))
    kinds = _per_image(kinds)
    gray = _gray(images)
    mean = gray.mean((2, 3), keepdim=True)
    base = torch.where(kinds == _SATURATION, gray, 0.0)
    base = torch.where(kinds == _CONTRAST, mean, base)
    # Exactly the images where the factor is one.
    return _levels(torch.lerp(base, images, factors))


def shift_hues(images: Tensor, turns: Tensor) -> Tensor:
    """Turns the hue, leaving saturation and value of HSV as they are.

    Args:
        images: RGB images of shape (N, 3, H, W), float, 0 to 255.
        turns: Shift of each in turns of the colour circle, shape (N,).

    Returns:
        New images, same shape and dtype, whole numbers.
    """
    red, green, blue = images.unbind(1)
    value = images.amax(1)
    chroma = value - images.amin(1)
    # Sixths of the circle from red; any hue will do where there is none.
    safe = torch.where(chroma > 0, chroma, 1.0)
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(
            value == green,
            2 + (blue - red) / safe,
            4 + (red - green) / safe,
        ),
    )
    hue = hue + 6 * turns[:, None, None]
    channels = [_channel(hue, value, chroma, start) for start in (5, 3, 1)]
    return _levels(torch.stack(channels, 1))


def _channel(hue: Tensor, value: Tensor, chroma: Tensor, start: int) -> Tensor:
    """One channel of HSV images; red starts at 5, green at 3, blue at 1."""
    place = (hue + start) % 6
    return value - chroma * torch.minimum(place, 4 - place).clamp(0, 1)


def gray_images(images: Tensor, flags: Tensor) -> Tensor:
    """Removes all colour from some images.

    Args:
        images: RGB images of shape (N, 3, H, W), float, 0 to 255.
        flags: From which ones, shape (N,), bool.

    Returns:
        New images, same shape and dtype; gray ones are whole numbers.
    """
    return torch.where(_per_image(flags), _gray(images).round(), images)


def blur_images(images: Tensor, sigmas: Tensor, radius: int) -> Tensor:
    """Blurs each image with a Gaussian of its own width.

    Pixels at the border are repeated beyond it.

    Args:
        images: Images of shape (N, C, H, W), float, 0 to 255.
        sigmas: Standard deviation of each in pixels, shape (N,); 0 is no
            blur.
        radius: Pixels that the kernel reaches to either side.

    Returns:
        New images, same shape and dtype, whole numbers.
    """
    count, channels, height, width = images.shape
    kernels = _kernels(sigmas, radius).repeat_interleave(channels, 0)
    planes = images.reshape(1, count * channels, height, width)
    groups = count * channels
    planes = F.pad(planes, (radius, radius, 0, 0), 'replicate')
    planes = F.conv2d(planes, kernels[:, None, None, :], groups=groups)
    planes = F.pad(planes, (0, 0, radius, radius), 'replicate')
    planes = F.conv2d(planes, kernels[:, None, :, None], groups=groups)
    return planes.reshape(images.shape).round_()


def _kernels(sigmas: Tensor, radius: int) -> Tensor:
    """Gaussian kernels of sum one, shape (N, 2 * radius + 1)."""
    offsets = torch.arange(-radius, radius + 1, device=sigmas.device)
    scaled = offsets / sigmas.clamp(min=_LEAST_SIGMA)[:, None]
    weights = torch.exp(-0.5 * scaled * scaled)
    return weights / weights.sum(1, keepdim=True)


def blur_radius(sigma: float) -> int:
    """Pixels that the kernel of a blur reaches, three standard deviations.

    Args:
        sigma: Standard deviation in pixels.

    Returns:
        The radius.
    """
    return int(np.ceil(_REACH * sigma))


def flip_images(images: Tensor, flags: Tensor) -> Tensor:
    """Mirrors some images or masks left to right.

    Args:
        images: Shape (N, ..., H, W), any dtype.
        flags: Which ones, shape (N,), bool.

    Returns:
        New images, same shape and dtype.
    """
    flags = flags.reshape(-1, *[1] * (images.ndim - 1))
    return torch.where(flags, images.flip(-1), images)


def paste_images(
    foregrounds: Tensor, backgrounds: Tensor, masks: Tensor
) -> Tensor:
    """Puts foregrounds on backgrounds: ``fg * M + bg * (1 - M)``, exactly.

    Args:
        foregrounds: Images of shape (N, C, H, W).
        backgrounds: Images of the same shape and dtype.
        masks: True where the foreground is, shape (N, H, W), bool.

    Returns:
        New images, same shape and dtype.
    """
    return torch.where(masks[:, None], foregrounds, backgrounds)


def normalize_images(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Subtracts a mean and divides by a standard deviation.

    Args:
        images: Shape (N, C, H, W), any dtype.
        mean: Of each channel, shape (C,), float32.
        std: Of each channel, shape (C,), float32.

    Returns:
        New images, same shape, float32.
    """
    return (images.float() - mean[:, None, None]) / std[:, None, None]


def draw_partners(
    count: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Draws from which other samples of a batch backgrounds are taken.

    The samples stand in a circle in random order: one takes the next one's
    image, and the one after next's. Thus nobody gets its own, everybody is
    taken once, and each pair of others is equally likely.

    Args:
        count: Samples in the batch, N.
        rng: Source of randomness.

    Returns:
        Two permutations without fixed points, shape (N,), int64. From three
        samples on they differ everywhere; of two samples both are the swap.

    Raises:
        ValueError: If there are fewer than two samples.
    """
    if count < 2:
        raise ValueError(
            f'a batch of {count} has no other images to take as background'
        )
    circle = rng.permutation(count)
    partners = np.empty((2, count), np.int64)
    partners[0, circle] = np.roll(circle, -1)
    partners[1, circle] = np.roll(circle, -2 if count > 2 else -1)
    first, second = torch.from_numpy(partners)
    return first, second


def _gray(images: Tensor) -> Tensor:
    """Gray versions, shape (N, 1, H, W), not rounded."""
    red, green, blue = images.unbind(1)
    gray = _GRAY[0] * red + _GRAY[1] * green + _GRAY[2] * blue
    return gray[:, None]


def _levels(images: Tensor) -> Tensor:
    """Rounds and clips, in place: to be called with new images only."""
    return images.clamp_(0, 255).round_()


def _per_image(values: Tensor) -> Tensor:
    return values[:, None, None, None]
