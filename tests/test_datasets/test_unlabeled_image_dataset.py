import os
import pickle
from copy import deepcopy

import cv2
import numpy as np
import pytest
from image_files import as_tar, as_zip, build, write
from torch.utils.data import DataLoader, Dataset

from mmcp.datasets import UnreadableImage
from mmcp.datasets import unlabeled_image_dataset as module


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
    contents = {f'{name}.jpg': name.encode() for name in ('a', 'b', 'c', 'd')}
    as_tar(tmp_path / 'x.tar', contents)
    dataset = build(tmp_path, 'x.tar')
    dataset.read(0)
    for other in (pickle.loads(pickle.dumps(dataset)), deepcopy(dataset)):
        assert other.read(1) == b'b'
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
