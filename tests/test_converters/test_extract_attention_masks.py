import os

import cv2
import numpy as np
import pytest
import torch
from attention.maps import AttentionMaps
from attention.weights import find_transformer
from extract_attention_masks import main, parse_args
from vit_samples import random_transformer

from mmcp.checkpoints import CheckpointError, UnsafeCheckpointError
from mmcp.datasets import CopyPastePairDataset, UnlabeledImageDataset
from mmcp.engine.config import UsageError
from mmcp.functional.vit_attention import class_attention


@pytest.fixture
def images(tmp_path):
    """Three images of different sizes in two folders."""
    rng = np.random.default_rng(0)
    for name, size in (
        ('a/1.jpg', (40, 60)),
        ('a/2.png', (64, 48)),
        ('b/1.jpg', (48, 48)),
    ):
        path = tmp_path / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        small = rng.integers(0, 256, (5, 5, 3), np.uint8)
        cv2.imwrite(str(path), cv2.resize(small, size[::-1]))
    return tmp_path / 'images'


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / 'vit.pth'
    torch.save(random_transformer(dims=64), path)
    return path


def run(images, checkpoint, *options):
    out = images.parent / 'masks'
    arguments = [images, checkpoint, '--out', out, '--size', 24, *options]
    main([str(argument) for argument in arguments])
    return out


def test_masks_mirror_the_images(images, checkpoint, capsys):
    out = run(images, checkpoint)
    found = sorted(str(p.relative_to(out)) for p in out.rglob('*.*'))
    assert found == ['a/1.png', 'a/2.png', 'b/1.png']
    sizes = [cv2.imread(str(out / name), -1).shape for name in found]
    assert sizes == [(40, 60), (64, 48), (48, 48)]
    for name in found:
        values = cv2.imread(str(out / name), cv2.IMREAD_UNCHANGED)
        assert values.dtype == np.uint8
        assert values.min() == 0
        assert values.max() == 255
    said = capsys.readouterr().out
    assert '64 channels, 1 heads, patches of 4 pixels' in said
    # Whoever calls it from Python can train afterwards.
    assert torch.is_grad_enabled()
    assert '3 of 3' in said


def test_they_serve_as_masks(images, checkpoint):
    out = run(images, checkpoint)
    dataset = CopyPastePairDataset(
        UnlabeledImageDataset(str(images)),
        size=32,
        mask=dict(
            type='file',
            folder=str(out),
            images=str(images),
            threshold='mean',
            stride=8,
        ),
    )
    for index in range(3):
        for mask in dataset[index]['masks'].values():
            assert 0 < mask.float().mean() < 1


def test_an_interrupted_run_goes_on(images, checkpoint, capsys):
    out = run(images, checkpoint)
    before = {p: p.read_bytes() for p in out.rglob('*.png')}
    (out / 'a' / '1.png').unlink()
    (out / 'b' / '1.png').write_bytes(b'kept')
    run(images, checkpoint)
    assert '3 images, 2 masks there' in capsys.readouterr().out
    assert (out / 'a' / '1.png').read_bytes() == before[out / 'a' / '1.png']
    assert (out / 'b' / '1.png').read_bytes() == b'kept'
    run(images, checkpoint, '--overwrite')
    assert {p: p.read_bytes() for p in out.rglob('*.png')} == before
    assert not [p for p in out.rglob('*') if p.name.startswith('.')]


def test_parts_make_the_whole(images, checkpoint):
    out = run(images, checkpoint, '--part', '1/2')
    assert len([*out.rglob('*.png')]) == 2
    run(images, checkpoint, '--part', '2/2')
    assert len([*out.rglob('*.png')]) == 3


def test_unreadable_images_are_listed(images, checkpoint, capsys):
    (images / 'a' / '3.jpg').write_bytes(b'no image')
    out = run(images, checkpoint)
    assert len([*out.rglob('*.png')]) == 3
    said = capsys.readouterr().out
    assert '1 images have no mask:' in said
    assert '3.jpg' in said


