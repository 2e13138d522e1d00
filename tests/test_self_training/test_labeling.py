import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
import torch
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader
from payload import write_hostile
from pycocotools.coco import COCO
from teachers import SCORE, label, words_for, write_teacher
from tiny import CLASSES, tool, write_segmentor

from mmcp.self_training.annotations import to_annotations
from mmcp.self_training.journal import Journal, JournalWriter
from mmcp.self_training.teacher import Teacher
from mmcp.self_training.thresholds import ScoreThresholds

IMAGES = 7
# So many that a kill can come in between.
KILLED = 100


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp('teacher')
    write_teacher(folder, IMAGES)
    return folder


@pytest.fixture(autouse=True)
def isolated(monkeypatch):
    """Undoes what the tool leaves; fixes the date."""
    schemes = dict(CheckpointLoader._schemes)
    monkeypatch.setattr(CheckpointLoader, '_schemes', schemes)
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setenv('SOURCE_DATE_EPOCH', '1700000000')


@pytest.fixture(scope='module')
def expected(teacher):
    """Annotations by image, in the plain way: data set, model, loop."""
    cfg = Config.fromfile(teacher / 'detector.py')
    cfg.model.test_cfg.rcnn.score_thr = 0.0
    model = Teacher(cfg, str(teacher / 'teacher.pth'))
    model.build()
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
    thresholds = ScoreThresholds(float(SCORE)).of(CLASSES)
    found = {}
    for sample in dataset:
        with torch.no_grad():
            (result,) = model._model.test_step(pseudo_collate([sample]))
        name = Path(result.img_path).name
        found[name] = to_annotations(result, thresholds, (1, 2))
    return found


def read(out):
    """A data set's images by name, each with its annotations."""
    content = json.loads(out.read_text())
    by_id = {image['id']: image['file_name'] for image in content['images']}
    found = {name: [] for name in by_id.values()}
    for annotation in content['annotations']:
        name = by_id[annotation.pop('image_id')]
        del annotation['id']
        found[name].append(annotation)
    return found


def near(labels):
    """The same, but for what rounds differently in larger batches."""
    return {
        name: [
            dict(
                a,
                score=pytest.approx(a['score'], abs=1e-4),
                bbox=pytest.approx(a['bbox'], abs=0.05),
            )
            for a in found
        ]
        for name, found in labels.items()
    }


@pytest.fixture(scope='module')
def whole(teacher, tmp_path_factory):
    """The result of one attempt."""
    out = tmp_path_factory.mktemp('whole') / 'pseudo.json'
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('SOURCE_DATE_EPOCH', '1700000000')
        assert label(teacher, out) == 0
    return out


def test_labels_are_what_the_model_predicts(whole, expected):
    assert read(whole) == expected
    labels = [a['category_id'] for found in expected.values() for a in found]
    assert min(labels.count(1), labels.count(2)) > 5


def test_a_coco_data_set_with_ids_sizes_and_provenance(whole, teacher):
    content = json.loads(whole.read_text())
    made = content['info']['pseudo_labels']

    assert [image['id'] for image in content['images']] == list(range(1, 8))
    assert content['images'][2] == dict(
        id=3, file_name='002.png', height=64, width=64
    )
    ids = [annotation['id'] for annotation in content['annotations']]
    assert ids == list(range(1, len(ids) + 1))
    assert content['categories'] == [
        dict(id=1, name='disc'),
        dict(id=2, name='square'),
    ]
    assert content['info']['date_created'] == '2023-11-14T22:13:20+00:00'
    assert made['score_threshold'] == float(SCORE)
    assert made['config'] == str(teacher / 'detector.py')
    hashed = subprocess.run(
        ['sha256sum', teacher / 'teacher.pth'], capture_output=True, text=True
    ).stdout
    assert hashed.startswith(made['checkpoint_sha256'])
    assert set(made['versions']) == {
        'mmcp',
        'mmdet',
        'mmengine',
        'mmcv',
        'torch',
    }
    # As pycocotools reads it.
    coco = COCO(str(whole))
    for annotation in coco.loadAnns(coco.getAnnIds()):
        assert coco.annToMask(annotation).sum() == annotation['area'] > 0


def test_only_the_result_and_its_summary_are_left(whole, expected):
    assert sorted(item.name for item in whole.parent.iterdir()) == [
        'pseudo.json', 'pseudo_summary.json', 'pseudo_summary.png',
    ]  # fmt: skip
    summary = json.loads((whole.parent / 'pseudo_summary.json').read_text())
    picture = cv2.imread(str(whole.parent / 'pseudo_summary.png'))
    total = sum(map(len, expected.values()))

    assert summary['images'] == IMAGES
    assert summary['unreadable_images'] == 0
    assert summary['objects'] == sum(summary['scores']) == total
    assert sum(summary['objects_per_class'].values()) == total
    assert summary['info'] == json.loads(whole.read_text())['info']
    assert picture.shape[:2] == (550, 1100)


