from mmcp.engine.absent_files import absent_files


def test_first_of_the_absent_files_are_named(tmp_path):
    names = [f'{number}.png' for number in range(6)]
    paths = [str(tmp_path / name) for name in names]
    for path in paths[:1]:
        (tmp_path / path).touch()
    origin = 'list.txt'

    (line,) = absent_files(paths, 'images', origin)
    assert line == (
        f'5 of 6 images for list.txt: {paths[1]}, {paths[2]}, {paths[3]}, ...'
    )
    assert absent_files(paths[:1], 'images', origin) == []
    assert absent_files([], 'images', origin) == []


def test_a_folder_that_is_not_there(tmp_path):
    path = str(tmp_path / 'none' / 'a.png')

    assert absent_files([path], 'masks', 'x') == [
        f'1 of 1 masks for x: {path}'
    ]
