"""The README is true: its block runs, its links lead somewhere."""

import json
import re

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed


@pytest.fixture(scope='module')
def readme(repo_root):
    return (repo_root / 'README.md').read_text(encoding='utf-8')


@pytest.fixture
def coco(tmp_path):
    """Two images with a square each, where COCO's files would be."""
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'train2017').mkdir()
    images, annotations = [], []
    for i in (1, 2):
        picture = np.full((40, 60, 3), 50 * i, np.uint8)
        cv2.imwrite(str(tmp_path / 'train2017' / f'{i}.png'), picture)
        images.append(dict(id=i, file_name=f'{i}.png', height=40, width=60))
        annotations.append(
            dict(
                id=i,
                image_id=i,
                category_id=1,
                bbox=[5, 5, 20, 20],
                area=400,
                iscrowd=0,
                segmentation=[[5, 5, 25, 5, 25, 25, 5, 25]],
            )
        )
    content = dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name='person')],
    )
    path = tmp_path / 'annotations' / 'instances_train2017.json'
    path.write_text(json.dumps(content))
    return tmp_path


def test_block_for_an_existing_config_works(readme, coco, tmp_path):
    block = re.search(r'```python\n(.*?)```', readme, re.DOTALL)[1]
    path = tmp_path / 'leaf.py'
    path.write_text(block.replace('data/coco/', f'{coco}/'))
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    set_random_seed(0)
    samples = [dataset[i % 2] for i in range(12)]
    # The image's own square or none, if the crop missed it, and a pasted one.
    counts = [len(s['data_samples'].gt_instances) for s in samples]
    assert {0, 1, 2} >= set(counts)
    assert 2 in counts
    assert {(s['inputs'].shape, s['inputs'].dtype) for s in samples} == {
        ((3, 1024, 1024), torch.uint8)
    }


def test_links_and_commands_lead_somewhere(readme, repo_root):
    links = re.findall(r'\]\((?!http)([^)#]+)\)', readme)
    assert links
    commands = re.findall(
        r'(?:python |bash |^)((?:tools|configs|docs)/[\w./-]+)',
        readme,
        re.MULTILINE,
    )
    configs = re.findall(r'configs/\S+\.py', readme)
    for target in [*links, *commands, *configs]:
        assert (repo_root / target).exists(), target


def test_length(readme):
    assert len(readme.splitlines()) <= 150
