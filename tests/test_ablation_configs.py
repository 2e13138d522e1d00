"""Configs of the paper's Tables 10 and 11 and of its Figure 5."""

import copy
import json
import runpy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from check_configs import ROOT
from config_metafile import read_metafile
from config_values import flat
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from reduce_config import reduce_config, train_reduced

from mmcp.datasets.sample_index import SampleIndex
from mmcp.engine.options import merge_options
from mmcp.engine.training_length import annotation_options

FOLDER = ROOT / 'configs' / 'copy_paste'
LSJ, SSJ = (0.1, 2.0), (0.8, 1.25)
# Box and mask AP of Table 10 (a random subset of objects, not blended, is
# 'scp') and of Table 11, jitter of the main and of the pasted image.
TABLE_10 = {
    'lsj-scpone-576e': ('w/ Copy-Paste (one object)', 49.1, 43.1),
    'lsj-scpall-576e': ('w/ Copy-Paste (all objects)', 49.7, 43.3),
    'lsj-scpblend-576e': ('w/ Copy-Paste', 50.0, 43.7),
}
TABLE_11 = {
    'ssj-scp-96e': (SSJ, SSJ, 48.1, 42.1),
    'ssj-scplsj-96e': (SSJ, LSJ, 47.7, 41.8),
    'lsj-scpssj-576e': (LSJ, SSJ, 49.7, 43.5),
}
PASTED = {
    'lsj-scpone-576e': {'copy_paste.num_pasted': 'one'},
    'lsj-scpall-576e': {'copy_paste.num_pasted': 'all'},
    'lsj-scpblend-576e': {'copy_paste.blend': 'gaussian'},
    'lsj-mixup-576e': {'copy_paste.type': 'mmcp.DetMixUp'},
    'ssj-mixup-96e': {'copy_paste.type': 'mmcp.DetMixUp'},
    'ssj-scp-96e': {},
}


@cache
def _read(words):
    stem = f'mask-rcnn_effb7_fpn_64xb4-{words}_coco-640'
    return Config.fromfile(FOLDER / f'{stem}.py')


def load(words):
    return copy.deepcopy(_read(words))


def baseline_of(words):
    jitter, _, length = words.split('-')
    return load(f'{jitter}-{length}')


def changed(words):
    """What a leaf sets, below the data set, that its baseline does not."""
    config, baseline = (
        flat(one.to_dict()) for one in (load(words), baseline_of(words))
    )
    assert baseline.keys() <= config.keys()
    place = ('train_dataloader', 'dataset')
    values = {}
    for key, value in config.items():
        if key not in baseline or baseline[key] != value:
            assert key[:2] == place
            values['.'.join(key[2:])] = value
    assert values.pop('prob') == 1
    return values


@pytest.mark.parametrize('words', PASTED)
def test_nothing_but_the_pasting_differs_from_the_baseline(words):
    assert changed(words) == PASTED[words]


def test_options_make_the_same_ablations_of_any_config():
    config = load('lsj-scp-576e')
    option = 'train_dataloader.dataset.copy_paste.num_pasted'
    merge_options(config, {option: 'one'})
    assert config.to_dict() == load('lsj-scpone-576e').to_dict()


def jitters(config):
    """The only jitter of every data set that reads images."""
    dataset = config.train_dataloader.dataset
    readers = [dataset.dataset, dataset.get('source', dataset.dataset)]
    return [reader.pipeline[-1].ratio_range for reader in readers]


@pytest.mark.parametrize('words', TABLE_11)
def test_main_and_pasted_images_are_jittered_as_table_11_says(words):
    assert jitters(load(words)) == list(TABLE_11[words][:2])


def test_the_last_row_of_table_11_jitters_both_alike():
    assert jitters(load('lsj-scp-576e')) == [LSJ, LSJ]


@pytest.mark.parametrize('words', ['ssj-scplsj-96e', 'lsj-scpssj-576e'])
def test_a_source_of_its_own_differs_by_its_jitter_only(words):
    dataset = load(words).train_dataloader.dataset.to_dict()
    source, destination = dataset['source'], dataset['dataset']
    for reader in (source, destination):
        assert reader['pipeline'][-1].pop('ratio_range') in (LSJ, SSJ)
    assert source == destination
    assert {key.split('.')[0] for key in changed(words)} == {'source'}


def test_ssj_and_lsj_differ_by_jitter_and_length():
    configs = [load('lsj-576e').to_dict(), load('ssj-96e').to_dict()]
    for config in configs:
        reader = config['train_dataloader']['dataset']['dataset']
        assert reader['pipeline'][-1].pop('ratio_range') in (LSJ, SSJ)
        del config['train_cfg'], config['param_scheduler']
    assert configs[0] == configs[1]


