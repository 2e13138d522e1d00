import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets import BaseDetDataset
from mmengine import fileio
from mmengine.dataset import RepeatDataset
from mmengine.registry import init_default_scope

from mmcp.datasets import CopyPasteDataset, copy_paste_dataset
from mmcp.datasets.sample_index import SampleIndex
from mmcp.datasets.transforms import LoadAnnotations, ScaleJitter
from mmcp.datasets.transforms.late_loading import LateLoading, load_late
from mmcp.datasets.transforms.postponed_images import postponed_images
from mmcp.functional.decoding import LateImage, UndecodableImage

RESULTS = [lambda results: results]


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


@pytest.fixture(scope='module')
def paths(tmp_path_factory):
    """Four photographs of noise, one of them a PNG."""
    root = tmp_path_factory.mktemp('images')
    names = [root / f'{n}.{"png" if n == 2 else "jpg"}' for n in range(4)]
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        noise = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        cv2.imwrite(str(name), cv2.GaussianBlur(noise, (0, 0), 2))
    return [str(name) for name in names]


@pytest.fixture
def decoded(monkeypatch):
    """Sizes of the files that OpenCV decoded."""
    sizes = []
    decode = cv2.imdecode

    def record(content, flags):
        sizes.append(len(content))
        return decode(content, flags)

    monkeypatch.setattr(cv2, 'imdecode', record)
    return sizes


class Folder(BaseDetDataset):
    """Images with two squares each."""

    METAINFO = dict(classes=('square',))

    def __init__(self, paths, pipeline):
        self.paths = paths
        super().__init__(pipeline=pipeline)

    def load_data_list(self):
        return [
            dict(img_path=path, img_id=path, instances=[square(9), square(40)])
            for path in self.paths
        ]


def square(start):
    x0, x1 = float(start), start + 15.0
    return dict(
        bbox=[x0, x0, x1, x1],
        bbox_label=0,
        ignore_flag=0,
        mask=[[x0, x0, x1, x0, x1, x1, x0, x1]],
    )


def loading():
    return [
        LoadImageFromFile(),
        LoadAnnotations(with_bbox=True, with_mask=True),
    ]


def pipeline():
    return [*loading(), ScaleJitter(size=(96, 64), ratio_range=(0.5, 1.8))]


def load(path, late):
    with postponed_images(late):
        return LateLoading(LoadImageFromFile())(dict(img_path=path))


def test_where_nobody_waits_it_is_the_stock_transform(paths):
    expected = LoadImageFromFile()(dict(img_path=paths[0]))
    got = load(paths[0], late=False)
    np.testing.assert_array_equal(got.pop('img'), expected.pop('img'))
    assert got == expected
    assert isinstance(LateLoading(LoadImageFromFile()), LoadImageFromFile)


def test_a_jpeg_is_left_undecoded(paths, decoded):
    got = load(paths[0], late=True)
    assert not decoded
    image = got['img']
    assert isinstance(image, LateImage)
    assert image.shape == (60, 80, 3)
    assert got['img_shape'] == got['ori_shape'] == (60, 80)
    expected = LoadImageFromFile()(dict(img_path=paths[0]))['img']
    np.testing.assert_array_equal(np.asarray(image), expected)


def test_other_files_are_decoded_at_once_and_read_once(paths, monkeypatch):
    stock = LoadImageFromFile(backend_args=dict(backend='local'))
    expected = stock(dict(img_path=paths[2]))
    read = []
    get = fileio.get

    def record(path, **kwargs):
        read.append(path)
        return get(path, **kwargs)

    monkeypatch.setattr(fileio, 'get', record)
    with postponed_images():
        got = LateLoading(stock)(dict(img_path=paths[2]))
    assert read == [paths[2]]
    assert isinstance(got['img'], np.ndarray)
    np.testing.assert_array_equal(got.pop('img'), expected.pop('img'))
    assert got == expected


