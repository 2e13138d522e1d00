import io
import os
import pickle
import tarfile
import zipfile
from copy import deepcopy

import cv2
import numpy as np
import pytest
from mmengine.registry import DATASETS
from torch.utils.data import DataLoader, Dataset

from mmcp.datasets import UnlabeledImageDataset, UnreadableImage
from mmcp.datasets import unlabeled_image_dataset as module
from mmcp.datasets.sample_index import SampleIndex

LONG_AGO = 1_600_000_000


def write(root, *names):
    """Files whose content is their own name."""
    for name in names:
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as file:
            file.write(os.fsencode(name))


def age(*roots):
    """Sets all times of change back, so that stamps are trusted."""
    for root in roots:
        os.utime(root, (LONG_AGO, LONG_AGO))
        for folder, below, files in os.walk(root):
            for name in below + files:
                os.utime(os.path.join(folder, name), (LONG_AGO, LONG_AGO))


def names_of(dataset, root):
    paths = [dataset.path(index) for index in range(len(dataset))]
    return [os.path.relpath(path, root) for path in paths]


def build(root, sources='', **options):
    return UnlabeledImageDataset(sources, data_root=str(root), **options)


def as_tar(path, contents, mode='w'):
    with tarfile.open(path, mode) as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def as_zip(path, contents, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, 'w', method) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def test_a_tree_in_the_order_of_bytes(tmp_path):
    write(
        tmp_path,
        'b/2.jpg',
        'b/10.JPG',
        'a/deep/er/x.PnG',
        'a/y.jpeg',
        'a.jpg',
        'ä/köln 1.webp',
        'notes.txt',
        'b/.hidden.jpg',
        '.git/object.jpg',
        'b/._2.jpg',
    )
    dataset = DATASETS.build(
        dict(type='mmcp.UnlabeledImageDataset', data_root=str(tmp_path))
    )
    assert isinstance(dataset, UnlabeledImageDataset)
    names = [
        'a.jpg',
        'a/y.jpeg',
        'a/deep/er/x.PnG',
        'b/10.JPG',
        'b/2.jpg',
        'ä/köln 1.webp',
    ]
    assert names_of(dataset, tmp_path) == names
    assert [dataset.read(i).decode() for i in range(6)] == names
    assert dataset[3] == dict(
        img_path=str(tmp_path / 'b' / '10.JPG'), sample_idx=3
    )
    assert dataset[SampleIndex(5, 70, 1)]['sample_idx'] == 5
    assert dataset.metainfo == {}
    assert repr(dataset) == (f'UnlabeledImageDataset(6 images in {tmp_path})')
    for beyond in (6, -1):
        with pytest.raises(IndexError, match=f'image {beyond} of 6'):
            dataset[beyond]


def test_names_that_are_no_text(tmp_path):
    name = os.fsdecode(b'caf\xe9.jpg')
    try:
        write(tmp_path, name)
    except OSError:
        pytest.skip('this file system wants names in UTF-8')
    dataset = build(tmp_path)
    assert dataset.path(0) == str(tmp_path / name)
    assert dataset.read(0) == b'caf\xe9.jpg'
    (tmp_path / name).unlink()
    with pytest.raises(
        UnreadableImage, match=r'caf\\udce9.jpg.* cannot be read: No such file'
    ) as error:
        dataset.read(0)
    # A log could write it.
    str(error.value).encode()


def test_links_are_followed_once_and_loops_end(tmp_path):
    write(tmp_path, 'tree/a/1.jpg', 'elsewhere/2.jpg', 'elsewhere/3.jpg')
    tree = tmp_path / 'tree'
    (tree / 'a' / 'up').symlink_to(tree)
    (tree / 'b').symlink_to(tmp_path / 'elsewhere')
    (tree / 'c').symlink_to(tmp_path / 'elsewhere')
    (tree / '4.jpg').symlink_to(tmp_path / 'elsewhere' / '3.jpg')
    dataset = build(tree)
    assert names_of(dataset, tree) == [
        '4.jpg',
        'a/1.jpg',
        'b/2.jpg',
        'b/3.jpg',
    ]


def test_links_to_nothing_are_named(tmp_path):
    write(tmp_path, 'good.jpg')
    (tmp_path / 'gone.jpg').symlink_to(tmp_path / 'nowhere.jpg')
    with pytest.warns(
        UserWarning, match=r'1 folders or images .*\(gone.jpg\)'
    ):
        dataset = build(tmp_path)
    assert names_of(dataset, tmp_path) == ['good.jpg']


