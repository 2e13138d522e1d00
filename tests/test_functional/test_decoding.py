import struct

import cv2
import numpy as np
import pytest

from mmcp.functional.decoding import (
    EncodedImage,
    LateImage,
    PixelImage,
    UndecodableImage,
)


def smooth(height=96, width=64, channels=3):
    """A picture that JPEG keeps almost as it is."""
    y, x = np.mgrid[:height, :width]
    planes = [x * 200 / width, y * 200 / height, (x + y) * 100 / width]
    return np.stack(planes[:channels], 2).astype(np.uint8)


def encode(image, suffix='.jpg', *options):
    return cv2.imencode(suffix, image, options)[1].tobytes()


def with_exif(content, orientation, order='<'):
    """The same JPEG with an orientation."""
    mark = b'II' if order == '<' else b'MM'
    tiff = mark + struct.pack(f'{order}HIH', 42, 8, 2)
    tiff += struct.pack(f'{order}HHIHH', 0x010F, 3, 1, 7, 0)
    tiff += struct.pack(f'{order}HHIHH', 0x0112, 3, 1, orientation, 0)
    data = b'Exif\0\0' + tiff + struct.pack(f'{order}I', 0)
    segment = b'\xff\xe1' + struct.pack('>H', len(data) + 2) + data
    return content[:2] + segment + content[2:]


def test_size_and_pixels_of_a_jpeg():
    image = smooth()
    encoded = EncodedImage(encode(image))
    assert encoded.size == (96, 64)
    assert '_whole' not in vars(encoded), 'the header is enough'
    pixels = encoded.decode()
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - image).max() <= 6