def test_numbers_of_the_metafile_are_the_papers():
    entries = {
        entry.name.split('-', 2)[2].rsplit('_', 1)[0]: entry.paper
        for entry in read_metafile(FOLDER / 'metafile.yml')
        if entry.name.startswith('mask-rcnn_effb7_fpn_64xb4-')
        and entry.name.endswith('_coco-640')
    }
    names = {LSJ: 'LSJ', SSJ: 'SSJ'}
    rows = {words: ('Table 10', *row) for words, row in TABLE_10.items()}
    for words, (main, pasted, *ap) in TABLE_11.items():
        row = f'Main Image {names[main]}, Pasted Image {names[pasted]}'
        rows[words] = ('Table 11', row, *ap)
    for words, row in rows.items():
        paper = entries.pop(words)
        numbers = paper['numbers']
        found = (paper['table'], paper['row'])
        assert (*found, numbers['box AP'], numbers['mask AP']) == row
    # The rest are Table 1's, and curves without numbers.
    curves = {'ssj-96e', 'ssj-mixup-96e', 'lsj-mixup-576e'}
    assert entries.keys() == curves | {'lsj-576e', 'lsj-scp-576e'}
    assert not any('numbers' in entries[words] for words in curves)


@pytest.fixture(scope='module')
def reduced(tmp_path_factory):
    """Makes a leaf small, once."""

    @cache
    def make(words):
        folder = tmp_path_factory.mktemp(words)
        return reduce_config(load(words), folder)

    return make


def samples(config, count=16):
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(config.train_dataloader.dataset)
        return [
            dataset[SampleIndex(k % len(dataset), k, seed=1)]
            for k in range(count)
        ]


def counts(config, count=16):
    return [
        len(sample['data_samples'].gt_instances)
        + len(sample['data_samples'].ignored_instances)
        for sample in samples(config, count)
    ]


def test_as_many_objects_as_the_name_says(reduced):
    before, one, several = (
        np.array(counts(reduced(words)))
        for words in ('lsj-576e', 'lsj-scpone-576e', 'lsj-scpall-576e')
    )
    # What is pasted may hide some; the same images with the same jitter.
    assert (one <= before + 1).all()
    assert (one > before).any()
    assert (several <= before + 3).all()
    assert (several > before + 1).any()


def test_mixup_keeps_all_objects_of_both(reduced):
    before = samples(reduced('lsj-576e'))
    mixed = samples(reduced('lsj-mixup-576e'))
    for old, new in zip(before, mixed, strict=True):
        labels, others = (
            one['data_samples'].gt_instances.labels for one in (old, new)
        )
        assert others[: len(labels)].tolist() == labels.tolist()
        count = len(new['data_samples'].gt_instances)
        assert len(new['data_samples'].gt_instances.masks) == count
        assert new['inputs'].dtype == old['inputs'].dtype
    assert sum(counts(reduced('lsj-mixup-576e'))) > sum(
        counts(reduced('lsj-576e'))
    )
    images = [one[0]['inputs'].numpy() for one in (before, mixed)]
    assert not np.array_equal(*images)


def test_blended_edges_are_neither_image(reduced):
    hard, soft = (
        samples(reduced(words), 8)
        for words in ('lsj-scp-576e', 'lsj-scpblend-576e')
    )
    for first, second in zip(hard, soft, strict=True):
        masks = [
            one['data_samples'].gt_instances.masks.to_ndarray()
            for one in (first, second)
        ]
        assert np.array_equal(*masks)
    differing = [
        not np.array_equal(one['inputs'], other['inputs'])
        for one, other in zip(hard, soft, strict=True)
    ]
    assert any(differing)


@pytest.mark.parametrize('words', ['lsj-576e', 'lsj-scpssj-576e'])
def test_every_leaf_takes_a_fraction_of_coco(words):
    config = load(words)
    file = 'annotations/instances_train2017_10pct.json'
    merge_options(config, annotation_options(config, file))
    dataset = config.train_dataloader.dataset
    readers = [dataset.dataset, dataset.get('source', dataset.dataset)]
    assert {reader.ann_file for reader in readers} == {file}


def test_training_reads_the_images_of_a_fraction_only(tmp_path):
    config = reduce_config(load('lsj-scp-576e'), tmp_path)
    reader = config.train_dataloader.dataset.dataset
    root = Path(reader.data_root)
    tool = runpy.run_path(str(ROOT / 'tools/converters/coco_fractions.py'))

    tool['write_fractions'](root / reader.ann_file, root, [50], 0)
    file = 'instances_50pct.json'
    merge_options(config, annotation_options(config, file))

    fraction = json.loads((root / file).read_text())
    ids = {image['id'] for image in fraction['images']}
    seen = {one['data_samples'].img_id for one in samples(config, 6)}
    assert len(ids) == 2
    assert seen == ids


@pytest.mark.slow
def test_two_steps_with_mixup(reduced):
    steps = train_reduced(copy.deepcopy(reduced('lsj-mixup-576e')))

    assert len(steps.losses) == 2
    assert all(0 < loss < 20 for loss in steps.losses)
    assert steps.changed > 0.9
