"""Configs of students: Table 3, Section 4.4, and the last row of Table 4."""

import copy
from functools import cache

import pytest
import torch
from check_configs import ROOT, find_leaves
from config_grammar import parse_name
from config_metafile import read_metafile
from mmengine.config import Config
from mmengine.registry import DATA_SAMPLERS, DATASETS, DefaultScope
from reduce_config import reduce_config, train_reduced
from tiny_coco import NUM_IMAGES

FOLDER = ROOT / 'configs' / 'self_training'
LEAVES = {
    leaf.stem: leaf for leaf in find_leaves(ROOT) if leaf.parent == FOLDER
}
HALVED = [stem for stem in LEAVES if '-st-' in stem]
COPIED_FROM = [stem for stem in LEAVES if '-scpfrompseudo-' in stem]
COCO = [stem for stem in LEAVES if '_cocou' in stem]
# Probabilities of pasting onto labelled and pseudo-labelled images.
PROBS = {
    'scplabeled': (1.0, 0.0),
    'scppseudo': (0.0, 1.0),
    'scpboth': (1.0, 1.0),
}
TABLE_3 = {
    (0.0, 0.0): ('self-training', 50.0, 44.0),
    (1.0, 0.0): ('+Copy-Paste COCO', 50.4, 44.0),
    (0.0, 1.0): ('+Copy-Paste Pseudo data', 50.8, 44.5),
    (1.0, 1.0): ('+Copy-Paste COCO & Pseudo data', 51.4, 45.0),
}
PSEUDO = {
    'data/coco/annotations/pseudo_unlabeled2017.json': 'unlabeled2017/',
    'data/objects365/annotations/pseudo_train.json': 'train/',
}
# By unlabelled images and backbone.
TEACHERS = {
    ('cocou', 'r50'): 'mask-rcnn_r50_fpn_8xb8-lsj-scp-270k_coco-1024',
    ('cocouo365', 'r50'): 'mask-rcnn_r50_fpn_64xb4-lsj-scp-576e_coco-1024',
    ('cocouo365', 'effb7'): 'mask-rcnn_effb7_fpn_64xb4-lsj-scp-576e_coco-640',
}
LARGEST = (
    'cascade_effb7_nasfpn_ns-pre_64xb4-lsj-st-scpboth-180k_cocouo365-1280'
)


@cache
def _read(path):
    return Config.fromfile(path)


def load(stem):
    return copy.deepcopy(_read(LEAVES[stem]))


def kind_of(stem):
    name = parse_name(stem)
    return name.dataset, name.components[0]


def teacher_of(stem):
    name = (
        'cascade_effb7_nasfpn_ns-pre_64xb4-lsj-scp-180k_coco-1280'
        if stem == LARGEST
        else TEACHERS[kind_of(stem)]
    )
    return _read(ROOT / 'configs' / 'copy_paste' / f'{name}.py')


def probs(stem):
    words = PROBS.keys() & set(parse_name(stem).augmentations)
    return PROBS[words.pop()] if words else (0.0, 0.0)


def datasets_of(node):
    return node.datasets if 'datasets' in node else [node]


def test_both_sets_of_pseudo_labels_have_all_rows():
    for kind in TEACHERS:
        rows = [s for s in COCO if kind_of(s) == kind and s != LARGEST]
        halved = [probs(s) for s in rows if s in HALVED]
        assert sorted(halved) == sorted(TABLE_3)
        copied = len(set(rows) & set(COPIED_FROM))
        assert copied == ('r50' in kind)
        assert len(rows) == len(halved) + copied
    assert probs(LARGEST) == (1.0, 1.0)


@pytest.mark.parametrize('stem', HALVED)
def test_half_of_a_batch_is_pseudo_labelled(stem):
    loader = load(stem).train_dataloader

    assert loader.sampler == dict(
        type='mmcp.MultiSourceSampler', source_ratio=[1, 1]
    ) or loader.sampler == dict(
        type='mmcp.MultiSourceSampler', source_ratio=[1, 1], shuffle=True
    )
    assert loader.batch_size % 2 == 0
    assert 'batch_sampler' not in loader
    assert loader.dataset.type == 'mmcp.SelfTrainingDataset'


@pytest.mark.parametrize('stem', HALVED)
def test_ground_truth_is_pasted_as_the_name_says(stem):
    dataset = load(stem).train_dataloader.dataset
    assert (dataset.labeled_prob, dataset.pseudo_prob) == probs(stem)
    # Nothing but the probabilities differs between the rows of the table.
    words = parse_name(stem).augmentations
    baseline = stem
    for word in PROBS.keys() & set(words):
        baseline = stem.replace(f'-{word}-', '-')
    if baseline not in LEAVES:
        assert stem == LARGEST or stem.endswith('demo-256')
        return
    config, other = load(stem), load(baseline)
    for one in (config, other):
        del one.train_dataloader.dataset['labeled_prob']
        del one.train_dataloader.dataset['pseudo_prob']
    assert config.to_dict() == other.to_dict()


