"""Tests of the file that keeps what was found."""

import os

import pytest
from image_files import age, as_zip, build, names_of, write

from mmcp.datasets import unlabeled_image_dataset as module


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
