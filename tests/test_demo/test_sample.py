"""The files of the sample."""

import hashlib
import json
from collections import Counter

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from mmcp.demo import CLASSES, METAINFO, PALETTE, make_sample
from mmcp.demo import sample as sample_module
from mmcp.demo.categories import CATEGORIES

# Of seed 0. When it changes, raise `mmcp.demo.sample.VERSION`.
CHECKSUM = '0cce19e15abea8a0923e6987c7e39e4a83909fd5e5ef8508ee5e61d1a53d12a7'


def digest(root):
    """SHA-256 of what readers see: annotations and decoded pixels."""
    total = hashlib.sha256()
    for path in sorted(root.rglob('*')):
        if path.suffix == '.json':
            data = path.read_bytes()
        elif path.suffix == '.png':
            data = np.asarray(Image.open(path)).tobytes()
        else:
            continue
        total.update(path.relative_to(root).as_posix().encode() + data)
    return total.hexdigest()


@pytest.fixture(params=['train', 'val'])
def split(request):
    return request.param


@pytest.fixture
def coco(sample, split):
    return COCO(sample / 'annotations' / f'instances_{split}.json')


@pytest.fixture
def draft(monkeypatch):
    """Makes `make_sample` write two tiny files instead of pictures."""

    def write(root, split, seed):
        (root / split).mkdir()
        (root / split / '1.txt').write_text(f'{split} {seed}')

    monkeypatch.setattr(sample_module, '_write_split', write)
    return write


def test_pinned_checksum(sample):
    assert digest(sample) == CHECKSUM


def test_layout(sample):
    folders = {
        path.relative_to(sample).as_posix(): len(list(path.glob('*.*')))
        for path in sample.rglob('*')
        if path.is_dir()
    }
    assert folders == {
        'annotations': 3,
        'train': 60,
        'val': 48,
        'unlabeled': 60,
        'semantic': 0,
        'semantic/train': 60,
        'semantic/val': 48,
    }


def test_objects_are_those_of_the_table(coco, split):
    counts = Counter(
        ann['category_id']
        for ann in coco.dataset['annotations']
        if not ann['iscrowd']
    )
    expected = {i: getattr(c, split) for i, c in enumerate(CATEGORIES, 1)}
    assert counts == expected
    names = tuple(c['name'] for c in coco.dataset['categories'])
    assert names == CLASSES == METAINFO['classes']


def test_tail_is_long():
    counts = [category.train for category in CATEGORIES]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 100
    assert sum(3 <= count <= 12 for count in counts) >= 3
    assert sum(count >= 20 for count in counts) >= 6


def test_images_agree_with_the_json(sample, coco, split):
    for info in coco.imgs.values():
        image = cv2.imread(str(sample / split / info['file_name']))
        assert image.shape == (info['height'], info['width'], 3)
        assert 192 <= min(image.shape[:2]) <= max(image.shape[:2]) <= 256


def test_area_and_box_agree_with_the_decoded_mask(coco):
    for ann in coco.dataset['annotations']:
        mask = coco.annToMask(ann)
        assert mask.sum() == ann['area']
        assert list(cv2.boundingRect(mask)) == ann['bbox']
        assert ann['area'] > 20


def test_polygons_lie_inside_the_image(coco):
    for ann in coco.dataset['annotations']:
        if ann['iscrowd']:
            continue
        info = coco.imgs[ann['image_id']]
        points = np.concatenate(ann['segmentation']).reshape(-1, 2)
        assert (points >= 0).all()
        assert (points <= (info['width'], info['height'])).all()


def test_semantic_map_agrees_with_the_instances(sample, coco, split):
    for info in coco.imgs.values():
        image = Image.open(sample / 'semantic' / split / info['file_name'])
        semantic = np.asarray(image)
        expected = np.zeros((info['height'], info['width']), dtype=np.uint8)
        for ann in coco.imgToAnns[info['id']]:
            mask = coco.annToMask(ann) > 0
            assert (expected[mask] == 0).all()  # masks are disjoint
            expected[mask] = 255 if ann['iscrowd'] else ann['category_id']
        fragments = (semantic == 255) & (expected == 0)
        assert (semantic == expected)[~fragments].all()
        assert fragments.sum() <= 20
        assert image.mode == 'P'
        palette = np.array(image.getpalette()).reshape(-1, 3)
        assert palette[0].tolist() == [0, 0, 0]
        assert palette[1 : len(PALETTE) + 1].tolist() == [
            list(colour) for colour in PALETTE
        ]


