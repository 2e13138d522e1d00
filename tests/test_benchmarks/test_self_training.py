"""The self-training study: fair comparisons, labels killed and resumed."""

import json
import os
import sys
from pathlib import Path

import pytest
from config_values import flat
from mmengine.config import Config
from pycocotools import mask as rle

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'benchmarks' / 'studies'))

import efficiency_cells as cells  # noqa: E402
import self_training as study  # noqa: E402

METRICS = ('box_ap', 'mask_ap', 'box_ap50', 'mask_ap50')


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder with training annotations, where the study looks for them."""
    file = tmp_path / cells.DATA['sample'].train_file
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(dict(images=[{'id': i} for i in range(9)])))
    build = cells.build_config
    monkeypatch.setattr(
        study, 'build_config', lambda *args: build(*args, root=tmp_path)
    )
    return tmp_path


def _at(config, place):
    return flat(config.to_dict())[tuple(place.split('.'))]


def test_student_has_both_kinds_at_the_size_of_the_teacher(tmp_path):
    config = study.student_config(tmp_path / 'labels.json', 90, 192)
    data = config.train_dataloader.dataset

    for part in (data.labeled, data.pseudo):
        jitter = part.pipeline[-1]
        assert (jitter.type, jitter.size) == ('mmcp.ScaleJitter', 192)
        assert jitter.ratio_range == (0.1, 2.0)
    assert data.pseudo.ann_file == str(tmp_path / 'labels.json')
    assert data.labeled.ann_file == 'annotations/instances_train.json'
    assert config.train_dataloader.sampler.source_ratio == [1, 1]
    assert config.val_dataloader.dataset.pipeline[1].scale == (288, 288)
    assert config.train_cfg.max_iters == 90


def test_student_learns_the_teachers_network_as_the_teacher_did(root):
    student = study.student_config(root / 'labels.json', 90, 192)
    teacher = cells.build_config(study.teacher_cell(0), 90, 192, root)

    one, two = flat(student.to_dict()), flat(teacher.to_dict())
    changed = {
        place[0]
        for place in one.keys() | two.keys()
        if one.get(place) != two.get(place)
    }
    assert changed == {'train_dataloader', 'auto_scale_lr'}


def test_control_sees_as_many_images_a_step_and_all_else_is_the_teachers(root):
    control = study.control_config(0, 90, 192, 8)
    teacher = cells.build_config(study.teacher_cell(0), 90, 192, root)

    one, two = flat(control.to_dict()), flat(teacher.to_dict())
    assert {p for p in one if one[p] != two[p]} == {
        ('train_dataloader', 'batch_size')
    }
    assert one['train_dataloader', 'batch_size'] == 8
    assert one['train_dataloader', 'dataset', 'prob'] == 1.0


def test_command_labels_the_unlabelled_part(tmp_path):
    command = study.label_command(
        Path('c.py'), Path('w.pth'), tmp_path / 'x.json', 0.3
    )

    assert command[1:] == [
        'tools/pseudo_label.py',
        'c.py',
        'w.pth',
        'data/demo/annotations/image_info_unlabeled.json',
        '--image-root',
        'data/demo/unlabeled',
        '--out',
        str(tmp_path / 'x.json'),
        '--score-thr',
        '0.3',
    ]


def _pretend_labelling(out, images, then):
    """A command that puts images on record, then sleeps or ends."""
    parts = out.with_name(f'{out.name}.parts')
    code = (
        'import pathlib, time\n'
        f'parts = pathlib.Path({str(parts)!r})\n'
        'parts.mkdir()\n'
        f"(parts / 'part-0.jsonl').write_text('{{}}\\n' * {images})\n"
        f'{then}\n'
    )
    return [sys.executable, '-S', '-c', code]


def test_labelling_is_killed_midway(tmp_path):
    out = tmp_path / 'labels.json'
    command = _pretend_labelling(out, 3, 'time.sleep(600)')

    assert study.killed_midway(command, out, 2, dict(os.environ)) == 3


def test_labelling_that_ends_too_early_is_told(tmp_path):
    out = tmp_path / 'labels.json'
    command = _pretend_labelling(out, 1, 'raise SystemExit(3)')

    with pytest.raises(RuntimeError, match='status 3 before 2 images'):
        study.killed_midway(command, out, 2, dict(os.environ))


def _labels(folder):
    content = dict(
        images=[dict(id=i) for i in range(4)],
        categories=[dict(id=5, name='star'), dict(id=2, name='ring')],
        annotations=[
            dict(image_id=0, category_id=2),
            dict(image_id=0, category_id=2),
            dict(image_id=3, category_id=2),
        ],
    )
    file = folder / 'labels.json'
    file.write_text(json.dumps(content))
    return file


def _labelling(**change):
    fields = dict(
        seed=1,
        score_thr=0.5,
        images=4,
        labelled=2,
        objects={'star': 0, 'ring': 3},
        killed_after=2,
        identical=True,
    )
    return study.Labelling(**{**fields, **change})


def test_summary_counts_every_class(tmp_path):
    found = study.summarise_labels(_labels(tmp_path), 1, 0.5, 2, True)

    assert found == _labelling()


def test_finished_labels_are_not_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(study.subprocess, 'Popen', None)
    record = study.asdict(_labelling())
    (tmp_path / 'labelling.json').write_text(json.dumps(record))

    labels, found = study.label(1, Path(), Path(), tmp_path, 0.5)

    assert (labels, found) == (tmp_path / 'labels.json', _labelling())


def test_labels_of_another_threshold_are_refused(tmp_path):
    record = study.asdict(_labelling())
    (tmp_path / 'labelling.json').write_text(json.dumps(record))

    with pytest.raises(ValueError, match='scores from 0.5 on, not 0.3'):
        study.label(1, Path(), Path(), tmp_path, 0.3)


def _rows(table):
    return [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in table.splitlines()
    ]


def _measurement(role, seed, value, batch=8):
    return study.Measurement(
        role,
        seed,
        batch,
        192,
        90,
        4.25,
        'x',
        dict.fromkeys(METRICS, value),
        {'star': value, 'ring': 2 * value},
    )


def _measurements():
    return [
        _measurement('student', 0, 12.0),
        _measurement('teacher', 0, 10.0, 4),
        _measurement('control', 0, 11.0),
    ]


def test_table_puts_the_student_below_what_it_is_compared_with():
    rows = _rows(study.make_table(_measurements()))

    assert [row[0] for row in rows[2:]] == [*study.ROLES.values()]
    assert rows[2][1:] == ['0', *['10.0'] * 4, '4', '90', '4.2']
    assert rows[4][1:] == ['0', *['12.0'] * 4, '8', '90', '4.2']


def test_label_table_says_if_the_files_differ():
    rows = _rows(
        study.make_label_table([_labelling(), _labelling(identical=False)])
    )

    assert rows[2] == ['seed 1', '0.5', '4', '2', '3', '2 images', 'yes']
    assert rows[3][-1] == '**no**'


def _truth(objects, crowds=()):
    names = {5: 'star', 2: 'ring'}
    return dict(
        images=[dict(id=1, width=20, height=20)],
        categories=[dict(id=i, name=name) for i, name in names.items()],
        annotations=[
            dict(
                id=i + 1,
                image_id=1,
                category_id=category,
                bbox=[x, 2, 6, 6],
                segmentation=[[x, 2, x + 6, 2, x + 6, 8, x, 8]],
                area=36,
                iscrowd=int(i in crowds),
            )
            for i, (category, x) in enumerate(objects)
        ],
    )


def test_classes_are_measured_one_by_one(tmp_path):
    truth = _truth([(5, 2), (2, 10)])
    (tmp_path / 'truth.json').write_text(json.dumps(truth))
    found = [
        dict(
            image_id=1,
            category_id=category,
            score=0.9,
            segmentation=rle.frPyObjects([[2, 2, 8, 2, 8, 8, 2, 8]], 20, 20)[
                0
            ],
        )
        for category in (5, 2)
    ]
    for one in found:
        one['segmentation']['counts'] = one['segmentation']['counts'].decode()
    (tmp_path / 'predictions.segm.json').write_text(json.dumps(found))

    assert study.class_ap50(tmp_path, tmp_path / 'truth.json') == {
        'star': pytest.approx(100.0),
        'ring': 0.0,
    }


def test_class_table_has_what_was_taught_and_found(tmp_path):
    file = tmp_path / 'train.json'
    file.write_text(json.dumps(_truth([(5, 2), (5, 3), (2, 10)], crowds=[1])))
    rows = _rows(study.make_class_table(_measurements(), [_labelling()], file))

    assert rows[0][3:] == [
        'teacher, seed 0',
        'control, seed 0',
        'student, seed 0',
    ]
    assert rows[2:] == [
        ['star', '1', '0', '10.0', '11.0', '12.0'],
        ['ring', '1', '3', '20.0', '22.0', '24.0'],
    ]


def test_record_holds_trainings_and_labellings(tmp_path, monkeypatch):
    page = tmp_path / 'self_training.md'
    page.write_text(
        '\n'.join(
            f'<!-- {n}: begin -->\n<!-- {n}: end -->'
            for n in ('models', 'labels', 'classes')
        )
    )
    file = tmp_path / study.DATA['sample'].train_file
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(_truth([(5, 2)])))
    monkeypatch.setattr(study, 'ROOT', tmp_path)
    study.write_record(_measurements(), [_labelling()], tmp_path)

    record = json.loads((tmp_path / 'self_training.json').read_text())
    assert [t['role'] for t in record['trainings']] == [
        'student',
        'teacher',
        'control',
    ]
    assert record['labellings'] == [study.asdict(_labelling())]
    assert study.make_table(_measurements()) in page.read_text()
    assert study.make_label_table([_labelling()]) in page.read_text()


def test_a_seed_goes_from_teacher_to_labels_to_student(
    root, tmp_path, monkeypatch
):
    done = []

    def run_cell(folder, config, seed, measure):
        done.append(folder.name)
        loader = Config.fromfile(config).train_dataloader
        assert loader.batch_size == 8
        return dict(
            iterations=90,
            minutes=1.0,
            machine='x',
            metrics=dict.fromkeys(METRICS, 1.0),
        )

    def train_teacher(seed, steps, size, work_dir):
        done.append('teacher')
        found = _measurement('teacher', seed, 2.0, 4)
        return found, tmp_path / 'teacher.py', tmp_path / 'teacher.pth'

    def label(seed, config, checkpoint, folder, score_thr):
        done.append((config.name, checkpoint.name, folder.name, score_thr))
        return tmp_path / 'labels.json', _labelling(seed=seed)

    monkeypatch.setattr(study, 'run_cell', run_cell)
    monkeypatch.setattr(study, 'class_ap50', lambda *_: {'star': 1.0})
    monkeypatch.setattr(study, 'train_teacher', train_teacher)
    monkeypatch.setattr(study, 'label', label)
    args = study.parse_args(
        ['--steps', '90', '--size', '192', '--work-dir', str(tmp_path)]
    )
    trained, labelling = study.run_seed(3, args)

    assert done == [
        'teacher',
        ('teacher.py', 'teacher.pth', 'labels_seed3', 0.5),
        'student_seed3',
        'control_seed3',
    ]
    assert [(m.role, m.batch, m.seed) for m in trained] == [
        ('teacher', 4, 3),
        ('student', 8, 3),
        ('control', 8, 3),
    ]
    assert labelling.seed == 3