def test_only_the_wanted_suffixes(tmp_path):
    write(tmp_path, 'a.jpg', 'b.PNG', 'c.tif')
    dataset = build(tmp_path, suffixes=['.png', '.TIF'])
    assert names_of(dataset, tmp_path) == ['b.PNG', 'c.tif']


def test_list_files_are_taken_as_they_are(tmp_path):
    lines = 'b/2.jpg\r\n\n./1.jpg\nwith space 7.jpg 12\n.hidden.jpg 0\nodd\n'
    (tmp_path / 'list.txt').write_text('\ufeff' + lines)
    write(tmp_path / 'images', 'b/2.jpg', '1.jpg', 'with space 7.jpg', 'odd')
    dataset = build(
        tmp_path,
        dict(type='list', path='list.txt', root=str(tmp_path / 'images')),
    )
    assert names_of(dataset, tmp_path / 'images') == [
        'b/2.jpg',
        '1.jpg',
        'with space 7.jpg',
        '.hidden.jpg',
        'odd',
    ]
    assert dataset.read(2) == b'with space 7.jpg'


@pytest.mark.parametrize('with_root', [True, False])
def test_paths_of_a_list_start_from_the_root_or_the_list(tmp_path, with_root):
    write(tmp_path, 'set/a.jpg')
    (tmp_path / 'set' / 'list.txt').write_text('a.jpg\n')
    if with_root:
        (tmp_path / 'set' / 'list.txt').write_text('set/a.jpg\n')
        dataset = build(tmp_path, 'set/list.txt')
    else:
        dataset = UnlabeledImageDataset(str(tmp_path / 'set' / 'list.txt'))
    assert dataset.read(0) == b'set/a.jpg'


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


def test_zip_with_zip64_members(tmp_path):
    with zipfile.ZipFile(tmp_path / 'x.zip', 'w') as archive:
        with archive.open('a.jpg', 'w', force_zip64=True) as file:
            file.write(b'wide')
        archive.writestr('b.jpg', b'narrow')
    dataset = build(tmp_path, 'x.zip')
    assert [dataset.read(0), dataset.read(1)] == [b'wide', b'narrow']


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


def test_several_sources_one_after_the_other(tmp_path):
    write(tmp_path, 'tree/z.jpg', 'other/list.jpg')
    (tmp_path / 'list.txt').write_text('other/list.jpg\n')
    for shard in ('01', '00'):
        contents = {f'{shard}/{n}.jpg': b'%d' % n for n in range(2)}
        as_tar(tmp_path / f'shard-{shard}.tar', contents)
    dataset = build(tmp_path, ['tree', 'shard-*.tar', 'list.txt'])
    assert names_of(dataset, tmp_path) == [
        'tree/z.jpg',
        'shard-00.tar/00/0.jpg',
        'shard-00.tar/00/1.jpg',
        'shard-01.tar/01/0.jpg',
        'shard-01.tar/01/1.jpg',
        'other/list.jpg',
    ]
    assert [dataset.read(index) for index in range(6)] == [
        b'tree/z.jpg',
        b'0',
        b'1',
        b'0',
        b'1',
        b'other/list.jpg',
    ]


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


def test_labels_of_the_imagenet_layout(tmp_path):
    write(tmp_path, 'n02/a.jpg', 'n01/b.jpg', 'n01/below/c.jpg')
    as_zip(tmp_path / 'x.zip', {'n03/d.jpg': b'd', 'n01/e.jpg': b'e'})
    dataset = build(tmp_path, ['', 'x.zip'], labels=True)
    assert dataset.metainfo == {'classes': ('n01', 'n02', 'n03')}
    labels = [dataset[index]['gt_label'] for index in range(5)]
    assert labels == [0, 0, 1, 2, 0]
    write(tmp_path, 'alone.jpg')
    with pytest.raises(
        ValueError, match='alone.jpg.* lies in no class folder'
    ):
        build(tmp_path, labels=True)


