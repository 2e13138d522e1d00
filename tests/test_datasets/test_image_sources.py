"""Tests of where images come from, through the data set that uses it."""

import os

import pytest
from image_files import as_tar, build, names_of, write
from mmengine.registry import DATASETS

from mmcp.datasets import UnlabeledImageDataset, UnreadableImage
from mmcp.datasets.sample_index import SampleIndex


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