@pytest.mark.parametrize('late', [False, True])
def test_what_is_no_image_is_the_stock_transforms_error(tmp_path, late):
    text = tmp_path / 'text.png'
    text.write_text('no image')
    with pytest.raises(AssertionError, match=r'failed to load.*text\.png'):
        load(str(text), late)
    with pytest.raises(FileNotFoundError, match=r'nowhere\.jpg'):
        load(str(tmp_path / 'nowhere.jpg'), late)


@pytest.mark.parametrize('late', [False, True])
def test_a_file_that_is_cut_short_is_the_stock_transforms_error(
    paths, tmp_path, late
):
    cut = tmp_path / 'cut.jpg'
    with open(paths[0], 'rb') as file:
        cut.write_bytes(file.read()[:-300])
    with pytest.raises(AssertionError, match=r'failed to load.*cut\.jpg'):
        load(str(cut), late)


def test_a_file_behind_an_address_goes_through_its_backend(paths):
    stock = LoadImageFromFile(backend_args=dict(backend='local'))
    with postponed_images():
        got = LateLoading(stock)(dict(img_path=paths[0]))
    assert isinstance(got['img'], LateImage)


def test_a_damaged_file_is_named_when_it_is_decoded(paths, tmp_path):
    damaged = tmp_path / 'damaged.jpg'
    with open(paths[0], 'rb') as file:
        content = file.read()
    # The frame says 8 bits a value; nothing can be decoded with 1.
    frame = content.index(b'\xff\xc0')
    content = content[: frame + 4] + b'\x01' + content[frame + 5 :]
    damaged.write_bytes(content)
    image = load(str(damaged), late=True)['img']
    with pytest.raises(UndecodableImage, match=r'damaged\.jpg'):
        np.asarray(image)


@pytest.mark.parametrize(
    'transforms',
    [
        loading(),
        [*loading(), lambda results: results, ScaleJitter(size=8)],
        [*pipeline(), lambda results: results],
        [LoadImageFromFile(to_float32=True), *pipeline()[1:]],
        [LoadImageFromFile(color_type='grayscale'), *pipeline()[1:]],
        [LoadImageFromFile(imdecode_backend='pillow'), *pipeline()[1:]],
        [LoadImageFromFile(ignore_empty=True), *pipeline()[1:]],
    ],
)
def test_other_pipelines_are_left_alone(transforms):
    before = list(transforms)
    load_late(transforms)
    assert transforms == before


def samples_of(dataset):
    return [
        dataset[SampleIndex(place % len(dataset), place, 3)]
        for place in range(16)
    ]


@pytest.mark.parametrize('cache', [0, 2])
def test_samples_are_those_of_decoding_at_once(paths, monkeypatch, cache):
    def build():
        dataset = RepeatDataset(Folder(paths, pipeline()), 2)
        return CopyPasteDataset(dataset, pipeline=RESULTS, cache=cache)

    late = build()
    first = late.dataset.dataset.pipeline.transforms[0]
    assert type(first) is LateLoading
    got = samples_of(late)
    monkeypatch.setattr(copy_paste_dataset, 'load_late', lambda _: None)
    for one, other in zip(got, samples_of(build()), strict=True):
        np.testing.assert_array_equal(one['img'], other['img'])
        assert one['img'].dtype == np.uint8


def test_a_source_of_which_nothing_is_pasted_is_not_decoded(paths, decoded):
    jpegs = [paths[0], paths[1]]
    dataset = CopyPasteDataset(
        Folder(jpegs, pipeline()), copy_paste=dict(num_pasted=0)
    )
    samples_of(dataset)
    assert len(decoded) == 16


def test_a_cache_keeps_pixels(paths, decoded):
    dataset = CopyPasteDataset(
        Folder(paths, pipeline()),
        Folder([paths[0], paths[1]], pipeline()),
        copy_paste=dict(num_pasted='all'),
        cache=2,
        cache_reuse=100,
    )
    samples_of(dataset)
    assert len(decoded) == 16 + 2
