import json

import pytest

from mmcp.engine.config import UsageError
from mmcp.self_training.image_list import read_image_list


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_folder_with_all_below_it(tmp_path):
    touch(tmp_path, 'b.jpg', 'a/2.PNG', 'a/10.png', 'notes.txt')
    images = read_image_list(tmp_path)

    assert len(images) == 3
    assert [images[i] for i in range(3)] == [
        dict(id=1, file_name='a/10.png'),
        dict(id=2, file_name='a/2.PNG'),
        dict(id=3, file_name='b.jpg'),
    ]
    assert images.path(images[2]) == str(tmp_path / 'b.jpg')
    assert images.categories == ()


def write(path, **content):
    path.write_text(json.dumps(content))
    return path


ENTRY = dict(id=7, file_name='x.jpg', height=4, width=5, license=2)


def test_a_coco_file_keeps_all_that_its_entries_hold(tmp_path):
    touch(tmp_path, 'images/x.jpg')
    other = dict(id=3, file_name='y.jpg')
    path = write(
        tmp_path / 'list.json',
        images=[ENTRY, other],
        categories=[dict(id=1, name='cat')],
        annotations=[dict(id=1)],
    )
    images = read_image_list(path, str(tmp_path / 'images'))

    assert [images[0], images[1]] == [ENTRY, other]
    assert images.path(images[1]) == str(tmp_path / 'images' / 'y.jpg')
    assert images.categories == (dict(id=1, name='cat'),)


def test_images_lie_beside_the_file_unless_one_says_otherwise(tmp_path):
    path = write(tmp_path / 'list.json', images=[ENTRY])
    with pytest.raises(UsageError, match='x.jpg, which does not exist; say w'):
        read_image_list(path)
    touch(tmp_path, 'x.jpg')
    assert len(read_image_list(path)) == 1


def test_the_digest_is_that_of_the_entries(tmp_path):
    touch(tmp_path, 'a/1.jpg', 'a/2.jpg', 'b/1.jpg', 'b/2.jpg', 'c/1.jpg')
    a, b, c = (read_image_list(tmp_path / name).digest for name in 'abc')
    assert a == b != c


def test_errors(tmp_path):
    touch(tmp_path, 'x.jpg', 'empty/notes.txt')
    path = tmp_path / 'list.json'
    with pytest.raises(FileNotFoundError):
        read_image_list(path)
    with pytest.raises(UsageError, match='no images in'):
        read_image_list(tmp_path / 'empty')
    with pytest.raises(UsageError, match='is a folder, so its images'):
        read_image_list(tmp_path, str(tmp_path))
    for text in ('no JSON', b'\xff\xd8\xff'):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(UsageError, match='neither a folder nor a JSON'):
            read_image_list(path)
    for content in ([], {}, dict(images=[])):
        path.write_text(json.dumps(content))
        with pytest.raises(UsageError, match="no list 'images'"):
            read_image_list(path)
    write(path, images=[ENTRY, dict(id=1)])
    with pytest.raises(UsageError, match="needs 'id' and 'file_name'"):
        read_image_list(path)
    write(path, images=[ENTRY, dict(ENTRY, file_name='z.jpg')])
    with pytest.raises(UsageError, match='two images have the id 7'):
        read_image_list(path)
