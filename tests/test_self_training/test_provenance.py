import hashlib
import json

from mmengine.config import Config
from teachers import write_teacher

from mmcp.self_training.provenance import dataset_info, describe
from mmcp.self_training.thresholds import ScoreThresholds

THRESHOLDS = ScoreThresholds(0.5, {'square': 0.7, 'disc': 0.6})


def test_names_hashes_thresholds_versions(tmp_path):
    write_teacher(tmp_path)
    path = tmp_path / 'teacher.pth'
    cfg = Config.fromfile(tmp_path / 'detector.py')
    found = describe(cfg, str(path), THRESHOLDS)

    assert json.loads(json.dumps(found)) == found
    assert found['config'] == str(tmp_path / 'detector.py')
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert found['checkpoint_sha256'] == digest
    assert found['score_threshold'] == 0.5
    assert list(found['class_thresholds'].items()) == [
        ('disc', 0.6),
        ('square', 0.7),
    ]
    # What the labels do not depend on does not matter.
    cfg.work_dir, cfg.train_dataloader.batch_size = 'elsewhere', 64
    assert describe(cfg, str(path), THRESHOLDS) == found
    cfg.model.test_cfg.rcnn.nms.iou_threshold = 0.6
    other = describe(cfg, str(path), THRESHOLDS)
    assert other['config_sha256'] != found['config_sha256']
    address = describe(cfg, 'https://host/x.pth', THRESHOLDS)
    assert address['checkpoint_sha256'] is None


def test_info():
    info = dataset_info(dict(date='now', categories=[1], score_threshold=0.5))
    assert info['date_created'] == 'now'
    assert info['pseudo_labels'] == dict(score_threshold=0.5)
