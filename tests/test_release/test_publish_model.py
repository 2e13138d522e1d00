"""Tests of publishing checkpoints, from a training to a segmentor."""

import hashlib
import logging
import re
import shutil

import pytest
import torch
import yaml
from checkpoint_layouts import (
    fcn_config,
    mmcp_cp2,
    random_resnet,
    resnet_config,
    segmentor,
    vit,
)
from cp2_models import build
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from payload import write_hostile
from publish_model import main, parse_args, publish
from publishing.contents import choose_contents
from publishing.entry import make_entry
from publishing.naming import config_stem
from toy_pairs import make_runner, small_cp2, small_moco

from mmcp.checkpoints import (
    LayoutError,
    UnsafeCheckpointError,
    read_checkpoint,
    sort_weights,
)
from mmcp.engine.config import UsageError
from mmcp.engine.launch import run_tool

CP2 = dict(
    type='mmcp.CP2',
    backbone=resnet_config(),
    decode_head=fcn_config(),
    projector=dict(out_channels=8),
    queue_len=8,
)


def written(path, model=CP2, **settings):
    """A config file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Config(dict(model=model, default_scope='mmseg', **settings)).dump(path)
    return path


def run(checkpoint, *options, model=CP2):
    options = list(options)
    if '--config' in options:
        place = options.index('--config') + 1
        options[place] = checkpoint.parent / options[place]
        if not options[place].exists():
            written(options[place], model)
    out = checkpoint.parent / 'out'
    arguments = [checkpoint, '--out-dir', out, '--date', '20260131', *options]
    return publish(parse_args([str(word) for word in arguments]))


def save(tmp_path, content, name='epoch_1.pth'):
    torch.save(content, tmp_path / name)
    return tmp_path / name


@pytest.fixture(autouse=True)
def own_reader(monkeypatch):
    """What a run installs to read with ends with its test."""
    schemes = dict(CheckpointLoader._schemes)
    monkeypatch.setattr(CheckpointLoader, '_schemes', schemes)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The checkpoint of a tiny pretraining with CP2 and an average."""
    folder = tmp_path_factory.mktemp('work')
    runner = make_runner(
        folder,
        dict(type='mmengine.EMAHook'),
        dict(type='mmengine.CheckpointHook', interval=1),
    )
    runner.train()
    return folder / 'epoch_1.pth'


def without_preprocessor(model):
    del model['data_preprocessor']  # an object, which has no text
    return model


def run_trained(trained, tmp_path):
    source = shutil.copy(trained, tmp_path / 'epoch_1.pth')
    model = without_preprocessor(small_cp2())
    options = ['--renamed', '--config', 'configs/cp2/tiny.py']
    return run(source, *options, model=model)


R34 = resnet_config(depth=34)
SEGMENTOR = dict(
    type='mmseg.EncoderDecoder',
    backbone=resnet_config(),
    decode_head=fcn_config(num_classes=21),
)


def segmentor_config(init_cfg=None):
    return dict(
        type='mmseg.EncoderDecoder',
        backbone=dict(
            type='ResNet',
            depth=18,
            base_channels=8,
            stem_channels=8,
            strides=(1, 1, 2, 1),
            out_indices=(3,),
            norm_cfg=dict(type='BN'),
        ),
        decode_head=dict(
            type='FCNHead',
            in_channels=64,
            in_index=0,
            channels=16,
            num_convs=1,
            concat_input=False,
            num_classes=5,
            norm_cfg=dict(type='BN'),
        ),
        test_cfg=dict(mode='whole'),
        init_cfg=init_cfg,
    )


@pytest.mark.parametrize('part', ['backbone', 'backbone+head'])
def test_from_a_pretraining_to_a_segmentor(trained, tmp_path, part):
    path = run_trained(trained, tmp_path)
    init = dict(type='mmcp.Pretrained', checkpoint=str(path), part=part)
    said = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        model = build(segmentor_config(init))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)

    source_state = torch.load(trained, weights_only=False)['state_dict']
    state = model.state_dict()
    wanted = ('backbone.', 'decode_head.')[: 1 + ('head' in part)]
    count = 0
    for name, value in source_state.items():
        inner = name.removeprefix('encoder_q.')
        if inner != name and inner.startswith(wanted):
            assert torch.equal(state[inner], value)
            count += 1
    assert count == sum(
        n.startswith(wanted) and 'conv_seg' not in n for n in state
    )
    text = next(line for line in said if line.startswith('Loaded'))
    percents = re.findall(r'(\w+) (\d+) of (\d+) tensors \((\d+) %\)', text)
    assert [p[0] for p in percents] == part.split('+')
    assert all(p[1] == p[2] and p[3] == '100' for p in percents)
    assert sum(int(p[1]) for p in percents) == count


