import pytest
import torch
from mmengine.config import Config
from teachers import write_teacher
from tiny import CLASSES

from mmcp.checkpoints import CheckpointError
from mmcp.engine.config import UsageError
from mmcp.self_training.teacher import (
    Teacher,
    predict_from,
    prediction_pipeline,
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('teacher')
    write_teacher(folder)
    return folder


def config(folder):
    return Config.fromfile(folder / 'detector.py')


def checkpoint(folder, path, **meta):
    """The teacher's weights with other meta information."""
    content = torch.load(folder / 'teacher.pth')
    torch.save(dict(content, meta=meta), path)
    return str(path)


def test_classes_of_the_checkpoint_come_first(folder, tmp_path):
    cfg = config(folder)
    path = tmp_path / 'other.pth'

    checkpoint(folder, path, dataset_meta=dict(classes=['a', 'b']))
    assert Teacher(cfg, str(path)).classes == ('a', 'b')
    checkpoint(folder, path)
    assert Teacher(cfg, str(path)).classes == CLASSES
    dataset = cfg.test_dataloader.dataset
    cfg.test_dataloader.dataset = dict(type='RepeatDataset', dataset=dataset)
    assert Teacher(cfg, str(path)).classes == CLASSES
    del dataset['metainfo']
    assert len(Teacher(cfg, str(path)).classes) == 80  # CocoDataset's own
    dataset.type = 'BaseDetDataset'
    with pytest.raises(UsageError, match='names the classes; set'):
        Teacher(cfg, str(path))


def test_weights_of_a_wrapped_model_are_loaded(folder, tmp_path):
    content = torch.load(folder / 'teacher.pth')
    wrapped = {f'module.{k}': v for k, v in content['state_dict'].items()}
    path = tmp_path / 'wrapped.pth'
    torch.save(dict(content, state_dict=wrapped), path)
    teacher = Teacher(config(folder), str(path))
    teacher.build()
    loaded = teacher._model.state_dict()

    assert not teacher._model.training
    assert loaded.keys() == content['state_dict'].keys()
    for name, value in content['state_dict'].items():
        assert torch.equal(loaded[name].cpu(), value)


def test_annotations_are_not_read(folder):
    cfg = config(folder)
    steps = prediction_pipeline(cfg)
    assert [step.type for step in steps] == [
        'LoadImageFromFile',
        'Resize',
        'PackDetInputs',
    ]
    cfg.test_dataloader.dataset.pipeline.insert(
        1, dict(type='mmcp.LoadAnnotations')
    )
    assert prediction_pipeline(cfg) == steps


@pytest.mark.parametrize('lowest', [0.0, 0.01, 0.7, 1.0])
def test_the_model_predicts_what_has_the_lowest_score(folder, lowest):
    cfg = config(folder)
    predict_from(cfg, lowest, None)
    threshold = cfg.model.test_cfg.rcnn.score_thr
    score = torch.tensor(lowest, dtype=torch.float32)

    assert bool(score > threshold)
    assert lowest - 2e-6 < threshold < lowest
    assert cfg.model.test_cfg.rcnn.max_per_img == 5
    assert cfg.model.test_cfg.rpn == config(folder).model.test_cfg.rpn


def test_the_most_of_an_image_is_raised_only(folder):
    for wanted, expected in ((3, 5), (8, 8)):
        cfg = config(folder)
        predict_from(cfg, 0.5, wanted)
        assert cfg.model.test_cfg.rcnn.max_per_img == expected


def test_a_model_inside_another(folder):
    cfg = config(folder)
    cfg.model = dict(type='Outer', detector=cfg.model, test_cfg=None)
    predict_from(cfg, 0.5, None)
    threshold = cfg.model.detector.test_cfg.rcnn.score_thr
    assert threshold == pytest.approx(0.5, abs=2e-6)


def test_no_checkpoint(folder, tmp_path):
    with pytest.raises(FileNotFoundError):
        Teacher(config(folder), str(tmp_path / 'none.pth'))
    (tmp_path / 'text.pth').write_text('text')
    with pytest.raises(CheckpointError):
        Teacher(config(folder), str(tmp_path / 'text.pth'))