@pytest.mark.parametrize(
    'more', [['--workers', '2'], ['--batch-size', '3', '--workers', '1']]
)
def test_workers_and_batches_do_not_change_the_labels(
    teacher, expected, tmp_path, more
):
    out = tmp_path / 'pseudo.json'
    assert label(teacher, out, *more) == 0
    assert read(out) == near(expected)


def test_thresholds_and_the_most_of_an_image(teacher, expected, tmp_path):
    scores = [
        a['score'] for found in expected.values() for a in found
        if a['category_id'] == 1
    ]  # fmt: skip
    scores.sort()
    middle = sum(scores[len(scores) // 2 :][:2]) / 2
    out = tmp_path / 'pseudo.json'
    words = ['--class-thr', f'disc={middle}', '--max-per-image', '2']
    assert label(teacher, out, *words) == 0

    kept = {
        name: [
            a for a in found
            if a['category_id'] == 2 or a['score'] > middle
        ][:2]
        for name, found in expected.items()
    }  # fmt: skip
    assert read(out) == kept != expected


class Killed(BaseException):
    """Ends a process like a kill: nobody expects it."""


@pytest.mark.parametrize('batches', [0, 1, 5, IMAGES])
def test_a_later_attempt_goes_on_and_the_file_is_the_same(
    teacher, whole, tmp_path, monkeypatch, batches
):
    out = tmp_path / 'pseudo.json'
    append = JournalWriter.append
    written = []

    def append_some(self, batch, content):
        if len(written) == batches:
            raise Killed
        append(self, batch, content)
        written.append(batch)

    with monkeypatch.context() as patch:
        patch.setattr(JournalWriter, 'append', append_some)
        if batches == IMAGES:
            patch.setattr('mmcp.self_training.labeling.write_result', _killed)
        with pytest.raises(Killed):
            label(teacher, out)
    assert not out.exists()
    with monkeypatch.context() as patch:
        later = []

        def append_rest(self, batch, content):
            later.append(batch)
            append(self, batch, content)

        patch.setattr(JournalWriter, 'append', append_rest)
        monkeypatch.setenv('SOURCE_DATE_EPOCH', '1800000000')
        assert label(teacher, out) == 0

    assert written == list(range(batches))
    assert later == list(range(batches, IMAGES))
    # The date is that of the first attempt.
    assert out.read_bytes() == whole.read_bytes()
    assert not (tmp_path / 'pseudo.json.parts').exists()


def test_ctrl_c_says_how_to_go_on(teacher, tmp_path, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(JournalWriter, 'append', stop)
    with pytest.raises(SystemExit) as ended:
        label(teacher, tmp_path / 'pseudo.json')
    assert ended.value.code == 130
    assert 'the same command (without --restart) goes on' in (
        capsys.readouterr().err
    )


@pytest.mark.slow
def test_a_real_kill_in_the_middle(teacher, tmp_path):
    images = tmp_path / 'images'
    images.mkdir()
    source = teacher / 'coco' / 'images'
    for number in range(KILLED):
        name = f'{number % IMAGES:03d}.png'
        shutil.copy(source / name, images / f'{number:03d}.png')

    out, parts = tmp_path / 'killed.json', tmp_path / 'killed.json.parts'
    words = words_for(teacher, out, images=images)
    first = subprocess.Popen(tool('pseudo_label.py', *words))
    while first.poll() is None and _lines(parts) < 15:
        time.sleep(0.01)
    first.kill()
    first.wait()
    journal = Journal(parts)
    journal.open()
    assert 15 <= len(journal.batches) < KILLED
    subprocess.run(tool('pseudo_label.py', *words), check=True)
    whole = tmp_path / 'whole.json'
    assert label(teacher, whole, images=images) == 0
    assert out.read_bytes() == whole.read_bytes()
    assert len(read(out)) == KILLED


def _lines(folder):
    path = folder / 'part-00000.jsonl'
    return path.read_bytes().count(b'\n') if path.exists() else 0


@pytest.mark.slow
@pytest.mark.dist
def test_two_processes_and_one_make_the_same_file(teacher, whole, tmp_path):
    words = words_for(teacher, tmp_path / 'pseudo.json')
    environment = {**os.environ, 'PYTHON': sys.executable, 'PORT': '29617'}
    script = Path(__file__).parents[2] / 'tools' / 'dist_pseudo_label.sh'
    done = subprocess.run(
        [str(script), *words[:3], '2', *words[3:]],
        env=environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    out = tmp_path / 'pseudo.json'
    assert out.read_bytes() == whole.read_bytes()
    assert done.stdout.count('Data set: ') == 1


def test_work_of_several_processes_is_gone_on_with_by_one(
    teacher, whole, tmp_path, monkeypatch
):
    out = tmp_path / 'pseudo.json'
    append = JournalWriter.append

    def in_turns(self, batch, content):
        if batch == 4:
            raise Killed
        writer = JournalWriter(tmp_path / 'pseudo.json.parts', batch % 3)
        append(writer, batch, content)

    with monkeypatch.context() as patch:
        patch.setattr(JournalWriter, 'append', in_turns)
        with pytest.raises(Killed):
            label(teacher, out)
    parts = tmp_path / 'pseudo.json.parts'
    assert len(list(parts.glob('part-*.jsonl'))) == 3
    assert label(teacher, out) == 0
    assert out.read_bytes() == whole.read_bytes()


def test_other_settings_are_refused_until_one_starts_anew(
    teacher, tmp_path, monkeypatch, capsys
):
    out = tmp_path / 'pseudo.json'
    with monkeypatch.context() as patch:
        patch.setattr(JournalWriter, 'append', _killed)
        with pytest.raises(Killed):
            label(teacher, out)
    words = ['--max-per-image', '1', '--score-thr', '0.2']
    assert label(teacher, out, *words) == 1
    error = capsys.readouterr().err
    assert 'other settings (score_threshold, max_per_image)' in error.replace(
        'config_sha256, ', ''
    )
    assert label(teacher, out, *words, '--restart') == 0
    assert {len(found) for found in read(out).values()} == {1}
    assert label(teacher, out, *words) == 1
    assert 'exists already' in capsys.readouterr().err
    assert label(teacher, out, '--restart') == 0
    assert {len(found) for found in read(out).values()} != {1}


def _killed(*_):
    raise Killed


def test_two_jobs_cannot_write_one_file(teacher, tmp_path, capsys):
    with (tmp_path / '.pseudo.json.lock').open('ab') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert label(teacher, tmp_path / 'pseudo.json') == 1
    assert 'Another process is writing' in capsys.readouterr().err


def test_unreadable_images_are_listed_and_left_out(
    teacher, expected, tmp_path, capsys
):
    names = sorted(expected)
    entries = [dict(id=10 + n, file_name=s) for n, s in enumerate(names)]
    images = tmp_path / 'images'
    shutil.copytree(teacher / 'coco' / 'images', images)
    (images / names[1]).write_bytes(b'')
    (images / names[2]).write_bytes(b'no image')
    (images / names[3]).unlink()
    path = tmp_path / 'list.json'
    categories = [dict(id=7, name='square'), dict(id=5, name='disc')]
    path.write_text(json.dumps(dict(images=entries, categories=categories)))
    out = tmp_path / 'pseudo.json'
    more = ['--image-root', images, '--batch-size', '2']
    assert label(teacher, out, *more, images=path) == 0

    content = json.loads(out.read_text())
    assert [i['id'] for i in content['images']] == [10, 14, 15, 16]
    assert content['categories'] == [categories[1], categories[0]]
    ids = {1: 5, 2: 7}
    wanted = {
        name: [dict(a, category_id=ids[a['category_id']]) for a in labels]
        for name, labels in expected.items()
        if name not in names[1:4]
    }
    assert read(out) == near(wanted)
    lines = (tmp_path / 'pseudo_unreadable.txt').read_text().splitlines()
    assert [line.split('\t')[0] for line in lines] == names[1:4]
    assert 'No such file' in lines[2]
    assert '3 cannot be read' in capsys.readouterr().out


def test_if_nothing_can_be_read_there_is_no_data_set(
    teacher, tmp_path, capsys
):
    images = tmp_path / 'images'
    images.mkdir()
    (images / 'a.png').write_bytes(b'')
    out = tmp_path / 'pseudo.json'
    assert label(teacher, out, images=images) == 1
    assert 'None of the 1 images can be read; the first is a.png' in (
        capsys.readouterr().err
    )
    assert not out.exists()


def test_a_hostile_checkpoint_is_not_opened(teacher, tmp_path, capsys):
    flag = tmp_path / 'ran'
    hostile = tmp_path / 'hostile.pth'
    write_hostile(hostile, flag)
    assert label(teacher, tmp_path / 'out.json', checkpoint=hostile) == 1
    assert 'was not opened' in capsys.readouterr().err
    assert not flag.exists()


def test_weights_must_fit_the_model(teacher, tmp_path, capsys):
    content = torch.load(teacher / 'teacher.pth')
    weights = content['state_dict']
    weights['extra.weight'] = weights.pop('rpn_head.rpn_cls.weight')
    weights['rpn_head.rpn_reg.bias'] = torch.zeros(3)
    del weights['backbone.bn1.num_batches_tracked']
    other = tmp_path / 'other.pth'
    torch.save(content, other)
    assert label(teacher, tmp_path / 'out.json', checkpoint=other) == 1
    error = capsys.readouterr().err
    assert '1 missing in the file: rpn_head.rpn_cls.weight\n' in error
    assert '1 not in the model: extra.weight\n' in error
    assert '1 of another shape: rpn_head.rpn_reg.bias\n' in error
    assert 'num_batches_tracked' not in error


def test_only_detectors_label(teacher, tmp_path, capsys):
    config = write_segmentor(tmp_path, tmp_path)
    assert label(teacher, tmp_path / 'out.json', config=config) == 1
    assert 'only detectors label' in capsys.readouterr().err