def test_mmengines_own_loader_finds_all_of_it(trained, tmp_path):
    path = run_trained(trained, tmp_path)
    published = read_checkpoint(path)['state_dict']
    model = build(segmentor_config())
    missing = set(model.state_dict()) - set(published)
    assert missing == {
        'decode_head.conv_seg.weight',
        'decode_head.conv_seg.bias',
    }
    assert not set(published) - set(model.state_dict())
    load_checkpoint(model, str(path))
    state = model.state_dict()
    assert all(torch.equal(state[n], v) for n, v in published.items())


def test_only_what_is_needed_remains(trained, tmp_path, capsys):
    before = torch.load(trained, weights_only=False)
    assert {'optimizer', 'ema_state_dict', 'message_hub'} <= set(before)
    path = run_trained(trained, tmp_path)

    content = read_checkpoint(path)
    assert set(content) == {'meta', 'state_dict'}
    assert set(content['meta']) == {
        'epoch',
        'iter',
        'mmengine_version',
        'seed',
        'dataset_meta',
        'mmcp',
    }
    assert content['meta']['mmcp'] == dict(
        source='epoch_1.pth', layout='mmcp-cp2', config='tiny.py'
    )
    roots = {name.split('.')[0] for name in content['state_dict']}
    assert roots == {'backbone', 'decode_head'}
    said = capsys.readouterr().out
    for word in ('ema_state_dict', 'optimizer', 'momentum encoder', 'queue'):
        assert word in said
    assert path.stat().st_size < trained.stat().st_size / 2


def test_name_is_config_day_and_content(tmp_path):
    source = save(tmp_path, mmcp_cp2(random_resnet()))
    path = run(source, '--config', 'configs/cp2/tiny_r18.py')
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.name == f'tiny_r18_20260131-{digest[:8]}.pth'
    names = sorted(item.name for item in path.parent.iterdir())
    assert names == [path.name, path.with_suffix('.yml').name]


def test_same_content_same_name(tmp_path):
    source = save(tmp_path, mmcp_cp2(random_resnet()))
    first = run(source, '--config', 'a.py')
    assert run(source, '--config', 'a.py') == first


def test_entry_for_the_metafile(tmp_path, capsys):
    config = written(tmp_path / 'configs' / 'tiny_8xb32-1e.py')
    known = dict(
        Models=[
            {
                'Name': 'tiny_8xb32-1e',
                'In Collection': 'CP2',
                'Config': 'configs/cp2/tiny_8xb32-1e.py',
                'Metadata': {'Batch Size': 256, 'Epochs': 20},
                'Paper': {'table': 1, 'row': 'y', 'numbers': {'VOC': 78.6}},
                'Results': [{'Metrics': {'mIoU': 78.6}}],
            }
        ]
    )
    (config.parent / 'metafile.yml').write_text(yaml.safe_dump(known))
    content = mmcp_cp2(random_resnet())
    cfg = Config(dict(train_cfg=dict(max_epochs=20))).pretty_text
    content['meta'] = dict(epoch=3, iter=90, cfg=cfg)
    source = save(tmp_path, content)
    path = run(source, '--config', config, '--url', 'https://models.invalid/')

    text = path.with_suffix('.yml').read_text()
    assert yaml.safe_load(text) == [
        {
            'Name': 'tiny_8xb32-1e',
            'In Collection': 'CP2',
            'Config': 'configs/cp2/tiny_8xb32-1e.py',
            'Metadata': {'Batch Size': 256, 'Epochs': 3},
            'Weights': f'https://models.invalid/{path.name}',
            'SHA256': hashlib.sha256(path.read_bytes()).hexdigest(),
        }
    ]
    assert capsys.readouterr().out.endswith(text)


