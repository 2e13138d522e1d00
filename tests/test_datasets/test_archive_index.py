"""Tests of tar and zip archives, through the data set that uses them."""

import io
import os
import struct
import tarfile
import tracemalloc
import zipfile
import zlib

import pytest
from image_files import as_tar, as_zip, build, names_of

from mmcp.datasets import UnreadableImage
from mmcp.datasets.archive_index import index_tar

CONTENTS = {
    'b/2.jpg': b'two' * 50,
    'a/1.JPEG': b'one',
    'notes.txt': b'no image',
    '__MACOSX/b/._2.jpg': b'no image either',
    'a/ü.png': b'umlaut',
    f'long/{"x" * 180}/3.jpg': b'three',
}


IMAGES = ['b/2.jpg', 'a/1.JPEG', 'a/ü.png', f'long/{"x" * 180}/3.jpg']


@pytest.mark.parametrize('format', [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_tar(tmp_path, format):
    with tarfile.open(tmp_path / 'x.tar', 'w', format=format) as tar:
        for name, content in CONTENTS.items():
            member = tarfile.TarInfo(f'./{name}')
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo('link.jpg')
        link.type, link.linkname = tarfile.SYMTYPE, 'b/2.jpg'
        tar.addfile(link)
    dataset = build(tmp_path, 'x.tar')
    assert names_of(dataset, tmp_path / 'x.tar') == IMAGES
    read = [dataset.read(index) for index in range(4)]
    assert read == [CONTENTS[name] for name in IMAGES]


@pytest.mark.parametrize('method', [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize('before', [b'', b'#!/bin/sh\n'])
def test_zip(tmp_path, method, before):
    as_zip(tmp_path / 'bare.zip', CONTENTS, method)
    bare = (tmp_path / 'bare.zip').read_bytes()
    (tmp_path / 'x.zip').write_bytes(before + bare)
    dataset = build(tmp_path, 'x.zip')
    assert names_of(dataset, tmp_path / 'x.zip') == IMAGES
    read = [dataset.read(index) for index in range(4)]
    assert read == [CONTENTS[name] for name in IMAGES]


def test_zip_with_more_members_than_the_old_format_counts(tmp_path):
    with zipfile.ZipFile(tmp_path / 'x.zip', 'w') as archive:
        for number in range(66_000):
            archive.writestr(f'{number}.jpg', b'%d' % number)
    dataset = build(tmp_path, 'x.zip')
    assert len(dataset) == 66_000
    assert dataset.read(65_999) == b'65999'


class Pipe(io.RawIOBase):
    """A stream that cannot go back: sizes follow the data in the archive."""

    def __init__(self):
        self.written = b''

    def writable(self):
        return True

    def write(self, data):
        self.written += bytes(data)
        return len(data)


def test_zip_written_to_a_pipe(tmp_path):
    pipe = Pipe()
    as_zip(pipe, CONTENTS, zipfile.ZIP_DEFLATED)
    (tmp_path / 'x.zip').write_bytes(pipe.written)
    dataset = build(tmp_path, 'x.zip')
    read = [dataset.read(index) for index in range(4)]
    assert read == [CONTENTS[name] for name in IMAGES]


def test_zip_with_numbers_of_64_bits(tmp_path):
    """Size and place stand in the extra field, as beyond 4 GiB."""
    local = struct.pack(
        '<4s5H3L2H',
        b'PK\3\4',
        45,
        0,
        0,
        0,
        0,
        zlib.crc32(b'wide'),
        *[4] * 2,
        5,
        0,
    )
    other = struct.pack('<2HL', 0x7075, 4, 7)
    wide = struct.pack('<2H3Q', 1, 24, 4, 4, 3)
    big = 0xFFFFFFFF
    entry = struct.pack(
        '<4s6H3L5H2L',
        *(b'PK\1\2', 45, 45, 0, 0, 0, 0, zlib.crc32(b'wide'), big, big),
        *(5, len(other + wide), 0, 0, 0, 0, big),
    )
    body = b'...' + local + b'a.jpg' + b'wide'
    central = entry + b'a.jpg' + other + wide
    end = struct.pack(
        '<4s4H2LH', b'PK\5\6', 0, 0, 1, 1, len(central), len(body), 0
    )
    (tmp_path / 'x.zip').write_bytes(body + central + end)
    assert zipfile.ZipFile(tmp_path / 'x.zip').read('a.jpg') == b'wide'
    assert build(tmp_path, 'x.zip').read(0) == b'wide'


def test_a_tar_is_searched_without_keeping_its_members(tmp_path):
    count = 3000
    contents = {f'{number:04}.jpg': b'x' for number in range(count)}
    as_tar(tmp_path / 'x.tar', contents)
    tracemalloc.start()
    try:
        index = index_tar(
            str(tmp_path / 'x.tar'), lambda name: True, lambda found: None
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(index.names) == count
    # tarfile itself would keep half a kilobyte of each.
    assert peak < 250 * count


@pytest.mark.parametrize('mode', ['w:gz', 'w:bz2', 'w:xz'])
def test_compressed_tar_is_refused_with_advice(tmp_path, mode):
    for name in (f'x.tar.{mode[2:]}', 'disguised.tar'):
        as_tar(tmp_path / name, CONTENTS, mode)
        with pytest.raises(ValueError, match='compressed as a whole.*Unpack'):
            build(tmp_path, name)


def test_damaged_archives_are_refused(tmp_path):
    as_tar(tmp_path / 'good.tar', CONTENTS)
    whole = (tmp_path / 'good.tar').read_bytes()
    (tmp_path / 'cut.tar').write_bytes(whole[:1100])
    (tmp_path / 'cut2.tar').write_bytes(whole[:600])
    (tmp_path / 'odd.tar').write_bytes(whole[:1024] + b'x' * 512)
    (tmp_path / 'no.tar').write_bytes(b'not an archive' * 100)
    as_zip(tmp_path / 'good.zip', CONTENTS)
    whole = (tmp_path / 'good.zip').read_bytes()
    (tmp_path / 'cut.zip').write_bytes(whole[:-40])
    (tmp_path / 'no.zip').write_bytes(b'')
    damaged = ('cut.tar', 'cut2.tar', 'odd.tar', 'no.tar', 'cut.zip', 'no.zip')
    for name in damaged:
        with pytest.raises(ValueError, match=f'{name}.*damaged, incomplete'):
            build(tmp_path, name)


def test_zip_that_needs_another_program_is_refused(tmp_path):
    as_zip(tmp_path / 'x.zip', CONTENTS, zipfile.ZIP_LZMA)
    with pytest.raises(ValueError, match='b/2.jpg is encrypted or compressed'):
        build(tmp_path, 'x.zip')


def test_a_damaged_member_is_unreadable_and_the_others_are_not(tmp_path):
    as_zip(tmp_path / 'x.zip', {'a.jpg': b'first', 'b.jpg': b'second'})
    whole = (tmp_path / 'x.zip').read_bytes()
    (tmp_path / 'x.zip').write_bytes(whole.replace(b'first', b'fir5t', 1))
    dataset = build(tmp_path, 'x.zip')
    with pytest.raises(UnreadableImage, match='a.jpg.*checksum is wrong'):
        dataset.read(0)
    assert dataset.read(1) == b'second'


def test_more_archives_than_are_kept_open(tmp_path):
    for shard in range(70):
        as_tar(tmp_path / f'{shard:02}.tar', {'a.jpg': b'%d' % shard})
    dataset = build(tmp_path, '*.tar')
    before = len(os.listdir('/proc/self/fd'))
    read = [dataset.read(index) for index in range(70)]
    assert read == [b'%d' % shard for shard in range(70)]
    assert len(os.listdir('/proc/self/fd')) - before <= 64
    del dataset
    assert len(os.listdir('/proc/self/fd')) <= before
