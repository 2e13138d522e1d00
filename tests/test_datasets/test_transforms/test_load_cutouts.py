import warnings

import cv2
import numpy as np
import pytest
from cutout_samples import disc
from mmengine.registry import TRANSFORMS
from PIL import Image

from mmcp.datasets.transforms import LoadCutouts
from mmcp.datasets.transforms.load_cutouts import BadCutout, read_cutout


def write(path, image):
    cv2.imwrite(str(path), image)
    return str(path)


def results(*paths):
    entries = [
        dict(img_path=str(p), bbox_label=i) for i, p in enumerate(paths)
    ]
    return dict(cutouts=entries, img_id=7)


@pytest.mark.parametrize('suffix', ['png', 'tiff', 'webp'])
def test_read_with_its_colours(tmp_path, suffix):
    flags = [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == 'webp' else []
    path = str(tmp_path / f'a.{suffix}')
    cv2.imwrite(path, np.pad(disc(), [(3, 5), (2, 0), (0, 0)]), flags)
    cutout = read_cutout(path)
    assert cutout.alpha.shape == (23, 23)
    assert cutout.corner == (3, 4)
    assert (cutout.image == (0, 0, 255)).all()


def test_sixteen_bits(tmp_path):
    image = disc().astype(np.uint16) * 257
    assert (
        read_cutout(write(tmp_path / 'a.png', image)).image[..., 2] == 255
    ).all()


@pytest.mark.parametrize('mode', ['LA', 'P'])
def test_other_ways_to_store_transparency(tmp_path, mode):
    image = Image.fromarray(disc(colour=(90, 90, 90)), 'RGBA')
    if mode == 'P':
        image = image.quantize(4)
    image.convert(mode).save(tmp_path / 'a.png')
    cutout = read_cutout(str(tmp_path / 'a.png'))
    assert cutout.alpha.shape == (23, 23)
    assert np.abs(cutout.image.astype(int) - 90).max() <= 1


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (None, 'unreadable'),
        (b'', 'unreadable'),
        (b'not an image', 'unreadable'),
        (np.zeros((4, 4, 3), np.uint8), 'no alpha channel'),
        (np.zeros((4, 4), np.uint8), 'no alpha channel'),
        (disc(alpha=127), 'fully transparent'),
    ],
)
def test_what_is_no_cutout_is_said_in_two_words(tmp_path, content, reason):
    path = tmp_path / 'a.png'
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        write(path, content)
    with pytest.raises(BadCutout, match=f'^{reason}$'):
        read_cutout(str(path))


def test_every_entry_is_loaded_and_the_input_is_kept(tmp_path):
    before = results(
        write(tmp_path / 'a.png', disc()), write(tmp_path / 'b.png', disc(40))
    )
    load = TRANSFORMS.build(dict(type='mmcp.LoadCutouts'))
    out = load(before)
    assert isinstance(load, LoadCutouts)
    assert repr(load) == 'LoadCutouts(backend_args=None)'
    assert [e['cutout'].alpha.shape for e in out['cutouts']] == [
        (23, 23),
        (39, 39),
    ]
    assert [e['bbox_label'] for e in out['cutouts']] == [0, 1]
    assert out['img_id'] == 7
    assert set(before['cutouts'][0]) == {'img_path', 'bbox_label'}


def test_a_bad_file_is_left_out_with_one_warning(tmp_path):
    good = write(tmp_path / 'a.png', disc())
    before = results(tmp_path / 'gone.png', good)
    load = LoadCutouts()
    with pytest.warns(UserWarning, match='gone.png is left out: unreadable'):
        out = load(before)
    assert [e['bbox_label'] for e in out['cutouts']] == [1]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert len(load(before)['cutouts']) == 1
        assert load(results(tmp_path / 'gone.png')) is None
