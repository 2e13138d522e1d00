"""CP2's released input pipeline, by PIL, with torchvision's meaning.

Every sample decodes three images and makes four views; backgrounds get a
rectangle erased, from which the training script takes the mask on the GPU.
torchvision itself has no build for this environment, so its transforms are
written out here from their documentation, with one draw of torch or
``random`` where torchvision makes one.
"""

import io
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter

from mmcp.functional.color_jitter import ORDERS
from mmcp.functional.views import ViewParams, ViewSettings

_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
_STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
_TRIES = 10


class ReleasedPipeline:
    """Samples as the released loaders give them.

    Args:
        paths: The images.
        size: Height and width of the views. Defaults to 224.
    """

    def __init__(self, paths: Sequence[Path], size: int = 224) -> None:
        self.paths = list(paths)
        self.size = size
        self.settings = ViewSettings()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Two views of an image and one of each of two others.

        Args:
            index: Which image is the foreground.

        Returns:
            ``query``, ``key`` and their backgrounds with an erased rectangle,
            normalised, shape (3, size, size), float32.
        """
        fore = read_image(self.paths[index])
        sample = {side: self._view(fore) for side in ('query', 'key')}
        for side in ('query', 'key'):
            other = read_image(self.paths[random.randrange(len(self))])
            view = self._view(other)
            sample[f'{side}_background'] = erase(view)
        return sample

    def _view(self, image: Image.Image) -> torch.Tensor:
        params = draw_params(image.size[::-1], self.settings)
        return normalise(make_view(image, params, self.size))


def read_image(path: Path) -> Image.Image:
    """Decodes a file as torchvision's ImageFolder does.

    Args:
        path: The file.

    Returns:
        An RGB image.
    """
    with io.BytesIO(path.read_bytes()) as file:
        return Image.open(file).convert('RGB')


def draw_params(
    image_size: tuple[int, int], settings: ViewSettings
) -> ViewParams:
    """Draws a view from torch's and Python's global states.

    Args:
        image_size: Size of the image, (H, W).
        settings: What to draw from.

    Returns:
        The view.
    """
    box = _draw_box(image_size, settings)
    values: dict[str, Any] = {}
    if torch.rand(1).item() < settings.jitter_prob:
        order = tuple(torch.randperm(4).tolist())
        values = {
            'order': ORDERS.index(order),
            'brightness': 1 + _uniform(-1, 1) * settings.brightness,
            'contrast': 1 + _uniform(-1, 1) * settings.contrast,
            'saturation': 1 + _uniform(-1, 1) * settings.saturation,
            'hue': _uniform(-1, 1) * settings.hue,
        }
    values['gray'] = torch.rand(1).item() < settings.gray_prob
    if torch.rand(1).item() < settings.blur_prob:
        values['sigma'] = random.uniform(*settings.blur_sigma)
    values['flip'] = torch.rand(1).item() < settings.flip_prob
    return ViewParams(box, **values)


def _uniform(low: float, high: float) -> float:
    return float(torch.empty(1).uniform_(low, high))


def _draw_box(
    image_size: tuple[int, int], settings: ViewSettings
) -> tuple[int, int, int, int]:
    height, width = image_size
    for _ in range(_TRIES):
        area = height * width * _uniform(*settings.crop_scale)
        low, high = map(math.log, settings.crop_ratio)
        ratio = math.exp(_uniform(low, high))
        w = round(math.sqrt(area * ratio))
        h = round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            top = int(torch.randint(0, height - h + 1, (1,)))
            left = int(torch.randint(0, width - w + 1, (1,)))
            return left, top, left + w, top + h
    low, high = settings.crop_ratio
    w, h = width, height
    if width / height < low:
        h = round(width / low)
    elif width / height > high:
        w = round(height * high)
    top, left = (height - h) // 2, (width - w) // 2
    return left, top, left + w, top + h


def make_view(
    image: Image.Image, params: ViewParams, size: int
) -> Image.Image:
    """Makes a view with the operations of PIL.

    Args:
        image: The whole image, RGB.
        params: The view.
        size: Height and width of the result.

    Returns:
        The view, RGB.
    """
    view = image.crop(params.box).resize((size, size), Image.BILINEAR)
    view = jitter(view, params)
    if params.gray:
        view = view.convert('L').convert('RGB')
    if params.sigma:
        view = view.filter(ImageFilter.GaussianBlur(radius=params.sigma))
    if params.flip:
        view = view.transpose(Image.FLIP_LEFT_RIGHT)
    return view


def jitter(view: Image.Image, params: ViewParams) -> Image.Image:
    """Jitters the colours.

    Args:
        view: RGB image.
        params: The view.

    Returns:
        The jittered image, RGB.
    """
    enhancers = (
        (ImageEnhance.Brightness, params.brightness),
        (ImageEnhance.Contrast, params.contrast),
        (ImageEnhance.Color, params.saturation),
    )
    for number in ORDERS[params.order]:
        if number == 3:
            view = shift_hue(view, params.hue) if params.hue else view
        elif enhancers[number][1] != 1:
            enhancer, factor = enhancers[number]
            view = enhancer(view).enhance(factor)
    return view


def shift_hue(view: Image.Image, turns: float) -> Image.Image:
    """Turns the hue in 8 bits, as torchvision does with PIL images.

    Args:
        view: RGB image.
        turns: Shift in turns.

    Returns:
        The shifted image, RGB.
    """
    hue, saturation, value = view.convert('HSV').split()
    shift = np.array(int(turns * 255)).astype(np.uint8)
    shifted = Image.fromarray(np.asarray(hue) + shift)
    return Image.merge('HSV', (shifted, saturation, value)).convert('RGB')


def normalise(view: Image.Image) -> torch.Tensor:
    """Makes a tensor of an image and normalises it.

    Args:
        view: RGB image.

    Returns:
        Shape (3, H, W), float32.
    """
    tensor = torch.from_numpy(np.array(view)).permute(2, 0, 1).contiguous()
    return tensor.float().div(255).sub_(_MEAN).div_(_STD)


def erase(view: torch.Tensor) -> torch.Tensor:
    """Sets a rectangle of 0.5 to 0.8 of the area to zero.

    Args:
        view: Shape (3, H, W).

    Returns:
        A copy with the rectangle erased.
    """
    height, width = view.shape[1:]
    low, high = math.log(0.8), math.log(1.25)
    for _ in range(_TRIES):
        area = height * width * _uniform(0.5, 0.8)
        ratio = math.exp(_uniform(low, high))
        h = round(math.sqrt(area * ratio))
        w = round(math.sqrt(area / ratio))
        if h < height and w < width:
            top = int(torch.randint(0, height - h + 1, (1,)))
            left = int(torch.randint(0, width - w + 1, (1,)))
            erased = view.clone()
            erased[:, top : top + h, left : left + w] = 0
            return erased
    return view