def test_what_cannot_work_is_said_at_once(tmp_path):
    write(tmp_path, 'notes.md', 'empty/notes.txt', 'full/a.jpg')
    with pytest.raises(ValueError, match=r'no image in .*empty.*\.jpg'):
        build(tmp_path, 'empty')
    with pytest.raises(FileNotFoundError, match='gone.*look at data_root'):
        build(tmp_path, 'gone')
    with pytest.raises(FileNotFoundError, match="no archive '.*gone.zip"):
        build(tmp_path, 'gone.zip')
    with pytest.raises(FileNotFoundError, match='nothing matches'):
        build(tmp_path, '*.tar')
    with pytest.raises(ValueError, match='no folder, list .* or archive'):
        build(tmp_path, 'notes.md')
    with pytest.raises(ValueError, match="but is 'csv'"):
        build(tmp_path, dict(path='full', type='csv'))
    with pytest.raises(ValueError, match='unknown keys: roots'):
        build(tmp_path, dict(path='full', roots='x'))
    with pytest.raises(ValueError, match='named twice: folder'):
        build(tmp_path, ['full', 'full/'])
    with pytest.raises(ValueError, match='sources is empty'):
        build(tmp_path, [])
    with pytest.raises(
        ValueError, match="suffixes must be a list like.*'jpg'"
    ):
        build(tmp_path, 'full', suffixes=['jpg'])


def test_the_cache_file_saves_the_search(tmp_path, monkeypatch):
    tree = tmp_path / 'tree'
    write(tree, 'a/1.jpg', 'a/b/2.jpg')
    as_zip(tree / 'x.zip', {'3.jpg': b'three'})
    (tree / 'list.txt').write_text('a/1.jpg\n')
    age(tree)
    cache = str(tmp_path / 'made' / 'index.npz')
    searches = []
    scan = module._scan
    monkeypatch.setattr(
        module, '_scan', lambda *a: searches.append(1) or scan(*a)
    )

    def start(**options):
        sources = ['a', 'x.zip', 'list.txt']
        dataset = build(tree, sources, cache_file=cache, **options)
        contents = [dataset.read(index) for index in range(len(dataset))]
        return len(searches), names_of(dataset, tree), contents

    first = start()
    assert first[0] == 1
    assert first[1] == ['a/1.jpg', 'a/b/2.jpg', 'x.zip/3.jpg', 'a/1.jpg']
    assert start() == first
    for change in (
        lambda: write(tree, 'a/b/new.jpg'),
        lambda: as_zip(tree / 'x.zip', {'3.jpg': b'3', '4.jpg': b'4'}),
        lambda: (tree / 'list.txt').write_text('a/b/2.jpg\n'),
        lambda: (tree / 'a' / '1.jpg').rename(tree / 'a' / 'moved.jpg'),
    ):
        change()
        count, *fresh = start()
        # What changed a moment ago may change again unseen: not trusted yet.
        assert start() == (count + 1, *fresh)
        age(tree)
        assert start() == (count + 2, *fresh)
        assert start() == (count + 2, *fresh)
    before = len(searches)
    start(suffixes=['.jpg'])
    assert len(searches) == before + 1
    open(cache, 'w').write('damaged')
    start()
    assert len(searches) == before + 2
    assert sorted(os.listdir(tmp_path / 'made')) == [
        'index.npz',
        'index.npz.lock',
    ]


def test_a_failed_write_leaves_the_old_cache(tmp_path, monkeypatch):
    write(tmp_path / 'tree', 'a.jpg')
    age(tmp_path / 'tree')
    cache = tmp_path / 'index.npz'
    build(tmp_path / 'tree', cache_file=str(cache))
    before = cache.read_bytes()

    def full(file, **arrays):
        file.write(b'half')
        raise OSError('no space left')

    monkeypatch.setattr('mmcp.datasets.index_cache.np.savez', full)
    with pytest.raises(OSError, match='no space left'):
        build(tmp_path / 'tree', cache_file=str(cache), suffixes=['.jpg'])
    assert cache.read_bytes() == before
    assert len(os.listdir(tmp_path)) == 3


def test_long_searches_say_how_far_they_are(tmp_path, monkeypatch):
    write(tmp_path, 'a.jpg', 'b.jpg')
    said = []
    monkeypatch.setattr(module, '_log', said.append)
    monkeypatch.setattr(module, '_SECONDS', 0.0)
    build(tmp_path)
    assert said[:2] == [
        f'{tmp_path}: 1 images found so far ...',
        f'{tmp_path}: 2 images found so far ...',
    ]


