import cv2
import numpy as np
import pytest

from mmcp.datasets import CopyPastePairDataset, UnlabeledImageDataset
from mmcp.datasets.file_masks import FileMasks, build_mask
from mmcp.datasets.sample_index import SampleIndex
from mmcp.functional.views import ViewParams, ViewSettings, draw_view

PLAIN = dict(jitter_prob=0, gray_prob=0, blur_prob=0)


def disc(height=120, width=160):
    """A disc in the upper left, bool."""
    y, x = np.mgrid[:height, :width]
    return (y - 50) ** 2 + (x - 60) ** 2 < 40**2


def write(folder, suffix='.png', scale=1):
    """White discs on black, and masks of them in a mirrored folder."""
    for path in (folder / 'images' / 'a', folder / 'masks' / 'a'):
        path.mkdir(parents=True)
    mask = disc()
    for number in range(3):
        image = np.repeat(mask[..., None] * np.uint8(255), 3, 2)
        cv2.imwrite(str(folder / 'images' / 'a' / f'{number}.JPG'), image)
        small = mask[::scale, ::scale]
        path = folder / 'masks' / 'a' / f'{number}{suffix}'
        if suffix == '.png':
            cv2.imwrite(str(path), small * np.uint8(255))
        else:
            np.save(path, small.astype(np.float32))
    return dict(
        type='file',
        folder=str(folder / 'masks'),
        images=str(folder / 'images'),
    )


def pairs(folder, mask, **options):
    images = UnlabeledImageDataset(str(folder / 'images'))
    return CopyPastePairDataset(
        images, size=64, views=PLAIN, mask=mask, **options
    )


@pytest.mark.parametrize('suffix', ['.png', '.npy'])
@pytest.mark.parametrize('scale', [1, 2])
@pytest.mark.parametrize('augment', ['worker', 'model'])
def test_masks_follow_crop_and_flip(tmp_path, suffix, scale, augment):
    dataset = pairs(
        tmp_path,
        write(tmp_path, suffix, scale),
        backgrounds='batch',
        augment=augment,
    )
    flips = set()
    for position in range(20):
        sample = dataset[SampleIndex(position % 3, position, 0)]
        for side in ('query', 'key'):
            image = sample['inputs'][side][0] > 127
            if augment == 'model' and sample['views'][side][-1]:
                image = image.flip(-1)
                flips.add(side)
            mask = sample['masks'][side]
            wrong = (image != mask).float().mean()
            assert wrong < (0.02 if scale == 1 else 0.04)
            assert 0 < mask[8::16, 8::16].float().mean() < 1
    assert augment == 'worker' or flips == {'query', 'key'}


def test_thresholds(tmp_path):
    (tmp_path / 'x.jpg').touch()
    ramp = np.tile(np.arange(0, 200, 2, dtype=np.uint8), (100, 1))
    cv2.imwrite(str(tmp_path / 'x.png'), ramp)

    def share(threshold):
        masks = FileMasks(str(tmp_path), str(tmp_path), threshold)
        _, mask = masks.draw(
            np.random.default_rng(0),
            str(tmp_path / 'x.jpg'),
            (100, 100),
            (100, 100),
            lambda: ViewParams((0, 0, 100, 100)),
        )
        return mask.mean()

    assert share('mean') == 0.5
    # 64 of 0, 2, ..., 198 are below 127.5.
    assert share(0.5) == 0.36
    assert share(0.25) == 0.68


def test_a_crop_without_both_classes_is_drawn_again(tmp_path):
    masks = build_mask(write(tmp_path))
    boxes = iter([(120, 90, 160, 120), (50, 40, 70, 60), (0, 0, 160, 120)])
    params, mask = masks.draw(
        np.random.default_rng(0),
        str(tmp_path / 'images' / 'a' / '0.JPG'),
        (120, 160),
        (64, 64),
        lambda: ViewParams(next(boxes)),
    )
    assert params.box == (0, 0, 160, 120)
    assert 0.1 < mask.mean() < 0.5


def test_an_empty_mask_is_drawn_instead(tmp_path):
    config = write(tmp_path)
    for path in (tmp_path / 'masks' / 'a').iterdir():
        cv2.imwrite(str(path), np.zeros((120, 160), np.uint8))
    fallback = dict(type='rectangle', area=(0.1, 0.2))
    dataset = pairs(tmp_path, dict(config, fallback=fallback))
    share = dataset[0]['masks']['query'].float().mean()
    assert 0.08 < share < 0.22


def test_draws_are_repeatable(tmp_path):
    masks = build_mask(write(tmp_path))

    def draw():
        rng = np.random.default_rng(4)
        return masks.draw(
            rng,
            str(tmp_path / 'images' / 'a' / '1.JPG'),
            (120, 160),
            (64, 64),
            lambda: draw_view(rng, (120, 160), ViewSettings()),
        )

    (first, mask), (second, other) = draw(), draw()
    assert first == second
    assert (mask == other).all()


def test_missing_masks_are_errors_that_say_what_to_do(tmp_path):
    dataset = pairs(tmp_path, write(tmp_path))
    (tmp_path / 'masks' / 'a' / '1.png').unlink()
    with pytest.raises(
        FileNotFoundError, match=r'has no mask .*a/1.png.*extract_attention'
    ):
        dataset[1]


def test_an_unreadable_image_needs_no_mask(tmp_path):
    """Its header may be sound; the tool that makes masks passes it over."""
    dataset = pairs(tmp_path, write(tmp_path))
    (tmp_path / 'masks' / 'a' / '1.png').unlink()
    path = tmp_path / 'images' / 'a' / '1.JPG'
    # A lossless JPEG, which OpenCV does not decode.
    content = path.read_bytes().replace(b'\xff\xc0', b'\xff\xc3', 1)
    path.write_bytes(content)
    assert set(dataset[1]['masks']) == {'query', 'key'}
    assert dataset.dataset.unreadable == {1: 'cannot be decoded'}


def test_images_outside_of_their_folder(tmp_path):
    config = dict(write(tmp_path), images=str(tmp_path / 'masks'))
    with pytest.raises(ValueError, match='does not lie in .* set images of'):
        pairs(tmp_path, config)[0]


@pytest.mark.parametrize(
    'values',
    [np.zeros((5, 5, 3), np.uint8), np.zeros((5, 5)) + 1j, np.zeros(5, bool)],
)
def test_damaged_masks(tmp_path, values):
    config = write(tmp_path, '.npy')
    np.save(tmp_path / 'masks' / 'a' / '0.npy', values)
    with pytest.raises(ValueError, match='is not a mask: a gray image'):
        pairs(tmp_path, config)[0]


@pytest.mark.parametrize('threshold', [0, 1, 2.0, 'median'])
def test_wrong_thresholds(tmp_path, threshold):
    with pytest.raises(ValueError, match='threshold must lie between'):
        FileMasks(str(tmp_path), str(tmp_path), threshold)


def test_wrong_folders_and_fallbacks(tmp_path):
    with pytest.raises(FileNotFoundError, match='no folder of masks'):
        FileMasks(str(tmp_path / 'gone'), str(tmp_path))
    config = dict(type='file', folder=str(tmp_path), images=str(tmp_path))
    with pytest.raises(ValueError, match='fallback must be drawn'):
        FileMasks(str(tmp_path), str(tmp_path), fallback=config)
