"""An untrained detector, and calls of ``tools/pseudo_label.py`` with it."""

import importlib.util
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from tiny import CLASSES, write_coco, write_detector

from mmcp.engine.launch import run_tool

ROOT = Path(__file__).parents[1]
SCORE = '0.3'


def write_teacher(folder, images=7):
    """Writes ``coco/images``, ``detector.py`` and ``teacher.pth``."""
    write_coco(folder / 'coco', images=images)
    config = write_detector(folder, folder / 'coco')
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(Config.fromfile(config).model)
    model.init_weights()
    # As initialised, all its scores are alike, and of one class.
    classifier = model.roi_head.bbox_head.fc_cls
    classifier.weight.data *= 30
    classifier.bias.data[1] = 0.5
    meta = dict(dataset_meta=dict(classes=CLASSES))
    content = dict(state_dict=model.state_dict(), meta=meta)
    torch.save(content, folder / 'teacher.pth')


def words_for(folder, out, *more, config=None, checkpoint=None, images=None):
    """The arguments that label the images of :func:`write_teacher`."""
    words = [
        config or folder / 'detector.py',
        checkpoint or folder / 'teacher.pth',
        images or folder / 'coco' / 'images',
        '--out', out, '--score-thr', SCORE, *more,
    ]  # fmt: skip
    return [str(word) for word in words]


def load_tool():
    """Returns the main function of the tool."""
    path = ROOT / 'tools' / 'pseudo_label.py'
    spec = importlib.util.spec_from_file_location('pseudo_label', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def label(folder, out, *more, **others):
    """Runs the tool in this process; returns its exit status."""
    return run_tool(load_tool(), words_for(folder, out, *more, **others))