@pytest.mark.parametrize(
    ('meta', 'length'),
    [
        ({}, {}),
        (dict(iter=7), {'Iterations': 7}),
        (dict(epoch=1, iter=7), {'Epochs': 1}),
    ],
)
def test_length_of_the_training_is_the_checkpoints(tmp_path, meta, length):
    config = written(tmp_path / 'a.py', train_cfg=dict(max_epochs=20))
    known = dict(Name='a', Metadata=dict(Epochs=20, Iterations=90))
    metafile = tmp_path / 'metafile.yml'
    metafile.write_text(yaml.safe_dump(dict(Models=[known])))
    source = save(tmp_path, mmcp_cp2(random_resnet()) | dict(meta=meta))
    path = run(source, '--config', config)
    entry = yaml.safe_load(path.with_suffix('.yml').read_text())[0]
    assert entry['Metadata'] == length


def test_entry_of_what_no_metafile_knows():
    weights = dict(Weights='a.pth', SHA256='0')
    entry = make_entry('x_2xb8-1k_coco', None, dict(iter=7), {}, weights)
    assert entry == {
        'Name': 'x_2xb8-1k_coco',
        'Metadata': {'Batch Size': 16, 'Iterations': 7},
        **weights,
    }


def test_config_is_what_the_run_was_called(tmp_path):
    content = mmcp_cp2(random_resnet())
    content['meta']['experiment_name'] = 'cp2_r18_20260130_120000'
    path = run(save(tmp_path, content))
    assert path.name.startswith('cp2_r18_20260131-')
    again = run(path, '--date', '20260201')
    assert again.name.startswith('cp2_r18_20260201-')
    for meta in (None, {}, dict(experiment_name='x')):
        with pytest.raises(UsageError, match='give --config'):
            config_stem(None, meta)


def test_metadata_of_a_pretraining():
    mask = dict(type='rectangle', area=(0.5, 0.8))
    cfg = Config(
        dict(
            model=dict(type='mmcp.CP2', backbone=dict(num_heads=6)),
            train_dataloader=dict(
                dataset=dict(
                    type='mmcp.CopyPastePairDataset',
                    mask=mask,
                    backgrounds='batch',
                    dataset=dict(sources='private/images'),
                )
            ),
            work_dir='private/work',
        )
    ).pretty_text
    content = mmcp_cp2(vit())
    content['meta'] = dict(epoch=20, cfg=cfg, time='now')
    contents = choose_contents(content, 'x/epoch_20.pth')
    assert contents.meta == dict(
        epoch=20,
        mmcp=dict(
            method='mmcp.CP2',
            source='epoch_20.pth',
            layout='mmcp-cp2',
            num_heads=6,
            mask=mask,
            backgrounds='batch',
        ),
    )
    kept = choose_contents(content, 'x', keep_config=True)
    assert kept.meta['cfg'] == cfg
    published = dict(meta=contents.meta, state_dict=contents.state)
    assert sort_weights(published, 'x').num_heads == 6


def test_a_moco_is_published_without_head(tmp_path):
    runner = make_runner(
        tmp_path,
        dict(type='mmengine.CheckpointHook', interval=1),
        model=small_moco(),
        length=4,
    )
    runner.train()
    path = run(
        *(tmp_path / 'epoch_1.pth', '--config', 'moco.py', '--renamed'),
        model=without_preprocessor(small_moco()),
    )
    state = read_checkpoint(path)['state_dict']
    query = runner.model.encoder_q.backbone.state_dict()
    assert set(state) == {f'backbone.{name}' for name in query}
    for name, value in query.items():
        assert torch.equal(state[f'backbone.{name}'], value)


def test_other_models_keep_all_their_weights(tmp_path):
    content = segmentor(random_resnet())
    del content['state_dict']['auxiliary_head.conv_seg.bias']
    content['meta'] = dict(dataset_meta=dict(classes=('a', 'b')), cfg='x = 1')
    content['optimizer'] = {}
    path = run(save(tmp_path, content), '--config', 'fcn.py', model=SEGMENTOR)
    found = read_checkpoint(path)
    assert found['meta']['dataset_meta'] == dict(classes=('a', 'b'))
    assert set(found['state_dict']) == set(content['state_dict'])
    for name, value in content['state_dict'].items():
        assert torch.equal(found['state_dict'][name], value)


