"""Tests of looking for the data before anything is built."""

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmcp.engine.config import UsageError
from mmcp.engine.data_check import check_data


def make(tmp_path, **options):
    """Returns a config whose training data set is inside of another."""
    (tmp_path / 'a.json').write_text('{}')
    root = str(tmp_path)
    inner = dict(
        dict(type='CocoDataset', data_root=root, ann_file='a.json'), **options
    )
    return Config(
        dict(
            default_scope='mmdet',
            train_dataloader=dict(
                dataset=dict(
                    type='MultiImageMixDataset',
                    dataset=inner,
                    # Not a data set, and not looked at.
                    pipeline=[dict(type='Nothing', ann_file='none.json')],
                )
            ),
            val_dataloader=None,
            val_evaluator=None,
            test_dataloader=dict(
                dataset=dict(
                    type='ConcatDataset', datasets=[dict(inner), dict(inner)]
                )
            ),
            test_evaluator=[
                dict(type='CocoMetric', ann_file=f'{root}/a.json')
            ],
        )
    )


PARTS = ['train', 'val', 'test']


def current_scope():
    """Name of the default scope; mmengine may hold it in a new object."""
    instance = DefaultScope.get_current_instance()
    return instance and instance.scope_name


@pytest.mark.parametrize(
    'options',
    [
        {},
        dict(ann_file=''),
        dict(ann_file='none.json', backend_args=dict(backend='petrel')),
        dict(data_root='s3://bucket', ann_file='none.json'),
        dict(type='mmdet.CocoDataset'),
        # It joins its paths in a way of its own.
        dict(type='RefCocoDataset', ann_file='none.json'),
    ],
)
def test_what_is_there_or_cannot_be_told_is_accepted(tmp_path, options):
    before = current_scope()
    check_data(make(tmp_path, **options), PARTS)
    assert current_scope() == before


@pytest.mark.parametrize('part', ['train', 'test'])
def test_missing_annotations_below_the_root(tmp_path, part):
    cfg = make(tmp_path, ann_file='none.json')
    with pytest.raises(FileNotFoundError) as caught:
        check_data(cfg, [part])
    assert caught.value.filename == str(tmp_path / 'none.json')


@pytest.mark.parametrize('part', ['train', 'test'])
def test_unknown_type_of_data_set(tmp_path, part):
    with pytest.raises(UsageError) as caught:
        check_data(make(tmp_path, type='CocoDatset'), [part])
    assert str(caught.value) == (
        "There is no dataset 'CocoDatset' (the default scope is 'mmdet'). "
        "Did you mean 'CocoDataset'?"
    )


@pytest.mark.parametrize('source', ['a.json', 'none.json'])
def test_missing_annotations_of_a_source_of_objects(tmp_path, source):
    cfg = make(tmp_path)
    inner = cfg.train_dataloader.dataset.dataset
    cfg.train_dataloader.dataset = dict(
        type='mmcp.CopyPasteDataset',
        dataset=inner,
        source=dict(inner, ann_file=source),
        # Transforms, not data sets.
        source_pipeline=[dict(type='Nothing', ann_file='none.json')],
    )
    if source == 'a.json':
        check_data(cfg, ['train'])
        return
    with pytest.raises(FileNotFoundError) as caught:
        check_data(cfg, ['train'])
    assert caught.value.filename == str(tmp_path / 'none.json')


@pytest.mark.parametrize('key', ['labeled', 'pseudo'])
def test_missing_annotations_of_a_self_training(tmp_path, key):
    cfg = make(tmp_path)
    inner = cfg.train_dataloader.dataset.dataset
    parts = dict(labeled=inner, pseudo=inner)
    parts[key] = dict(inner, ann_file='none.json')
    cfg.train_dataloader.dataset = dict(
        type='mmcp.SelfTrainingDataset', **parts
    )
    with pytest.raises(FileNotFoundError) as caught:
        check_data(cfg, ['train'])
    assert caught.value.filename == str(tmp_path / 'none.json')


def test_unknown_type_of_a_source(tmp_path):
    cfg = make(tmp_path)
    cfg.train_dataloader.dataset.source = dict(type='CocoDatset')
    with pytest.raises(UsageError, match="no dataset 'CocoDatset'"):
        check_data(cfg, ['train'])


def test_missing_annotations_of_the_evaluator(tmp_path):
    cfg = make(tmp_path)
    cfg.test_evaluator[0].ann_file = 'none.json'
    check_data(cfg, ['train', 'val'])
    with pytest.raises(FileNotFoundError) as caught:
        check_data(cfg, ['test'])
    assert caught.value.filename == 'none.json'


def test_missing_annotations_that_a_loss_counts(tmp_path):
    cfg = make(tmp_path)
    heads = [dict(loss_cls=dict(type='Loss', ann_file=f'{tmp_path}/a.json'))]
    cfg.model = dict(roi_head=dict(bbox_head=heads))
    check_data(cfg, PARTS)
    cfg.model.roi_head.bbox_head[0].loss_cls.ann_file = 'none.json'
    # Nothing is counted in a test.
    check_data(cfg, ['test'])
    with pytest.raises(FileNotFoundError) as caught:
        check_data(cfg, ['train'])
    assert caught.value.filename == 'none.json'
