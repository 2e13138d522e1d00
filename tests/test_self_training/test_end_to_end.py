"""A self-training on the built-in sample, by the commands of the README."""

import json
import os
import subprocess

import pytest
import torch
from tiny import tool

from mmcp.demo.sample import make_sample

TEACHER = 'configs/demo/mask-rcnn_r18_fpn_1xb4-lsj-scp-900i_demo-256.py'
STUDENT = (
    'configs/self_training/'
    'mask-rcnn_r18_fpn_1xb8-lsj-st-scpboth-900i_demo-256.py'
)
IMAGES = 6
SHORT = [
    'train_cfg.max_iters=2',
    'default_hooks.checkpoint.interval=2',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
]


@pytest.fixture
def data(tmp_path):
    """The sample, with a list of a few of its unlabelled images."""
    root = make_sample(tmp_path / 'demo')
    path = root / 'annotations' / 'image_info_unlabeled.json'
    content = json.loads(path.read_text())
    content['images'] = content['images'][:IMAGES]
    path.with_name('few.json').write_text(json.dumps(content))
    return root


def run(root, *words):
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(
        tool(*words), cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def train(root, config, work, *keys, data):
    roots = [
        f'train_dataloader.dataset.{key}.data_root={data}/' for key in keys
    ]
    run(
        root, 'train.py', config, '--no-validate', '--work-dir', work,
        '--cfg-options', *SHORT, *roots, 'train_dataloader.batch_size=2',
    )  # fmt: skip
    return work / 'iter_2.pth'


@pytest.mark.slow
def test_teacher_labels_student(repo_root, tmp_path, data):
    teacher = train(
        repo_root, TEACHER, tmp_path / 'teacher', 'dataset', data=data
    )
    out = data / 'annotations' / 'pseudo_unlabeled.json'
    # After two steps nothing is certain.
    output = run(
        repo_root, 'pseudo_label.py', TEACHER, teacher,
        data / 'annotations' / 'few.json',
        '--image-root', data / 'unlabeled', '--out', out, '--workers', '0',
        '--score-thr', '0.01', '--max-per-image', '4',
        '--categories', data / 'annotations' / 'instances_train.json',
    )  # fmt: skip
    labels = json.loads(out.read_text())
    truth = json.loads(
        (data / 'annotations' / 'instances_train.json').read_text()
    )
    student = train(
        repo_root, STUDENT, tmp_path / 'student', 'labeled', 'pseudo',
        data=data,
    )  # fmt: skip

    assert len(labels['images']) == IMAGES
    assert labels['categories'] == truth['categories']
    counts = [
        sum(a['image_id'] == image['id'] for a in labels['annotations'])
        for image in labels['images']
    ]
    assert 0 < max(counts) <= 4
    assert f'{len(labels["annotations"])} objects in 6 images' in output
    before, after = (
        torch.load(path, weights_only=False)['state_dict']
        for path in (teacher, student)
    )
    assert before.keys() == after.keys()
    assert all(bool(value.isfinite().all()) for value in after.values())