@pytest.mark.parametrize('reduction', [2, 4, 8])
@pytest.mark.parametrize('size', [(96, 64), (97, 63)])
def test_reduced_jpegs(reduction, size):
    image = smooth(*size)
    encoded = EncodedImage(encode(image))
    pixels = encoded.decode(reduction)
    expected = tuple(-(-n // reduction) for n in size)
    assert pixels.shape == (*expected, 3)
    assert encoded.size == size
    # The last row and column may stand for less than a whole pixel.
    margins = [(0, -n % reduction) for n in size] + [(0, 0)]
    padded = np.pad(image, margins, mode='edge')
    small = cv2.resize(padded, expected[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(pixels.astype(int) - small).max() <= 8


def test_only_jpegs_are_reduced():
    image = smooth()
    for suffix in ('.png', '.bmp', '.webp'):
        encoded = EncodedImage(encode(image, suffix))
        assert encoded.size == (96, 64)
        assert encoded.decode(4).shape == (96, 64, 3)


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_orientation_of_cameras(orientation, order):
    content = with_exif(encode(smooth(96, 64)), orientation, order)
    encoded = EncodedImage(content)
    assert encoded.size == ((96, 64) if orientation < 5 else (64, 96))
    for reduction in (1, 2):
        pixels = encoded.decode(reduction)
        assert pixels.shape[:2] == tuple(n // reduction for n in encoded.size)


def app1(data):
    return b'\xff\xe1' + struct.pack('>H', len(data) + 2) + data


XMP = app1(b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>')


def exif(orientation):
    """The segment alone."""
    plain = encode(smooth())
    return with_exif(plain, orientation)[2 : 2 - len(plain)]


def behind_tables(segment):
    """A JPEG with a segment right before its pixels."""
    content = encode(smooth())
    scan = content.index(b'\xff\xda')
    return content[:scan] + segment + content[scan:]


def before_all(*segments):
    content = encode(smooth())
    return content[:2] + b''.join(segments) + content[2:]


def changed_exif(old, new):
    """A JPEG on its side whose EXIF data are broken."""
    assert exif(6).count(old) == 1
    return before_all(exif(6).replace(old, new))


@pytest.mark.parametrize(
    ('content', 'late'),
    [
        (before_all(XMP), True),
        (before_all(XMP, exif(1)), True),
        (behind_tables(exif(6)), True),
        # OpenCV has its own mind about the others.
        (before_all(XMP, exif(6)), False),
        (before_all(exif(1), exif(6)), False),
        (before_all(exif(6), exif(1)), False),
        (before_all(app1(b'else')), False),
        (changed_exif(b'II*', b'II+'), False),
        (changed_exif(b'II*', b'IM*'), False),
        (changed_exif(b'Exif', b'EXIF'), False),
        # Two orientations, a list of them, a name beyond the segment's end,
        # more entries than there are.
        (changed_exif(b'\x0f\x01', b'\x12\x01'), False),
        (changed_exif(b'\x12\x01\3\0\1', b'\x12\x01\3\0\2'), False),
        (changed_exif(b'\x0f\x01\3\0\1', b'\x0f\x01\2\0\x40'), False),
        (changed_exif(b'\x08\0\0\0\2', b'\x08\0\0\0\3'), False),
    ],
)
def test_a_size_is_opencvs_whatever_the_orientation(content, late):
    expected = cv2.imdecode(np.frombuffer(content, np.uint8), 1).shape
    assert EncodedImage(content).size == expected[:2]
    if late:
        assert LateImage(content).shape == expected
    else:
        with pytest.raises(UndecodableImage, match='plain header'):
            LateImage(content)


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_gray_becomes_three_channels(suffix):
    gray = smooth(channels=1)
    pixels = EncodedImage(encode(gray, suffix)).decode()
    assert pixels.shape == (96, 64, 3)
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_transparency_is_dropped_and_16_bits_are_halved():
    alpha = np.zeros((96, 64, 1), np.uint8)
    rgba = np.concatenate([smooth(), alpha], 2)
    assert (EncodedImage(encode(rgba, '.png')).decode() == smooth()).all()
    deep = smooth().astype(np.uint16) << 8
    assert (EncodedImage(encode(deep, '.png')).decode() == smooth()).all()


def test_palette_and_cmyk(tmp_path):
    image = pytest.importorskip('PIL.Image').fromarray(smooth())
    image.quantize(256).save(tmp_path / 'palette.png')
    image.convert('CMYK').save(tmp_path / 'cmyk.jpg', quality=95)
    for name, slack in (('palette.png', 16), ('cmyk.jpg', 8)):
        content = (tmp_path / name).read_bytes()
        pixels = EncodedImage(content).decode()[..., ::-1]
        assert np.abs(pixels.astype(int) - smooth()).max() <= slack


def test_progressive_jpegs():
    content = encode(smooth(), '.jpg', cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    assert EncodedImage(content).size == (96, 64)
    assert EncodedImage(content).decode(2).shape == (48, 32, 3)


@pytest.mark.parametrize('kept', [0.5, 0.9, 0.99])
def test_a_jpeg_that_is_cut_short_is_refused(kept):
    # OpenCV itself fills what is missing with gray.
    content = encode(smooth())
    cut = content[: int(kept * len(content))]
    with pytest.raises(UndecodableImage, match='cut short'):
        EncodedImage(cut)


def test_bytes_behind_the_end_do_no_harm():
    encoded = EncodedImage(encode(smooth()) + b'\0' * 1000)
    assert encoded.decode().shape == (96, 64, 3)


def test_a_thumbnail_is_not_the_end_of_a_jpeg():
    content = with_exif(encode(smooth()), 1)
    thumbnail = b'Exif\0\0' + encode(smooth(16, 16))
    segment = b'\xff\xe1' + struct.pack('>H', len(thumbnail) + 2) + thumbnail
    content = content[:2] + segment + content[2:]
    assert EncodedImage(content).size == (96, 64)
    with pytest.raises(UndecodableImage, match='cut short'):
        EncodedImage(content[:-200])


@pytest.mark.parametrize(
    'content',
    [b'not an image', b'\xff\xd8\xff\xe0\0\x10JFIF', b'\x89PNG\r\n\x1a\n'],
)
def test_no_images(content):
    with pytest.raises(UndecodableImage, match='not an image, or damaged'):
        EncodedImage(content).decode()
    with pytest.raises(UndecodableImage, match='not an image, or damaged'):
        _ = EncodedImage(content).size


def test_empty_files():
    with pytest.raises(UndecodableImage, match='empty'):
        EncodedImage(b'')


def test_images_that_are_decoded_already():
    pixels = smooth()
    image = PixelImage(pixels)
    assert image.size == (96, 64)
    assert image.decode(4) is pixels


@pytest.mark.parametrize('orientation', [1, 6])
def test_a_late_image_has_a_shape_before_its_pixels(orientation):
    content = with_exif(encode(smooth()), orientation)
    late = LateImage(content)
    expected = EncodedImage(content).decode()
    assert late.shape == expected.shape
    assert (late.ndim, late.dtype) == (3, expected.dtype)
    np.testing.assert_array_equal(np.asarray(late), expected)
    assert np.asarray(late, np.float32).dtype == np.float32


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (encode(smooth(), '.png'), 'no JPEG'),
        (b'', 'no JPEG'),
        (b'\xff\xd8\xff\xda', 'no JPEG'),
        (encode(smooth())[:-40], 'cut short'),
    ],
)
def test_what_cannot_be_decoded_late(content, reason):
    with pytest.raises(UndecodableImage, match=reason):
        LateImage(content)


def test_a_late_image_that_is_damaged_or_lies_about_its_size():
    content = encode(smooth())
    frame = content.index(b'\xff\xc0')
    damaged = content[: frame + 4] + b'\x01' + content[frame + 5 :]
    with pytest.raises(UndecodableImage, match='some.jpg: '):
        np.asarray(LateImage(damaged, 'some.jpg'))
    late = LateImage(content, 'some.jpg')
    late.shape = (8, 8, 3)
    with pytest.raises(UndecodableImage, match=r'\(8, 8\).*\(96, 64\)'):
        np.asarray(late)