def test_the_map_of_an_image_by_hand():
    weights = random_transformer(dims=16, side=2)
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    mean = torch.tensor([0.485, 0.456, 0.406])
    std = torch.tensor([0.229, 0.224, 0.225])
    rgb = torch.from_numpy(image[..., ::-1].copy()) / 255
    normal = ((rgb - mean) / std).permute(2, 0, 1)[None]
    grid = class_attention(weights, normal, 2).mean(1)[0]
    stretched = (grid - grid.min()) / (grid.max() - grid.min()) * 255
    found = AttentionMaps(weights, 2, size=8, sigma=0.0)(image)
    # Bilinear: the corners are those of the grid.
    corners = found[[0, 0, -1, -1], [0, -1, 0, -1]].reshape(2, 2)
    np.testing.assert_allclose(corners, stretched.numpy(), atol=0.51)


def test_long_images_keep_their_aspect_in_whole_patches():
    maps = AttentionMaps(random_transformer(), 2, size=32, sigma=1.0)
    assert maps._prepare(np.zeros((100, 200, 3), np.uint8)).shape == (
        (1, 3, 16, 32)
    )
    assert maps._prepare(np.zeros((4, 2000, 3), np.uint8)).shape == (
        (1, 3, 4, 32)
    )
    assert maps(np.zeros((30, 20, 3), np.uint8)).shape == (30, 20)


def test_layouts_of_checkpoints():
    weights = random_transformer()

    def prefixed(prefix):
        return {prefix + name: value for name, value in weights.items()}

    head = {'head.weight': torch.zeros(3, 16), 'head.bias': torch.zeros(3)}
    for checkpoint in (
        weights,
        {**weights, **head},
        {'state_dict': prefixed('module.backbone.'), 'epoch': 3},
        {'model': weights},
        {
            'student': prefixed('module.backbone.'),
            'teacher': {**prefixed('backbone.'), 'head.mlp': torch.ones(1)},
        },
    ):
        found = find_transformer(checkpoint, 'x.pth')
        assert found.keys() == weights.keys()
        assert all(torch.equal(found[k], weights[k]) for k in weights)


def test_the_teacher_is_preferred():
    teacher, student = random_transformer(seed=1), random_transformer(seed=2)
    found = find_transformer(dict(student=student, teacher=teacher), 'x.pth')
    assert torch.equal(found['cls_token'], teacher['cls_token'])


def test_anything_else_is_refused():
    weights = random_transformer()
    with pytest.raises(CheckpointError, match='no vision transformer with'):
        find_transformer({'conv1.weight': torch.ones(1)}, 'r50.pth')
    missing = dict(weights)
    del missing['blocks.1.norm2.bias']
    with pytest.raises(CheckpointError, match="norm2.bias' is missing"):
        find_transformer(missing, 'x.pth')
    extra = {**weights, 'blocks.0.ls1.gamma': torch.ones(16)}
    with pytest.raises(CheckpointError, match="ls1.gamma' is unknown"):
        find_transformer(extra, 'x.pth')
    wrong = {**weights, 'norm.weight': torch.ones(5)}
    with pytest.raises(CheckpointError, match=r'\(5,\) instead of \(16,\)'):
        find_transformer(wrong, 'x.pth')
    del missing['pos_embed']
    with pytest.raises(CheckpointError, match="there is no 'pos_embed'"):
        find_transformer(missing, 'x.pth')


def test_checkpoints_that_run_code_are_not_opened(images, tmp_path):
    class Program:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / 'ran'),)

    path = tmp_path / 'bad.pth'
    torch.save({**random_transformer(), 'args': Program()}, path)
    with pytest.raises(UnsafeCheckpointError):
        run(images, path)
    assert not (tmp_path / 'ran').exists()


def test_mistakes_of_the_user(images, checkpoint, tmp_path):
    with pytest.raises(UsageError, match='64 channels cannot have 7 heads'):
        run(images, checkpoint, '--heads', 7)
    with pytest.raises(UsageError, match='must not lie in the folder'):
        run(images, checkpoint, '--out', images / 'masks')
    with pytest.raises(UsageError, match='--size must be'):
        run(images, checkpoint, '--size', 0)
    (images / 'a' / '1.png').write_bytes((images / 'a' / '2.png').read_bytes())
    with pytest.raises(UsageError, match='two images would have the mask a/1'):
        run(images, checkpoint)
    with pytest.raises(SystemExit):
        parse_args(['a', 'b', '--out', 'c', '--part', '3/2'])