@pytest.mark.parametrize('stem', COCO)
def test_pseudo_labels_are_those_of_the_name(stem):
    dataset = load(stem).train_dataloader.dataset
    pseudo = datasets_of(
        dataset.source if stem in COPIED_FROM else dataset.pseudo
    )
    found = {p.data_root + p.ann_file: p.data_prefix.img for p in pseudo}

    count = {'cocou': 1, 'cocouo365': 2}[parse_name(stem).dataset]
    assert found == dict(list(PSEUDO.items())[:count])
    for part in pseudo:
        # What the teacher was not sure about is no background.
        assert part.filter_cfg == dict(filter_empty_gt=True)


@pytest.mark.parametrize('stem', COCO)
def test_all_but_data_and_batch_is_the_teachers(stem):
    changed = ('train_dataloader', 'auto_scale_lr')
    config, teacher = load(stem), teacher_of(stem)
    dataset = config.train_dataloader.dataset
    labeled = dataset.dataset if stem in COPIED_FROM else dataset.labeled
    pseudo = datasets_of(
        dataset.source if stem in COPIED_FROM else dataset.pseudo
    )
    before = teacher.train_dataloader.dataset

    assert labeled == before.dataset
    assert all(part.pipeline == labeled.pipeline for part in pseudo)
    assert dataset.pipeline == before.pipeline
    batch = parse_name(stem).batch_size
    # "with the exception of our largest model".
    times = 1 if stem == LARGEST else 2
    assert batch == times * teacher.auto_scale_lr.base_batch_size
    assert batch == config.auto_scale_lr.base_batch_size
    # The learning rate and the number of steps among it.
    rest = [
        {k: v for k, v in one.items() if k not in changed}
        for one in (config.to_dict(), teacher.to_dict())
    ]
    assert rest[0] == rest[1]


@pytest.mark.parametrize('stem', COPIED_FROM)
def test_pseudo_labelled_objects_go_into_coco(stem):
    config = load(stem)
    dataset = config.train_dataloader.dataset

    assert dataset.type == 'mmcp.CopyPasteDataset'
    assert dataset.prob == 1
    assert config.train_dataloader.sampler.type == 'mmcp.InfiniteSampler'


def test_numbers_of_the_metafile_are_those_of_table_3():
    for entry in read_metafile(FOLDER / 'metafile.yml'):
        paper = entry.paper
        if entry.name in COPIED_FROM:
            assert paper['table'] == 'Section 4.4'
            assert 'numbers' not in paper
        elif entry.name == LARGEST:
            assert paper['table'] == 'Table 4'
            assert paper['row'] == 'w/ self-training Copy-Paste'
            assert list(paper['numbers'].values()) == [57.0, 48.9, 57.3, 49.1]
        elif entry.name in COCO:
            numbers = paper['numbers']
            row = (paper['row'], numbers['box AP'], numbers['mask AP'])
            assert paper['table'] == 'Table 3'
            assert row == TABLE_3[probs(entry.name)]
            assert ('differs' in paper) == ('_r50_' in entry.name)


# One of each kind of data; make test-configs trains them all.
KINDS = {
    (parse_name(stem).dataset, stem in COPIED_FROM): stem
    for stem in sorted(LEAVES, key=lambda stem: '-scpboth-' in stem)
}


@pytest.mark.slow
@pytest.mark.parametrize('stem', KINDS.values())
def test_two_steps(stem, tmp_path):
    steps = train_reduced(reduce_config(load(stem), tmp_path))

    assert len(steps.losses) == 2
    assert all(0 < loss < 20 for loss in steps.losses)
    assert steps.changed > 0.9


def test_reduced_batches_are_half_and_half(tmp_path):
    (stem,) = [
        s for s in COCO if '_r50_' in s and '-scpboth-' in s and 'o365' in s
    ]
    loader = reduce_config(load(stem), tmp_path).train_dataloader
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(loader.dataset)
    sampler = DATA_SAMPLERS.build(dict(loader.sampler, dataset=dataset))
    # Two sets of pseudo-labels; their empty images are filtered.
    assert [len(part) for part in dataset.datasets] == [
        NUM_IMAGES,
        2 * (NUM_IMAGES - 1),
    ]
    indices = iter(sampler)
    for _ in range(6):
        kinds = [next(indices) < NUM_IMAGES for _ in range(2)]
        assert sorted(kinds) == [False, True]
    sample = dataset[next(indices)]
    assert sample['inputs'].dtype == torch.uint8
