"""Tests of --cfg-options."""

import argparse
from pathlib import Path

import mmdet
import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmcp.engine.config import UsageError
from mmcp.engine.options import (
    OptionsAction,
    check_names,
    merge_options,
    runner_keys,
)

CONFIGS = Path(__file__).parents[2] / 'configs'
SHIPPED = sorted(CONFIGS.glob('**/*.py'))

TEXT = """
data_root = 'data/coco/'
norm = dict(type='BN')
batch = 4
empty = ''
model = dict(type='MaskRCNN',
             backbone=dict(type='ResNet', depth=50, norm_cfg=norm))
train_dataloader = dict(
    batch_size=batch,
    dataset=dict(data_root=data_root, ann_file=data_root + 'train.json',
                 pipeline=[dict(type='Load'), dict(type='Flip', prob=0.5)]))
optim_wrapper = dict(optimizer=dict(lr=0.02))
optim_level = 2
"""


@pytest.fixture
def cfg():
    return Config.fromstring(TEXT, '.py')


def message(cfg, **options):
    before = cfg.pretty_text
    with pytest.raises(UsageError) as caught:
        merge_options(
            cfg, {k.replace('__', '.'): v for k, v in options.items()}
        )
    assert cfg.pretty_text == before
    return str(caught.value)


def test_existing_keys_are_set(cfg):
    merge_options(
        cfg,
        {
            'model.backbone.depth': 18,
            'train_dataloader.dataset.pipeline.1.prob': 0.1,
            'optim_wrapper.optimizer': dict(lr=1),
        },
    )
    assert cfg.model.backbone.depth == 18
    assert cfg.train_dataloader.dataset.pipeline[1].prob == 0.1
    assert cfg.optim_wrapper.optimizer.lr == 1


def test_keys_that_the_runner_reads_need_not_be_there(cfg):
    merge_options(cfg, {'randomness.seed': 1, 'load_from': 'x.pth'})
    assert cfg.randomness.seed == 1
    assert cfg.load_from == 'x.pth'


def test_no_options(cfg):
    before = cfg.pretty_text
    merge_options(cfg, None)
    merge_options(cfg, {})
    assert cfg.pretty_text == before


def test_new_key_below_is_accepted_with_a_note(cfg, capsys):
    merge_options(cfg, {'model.backbone.frozen_stages': 1})
    assert cfg.model.backbone.frozen_stages == 1
    assert "'model.backbone.frozen_stages' is new" in capsys.readouterr().err


def test_slip_at_the_top(cfg):
    assert message(cfg, optim_wraper__optimizer__lr=1) == (
        "--cfg-options: the config has no 'optim_wraper'. Did you mean "
        "'optim_wrapper'?"
    )


def test_unknown_key_at_the_top(cfg):
    assert message(cfg, zzz=1) == "--cfg-options: the config has no 'zzz'."


@pytest.mark.parametrize(
    ('key', 'slip', 'found'),
    [
        ('model__bakbone__depth', 'bakbone', 'backbone'),
        ('model__backbone__dept', 'dept', 'depth'),
        ('optim_wrapper__optimizer__lrr', 'lrr', 'lr'),
    ],
)
def test_slip_below(cfg, key, slip, found):
    text = message(cfg, **{key: 1})
    assert f"has no '{slip}'" in text
    assert f"Did you mean '{found}'?" in text


@pytest.mark.parametrize('index', ['2', '-1', 'one'])
def test_index_outside_a_list(cfg, index):
    text = message(cfg, **{f'train_dataloader.dataset.pipeline.{index}.x': 1})
    assert f"'{index}' is not one of its indices 0 to 1" in text


def test_key_below_a_value(cfg):
    text = message(cfg, model__backbone__depth__x=1)
    assert "'model.backbone.depth' is 50, which has no keys" in text


@pytest.mark.parametrize('key', ['', '.', 'model.', 'model..type'])
def test_empty_part(cfg, key):
    assert 'empty part' in message(cfg, **{key: 1})