def test_one_crowd_as_uncompressed_rle(sample):
    crowds = []
    for split in ('train', 'val'):
        path = sample / 'annotations' / f'instances_{split}.json'
        annotations = json.loads(path.read_text())['annotations']
        crowds += [ann for ann in annotations if ann['iscrowd']]
    (crowd,) = crowds
    rle = crowd['segmentation']
    assert sum(rle['counts']) == rle['size'][0] * rle['size'][1]
    assert sum(rle['counts'][1::2]) == crowd['area'] > 800


def test_every_split_has_an_empty_image(coco):
    sizes = Counter(len(coco.getAnnIds(imgIds=i)) for i in coco.imgs)
    assert sizes[0] == 1
    assert set(sizes) <= {0, *range(4, 11)}


def test_unlabelled_split_names_its_images(sample):
    path = sample / 'annotations' / 'image_info_unlabeled.json'
    content = json.loads(path.read_text())
    assert 'annotations' not in content
    names = sorted(p.name for p in (sample / 'unlabeled').iterdir())
    assert [info['file_name'] for info in content['images']] == names


def test_second_call_touches_nothing(sample):
    before = {p: p.stat().st_mtime_ns for p in sample.rglob('*')}
    assert make_sample(sample) == sample
    assert {p: p.stat().st_mtime_ns for p in sample.rglob('*')} == before


def test_seed_and_place_reach_the_pictures():
    draw = sample_module._draw_image
    images = {
        draw(split, index, [0, 1], seed).image.tobytes()
        for split, index, seed in [
            ('train', 0, 0),
            ('train', 0, 1),
            ('train', 2, 0),
            ('val', 0, 0),
        ]
    }
    assert len(images) == 4


def test_objects_are_dealt_by_seed_within_limits():
    deals = [sample_module._deal_labels('train', seed) for seed in range(4)]
    assert deals[0] == sample_module._deal_labels('train', 0)
    assert deals[0] != deals[1]
    for deal in deals:
        sizes = sorted(map(len, deal))
        assert sizes[0] == 0  # the empty image
        assert 4 <= sizes[1] < sizes[-1] <= 9


def test_other_seed_replaces_the_sample(draft, tmp_path):
    root = make_sample(tmp_path / 'demo')
    (root / 'train' / 'stale.txt').write_text('of the old sample')
    make_sample(root, seed=1)
    assert [p.name for p in (root / 'train').iterdir()] == ['1.txt']
    assert (root / 'train' / '1.txt').read_text() == 'train 1'


def test_missing_file_is_made_again(draft, tmp_path):
    root = make_sample(tmp_path / 'demo')
    (root / 'val' / '1.txt').unlink()
    make_sample(root)
    assert (root / 'val' / '1.txt').read_text() == 'val 0'


@pytest.mark.parametrize('stamp', ['{', '[]', '{"version": 1}', ''])
def test_broken_stamp_is_replaced(draft, tmp_path, stamp):
    root = make_sample(tmp_path / 'demo')
    complete = (root / 'sample.json').read_text()
    (root / 'sample.json').write_text(stamp)
    make_sample(root)
    assert (root / 'sample.json').read_text() == complete


def test_folder_of_another_kind_is_refused(tmp_path):
    (tmp_path / 'thesis.tex').write_text('important')
    with pytest.raises(FileExistsError, match='choose another folder'):
        make_sample(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ['thesis.tex']


def test_file_in_the_way_is_refused(tmp_path):
    (tmp_path / 'demo').write_text('a file')
    with pytest.raises(FileExistsError):
        make_sample(tmp_path / 'demo')


def test_interrupted_run_leaves_nothing(draft, tmp_path, monkeypatch):
    def write(root, split, seed):
        draft(root, split, seed)
        if split == 'val':
            raise KeyboardInterrupt

    monkeypatch.setattr(sample_module, '_write_split', write)
    with pytest.raises(KeyboardInterrupt):
        make_sample(tmp_path / 'demo')
    assert list(tmp_path.iterdir()) == []
