"""Centre crops of labelled images."""

import cv2
import numpy as np
import pytest

from mmcp.datasets.labeled_crops import UNREADABLE, LabeledCrops
from mmcp.datasets.unlabeled_image_dataset import UnlabeledImageDataset
from mmcp.functional.decoding import EncodedImage


def write(folder, name, image):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def plain(level, height=8, width=8):
    return np.full((height, width, 3), level, np.uint8)


@pytest.fixture
def folder(tmp_path):
    for name in ('cat', 'dog', 'owl'):
        for number in range(4):
            write(tmp_path, f'{name}/{number}.png', plain(number))
    return tmp_path


def images_in(folder):
    return UnlabeledImageDataset(str(folder), labels=True)


def test_labels_are_those_of_the_folders(folder):
    crops = LabeledCrops(images_in(folder), size=4)
    assert crops.classes == ('cat', 'dog', 'owl')
    assert len(crops) == 12
    assert [crops[i][1] for i in range(12)] == [0] * 4 + [1] * 4 + [2] * 4
    assert [int(crops[i][0].max()) for i in range(4)] == [0, 1, 2, 3]


def test_a_limit_is_spread_over_the_classes(folder):
    crops = LabeledCrops(images_in(folder), size=4, max_images=6)
    assert [crops[i][1] for i in range(6)] == [0, 0, 1, 1, 2, 2]
    assert len(LabeledCrops(images_in(folder), max_images=50)) == 12


def test_labels_follow_the_other_data_set(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp('val')
    write(other, 'owl/a.png', plain(1))
    write(other, 'dog/a.png', plain(2))
    crops = LabeledCrops(images_in(other), classes=('cat', 'dog', 'owl'))
    assert [crops[i][1] for i in range(2)] == [1, 2]
    with pytest.raises(ValueError, match='1 classes are not among .*: cat'):
        LabeledCrops(images_in(folder), classes=('dog', 'owl'))


def test_a_crop_is_the_centre_in_rgb(tmp_path):
    image = plain(0, 16, 48)
    image[:, 16:32] = (10, 20, 30)  # BGR
    write(tmp_path, 'a/x.png', image)
    crop, _ = LabeledCrops(images_in(tmp_path), size=14)[0]
    assert crop.shape == (3, 14, 14)
    assert str(crop.dtype) == 'torch.uint8'
    assert (crop.numpy() == np.array([30, 20, 10])[:, None, None]).all()


@pytest.mark.parametrize('shape', [(300, 10), (9, 500), (64, 64), (31, 33)])
def test_any_shape_gives_a_crop(tmp_path, shape):
    write(tmp_path, 'a/x.png', plain(77, *shape))
    crop, _ = LabeledCrops(images_in(tmp_path), size=32)[0]
    assert crop.shape == (3, 32, 32)
    assert (crop == 77).all()


@pytest.mark.parametrize(
    ('side', 'reduction'), [(600, 8), (511, 4), (256, 4), (200, 2), (127, 1)]
)
def test_a_photo_is_decoded_as_small_as_will_do(
    tmp_path, monkeypatch, side, reduction
):
    write(tmp_path, 'a/x.jpg', plain(9, side + 50, side))
    calls = []
    decode = EncodedImage.decode

    def spy(image, factor):
        calls.append(factor)
        return decode(image, factor)

    monkeypatch.setattr(EncodedImage, 'decode', spy)
    # The short side becomes 64.
    LabeledCrops(images_in(tmp_path), size=56)[0]
    assert calls == [reduction]


def test_a_crop_of_a_smaller_photo_is_the_same_part(tmp_path):
    ramp = np.linspace(0, 255, 600, dtype=np.uint8)
    image = np.repeat(np.repeat(ramp[None], 600, 0)[..., None], 3, 2)
    write(tmp_path, 'a/x.jpg', image)
    crop, _ = LabeledCrops(images_in(tmp_path), size=56)[0]
    # 64 of 600 pixels in a row, of which the middle 56 remain.
    expected = 255 * (np.arange(4, 60) + 0.5) / 64
    assert np.abs(crop[0].numpy() - expected).max() < 3


def test_unreadable_files_are_black_without_label_and_reported(tmp_path):
    write(tmp_path, 'a/0.png', plain(5))
    (tmp_path / 'a' / '1.png').write_bytes(b'no image at all')
    (tmp_path / 'a' / '2.png').write_bytes(b'')
    jpeg = cv2.imencode('.jpg', plain(9, 64, 64))[1].tobytes()
    (tmp_path / 'a' / '3.jpg').write_bytes(jpeg[: len(jpeg) // 2])
    dataset = images_in(tmp_path)
    crops = LabeledCrops(dataset, size=4)
    assert [crops[i][1] for i in range(4)] == [0] + 3 * [UNREADABLE]
    assert not crops[1][0].any()
    assert sorted(dataset.unreadable) == [1, 2, 3]