def test_a_model_of_no_known_layout(tmp_path):
    state = {'bbox.weight': torch.ones(2)}
    content = choose_contents(dict(state_dict=state, optimizer={}), 'x')
    assert content.weights is None
    assert list(content.state) == ['bbox.weight']
    assert content.dropped == dict(optimizer=0)
    with pytest.raises(LayoutError, match='holds no weights'):
        choose_contents(dict(state_dict={}), 'x')


def test_a_training_that_diverged(tmp_path):
    content = mmcp_cp2(random_resnet())
    content['state_dict']['encoder_q.backbone.conv1.weight'][0] = float('nan')
    source = save(tmp_path, content)
    with pytest.raises(UsageError, match=r'backbone\.conv1\.weight holds NaN'):
        run(source, '--config', 'a.py')
    assert list((tmp_path / 'out').iterdir()) == []


def test_log_goes_beside_it(tmp_path):
    source = save(tmp_path, mmcp_cp2(random_resnet()))
    (tmp_path / 'scalars.json').write_text('{"loss": 1}\n')
    path = run(source, '--config', 'a.py', '--log', tmp_path / 'scalars.json')
    assert path.with_suffix('.json').read_text() == '{"loss": 1}\n'
    with pytest.raises(FileNotFoundError, match=r'Log .*no\.json'):
        run(source, '--config', 'a.py', '--log', tmp_path / 'no.json')


def test_mistakes_end_in_one_line(tmp_path, capsys):
    source = save(tmp_path, mmcp_cp2(random_resnet()))
    config = written(tmp_path / 'a.py')
    common = ['--out-dir', str(tmp_path / 'out'), '--config', str(config)]
    wrong = [*common[:-1], str(tmp_path / 'b.py')]
    assert run_tool(main, [str(source), *wrong]) == 1
    assert 'b.py does not exist' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
    for date in ('1.2.26', '20269999', '2026131'):
        assert run_tool(main, [str(source), *common, '--date', date]) == 1
        assert 'must be a day as YYYYMMDD' in capsys.readouterr().err
    assert run_tool(main, [str(tmp_path / 'no.pth'), *common]) == 1
    assert 'no.pth does not exist' in capsys.readouterr().err

    marker = tmp_path / 'marker'
    bad = write_hostile(
        tmp_path / 'bad.pth', marker, **mmcp_cp2(random_resnet())
    )
    with pytest.raises(UnsafeCheckpointError):
        run(bad, '--config', 'a.py')
    assert not marker.exists()
    run(bad, '--config', 'a.py', '--trust-checkpoint')
    assert marker.is_dir()


def test_another_model_is_not_published(tmp_path, capsys):
    content = mmcp_cp2(random_resnet())
    content['meta']['experiment_name'] = 'fcn_tiny_20260101_010101'
    source = save(tmp_path, content)
    config = written(tmp_path / 'r34.py', CP2 | dict(backbone=R34))
    words = [str(source), '--out-dir', str(tmp_path / 'out')]
    words += ['--config', str(config)]
    assert run_tool(main, words) == 1
    assert 'trained with fcn_tiny.py, not r34.py' in capsys.readouterr().err
    assert run_tool(main, [*words, '--renamed']) == 1
    assert 'does not fit the model of' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*words[:3], '--renamed'])
    assert '--renamed goes with --config' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_the_recorded_config_is_compared_and_runs_nothing(tmp_path, capsys):
    content = mmcp_cp2(random_resnet())
    meta = content['meta']
    meta['experiment_name'] = 'tiny_20260101_010101'
    meta['cfg'] = written(tmp_path / 'a.py').read_text()
    run(save(tmp_path, content))
    meta['cfg'] = written(tmp_path / 'b.py', SEGMENTOR).read_text()
    with pytest.raises(UsageError, match=r"epoch_1\.pth's own config"):
        run(save(tmp_path, content))
    capsys.readouterr()

    marker = tmp_path / 'marker'
    meta['cfg'] = f"model = dict(type='os.mkdir', path={str(marker)!r})\n"
    run(save(tmp_path, content))
    assert 'NOT COMPARED' in capsys.readouterr().err
    assert not marker.exists()