class Reads(Dataset):
    """What a data set around it does: reads, reports, goes on."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        try:
            content = self.images.read(index)
        except UnreadableImage:
            return b'?'
        if content.startswith(b'broken'):
            self.images.report_unreadable(index)
        return content


@pytest.mark.parametrize(
    ('context', 'workers'),
    # A spawned worker imports everything anew.
    [('fork', 2), pytest.param('spawn', 1, marks=pytest.mark.slow)],
)
def test_the_main_process_learns_what_workers_cannot_read(
    tmp_path, context, workers
):
    names = [f'{number:02}.jpg' for number in range(12)]
    write(tmp_path, *names, 'broken.jpg', 'empty.jpg', 'gone.jpg')
    (tmp_path / 'empty.jpg').write_bytes(b'')
    as_tar(tmp_path / 'x.tar', {'in.jpg': b'archived'})
    dataset = build(tmp_path, ['', 'x.tar'])
    (tmp_path / 'gone.jpg').unlink()
    loader = DataLoader(
        Reads(dataset),
        batch_size=4,
        num_workers=workers,
        multiprocessing_context=context,
        collate_fn=list,
    )
    contents = [content for batch in loader for content in batch]
    assert contents == [
        *(name.encode() for name in names),
        b'broken.jpg',
        b'?',
        b'?',
        b'archived',
    ]
    assert dataset.unreadable == {
        12: 'cannot be decoded',
        13: 'is empty',
        14: 'cannot be read',
    }


def test_warnings_name_the_first_ones_only(tmp_path, monkeypatch):
    write(tmp_path, *(f'{number}.jpg' for number in range(9)))
    dataset = build(tmp_path)
    said = []
    monkeypatch.setattr(
        module, 'print_log', lambda text, **options: said.append(text)
    )
    for index in [0, 0, 1, 2, 3, 4, 5, 6]:
        dataset.report_unreadable(index)
    assert len(said) == 5
    assert said[0] == (
        f"unreadable image: '{tmp_path}/0.jpg' cannot be decoded; another one "
        'takes its place'
    )
    assert said[4].endswith('place; more are counted silently')
    assert list(dataset.unreadable) == list(range(7))


def test_images_that_are_too_small_are_replaced(tmp_path):
    for name, shape in {
        '0.jpg': (32, 48),
        '1.png': (32, 31),
        '2.jpg': (31, 90),
        '3.png': (90, 32),
    }.items():
        cv2.imwrite(str(tmp_path / name), np.zeros((*shape, 3), np.uint8))
    (tmp_path / '4.jpg').write_bytes(b'found out when it is decoded')
    dataset = build(tmp_path, min_size=32)
    for index in (1, 2):
        with pytest.raises(UnreadableImage, match='is smaller than min_size'):
            dataset.read(index)
    for index in (0, 3, 4):
        content = (
            tmp_path / os.path.basename(dataset.path(index))
        ).read_bytes()
        assert dataset.read(index) == content
    assert list(dataset.unreadable) == [1, 2]
    assert build(tmp_path).read(1)
    with pytest.raises(ValueError, match='min_size must be >= 0, but is -1'):
        build(tmp_path, min_size=-1)


class Broken(Reads):
    """Reports every image."""

    def __getitem__(self, index):
        self.images.report_unreadable(index)
        return index


def test_copies_read_and_count_too(tmp_path):
    as_tar(tmp_path / 'x.tar', CONTENTS)
    dataset = build(tmp_path, 'x.tar')
    dataset.read(0)
    for other in (pickle.loads(pickle.dumps(dataset)), deepcopy(dataset)):
        assert other.read(1) == b'one'
        loader = DataLoader(Broken(other), num_workers=1)
        assert len(list(loader)) == 4
        # Runners copy data sets: workers must still be heard.
        assert list(other.unreadable) == [0, 1, 2, 3]
    assert dataset.unreadable == {}


def test_a_million_names_take_little_memory(tmp_path):
    count = 1_000_000
    with open(tmp_path / 'list.txt', 'w') as file:
        file.writelines(
            f'n{number // 1300:08}/n{number // 1300:08}_{number:07}.JPEG\n'
            for number in range(count)
        )
    dataset = build(tmp_path, 'list.txt')
    length = len('n00000000/n00000000_0000000.JPEG')
    # A name, its offset, its flag.
    assert dataset.nbytes - count * (length + 8 + 1) < 1000
    assert dataset.path(999_999).endswith('n00000769/n00000769_0999999.JPEG')