@pytest.mark.parametrize(
    ('key', 'places'),
    [
        (
            'data_root',
            'train_dataloader.dataset.data_root, '
            'train_dataloader.dataset.ann_file',
        ),
        ('norm.type', 'model.backbone.norm_cfg'),
    ],
)
def test_names_of_the_file_have_no_effect(cfg, key, places):
    text = message(cfg, **{key: 'x'})
    assert f'Set {places} instead.' in text


@pytest.mark.parametrize('key', ['optim_level', 'batch', 'empty'])
def test_other_names_are_left_to_the_user(cfg, key):
    merge_options(cfg, {key: 7})
    assert cfg[key] == 7


def test_runner_keys_are_those_of_the_runner():
    keys = runner_keys()
    assert {'model', 'randomness', 'custom_hooks', 'compile'} <= set(keys)
    assert not {'self', 'cfg'} & set(keys)
    assert hasattr(Runner, 'from_cfg')


@pytest.mark.parametrize(
    ('text', 'meant'),
    [
        ('optim_wraper = dict(optimizer=dict(lr=1))', 'optim_wrapper'),
        ('optimwrapper = dict(optimizer=dict(lr=1))', 'optim_wrapper'),
        ('Train_cfg = dict(max_iters=1)', 'train_cfg'),
        ('trian_cfg = dict(max_iters=1)', 'train_cfg'),
        ('val_dataloaders = dict(batch_size=2)', 'val_dataloader'),
        ("load_form = 'x.pth'", 'load_from'),
        ('resum = True', 'resume'),
        ('param_schedulers = [dict(end=3)]', 'param_scheduler'),
    ],
)
def test_mistyped_key_in_a_config(tmp_path, text, meant):
    (tmp_path / 'base.py').write_text(TEXT)
    path = tmp_path / 'leaf.py'
    path.write_text(f"_base_ = 'base.py'\n{text}\n")
    with pytest.raises(UsageError) as caught:
        check_names(Config.fromfile(path))
    name = text.split(' ')[0]
    assert str(caught.value) == (
        f"{path}: '{name}' has no effect. Did you mean '{meant}'? If not, "
        'remove it or name it less similarly.'
    )


@pytest.mark.parametrize(
    'text',
    [
        'train_pipeline = [dict(type="X")]',
        'test_pipeline = [dict(type="X")]',
        'other_backend_args = dict(a=1)',
        'classes = ("a", "b")',
        'conv_cfg = dict(type="X")',
        'models = dict(type="X")\nmodel = models',
        'train_dataloader_a = dict(b=3)\ntrain_dataloader = dict(x=[1])',
    ],
)
def test_names_that_serve_the_file_are_no_slips(text):
    check_names(Config.fromstring(text, '.py'))


def shipped_by_mmdet():
    folder = Path(mmdet.__file__).parent / '.mim' / 'configs'
    # Those with names of the file that are similar to keys are among them.
    named = [
        'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
        'strongsort/strongsort_yolox_x_8xb4-80e_crowdhuman-mot20train_test-'
        'mot20test.py',
        'mm_grounding_dino/grounding_dino_swin-l_pretrain_all.py',
        'soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-'
        'coco.py',
    ]
    return [folder / name for name in named] + sorted(
        folder.glob('yolox/*.py')
    )


def test_no_false_alarm_in_whole_configs():
    configs = [*SHIPPED, *shipped_by_mmdet()]
    assert len(SHIPPED) > 50
    assert len(configs) > len(SHIPPED) + 10
    for path in configs:
        check_names(Config.fromfile(path))


def parse(*words):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction)
    return parser.parse_args(['--cfg-options', *words]).cfg_options


def test_values_are_parsed():
    assert parse('a.b=1', 'c=[x,(1,2.5)]', 'd=None', 'e=p=q', 'f=true') == {
        'a.b': 1,
        'c': ['x', (1, 2.5)],
        'd': None,
        'e': 'p=q',
        'f': True,
    }


@pytest.mark.parametrize(
    ('word', 'expected'),
    [('a', "'a' is not of the form"), ('a=[(1]', 'racket')],
)
def test_malformed_options(word, expected, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(word)
    assert caught.value.code == 2
    assert expected in capsys.readouterr().err
