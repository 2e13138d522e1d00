"""Self-training end to end on the built-in sample: teacher, labels, student.

A teacher trained with Copy-Paste labels the sample's unlabelled images (the
labelling is killed midway and resumed, and compared with one that was left
alone), and a student learns from both kinds of images. A third model trains
as long as the student, with as many images a step, without the
pseudo-labelled ones. Finished parts are kept, interrupted ones resume.

    python benchmarks/studies/self_training.py --seeds 0

writes ``docs/results/self_training.md`` and ``self_training.json``.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import data_efficiency as efficiency
from coco_ap import coco_ap
from efficiency_cells import (
    DATA,
    JITTERS,
    Cell,
    build_config,
    set_jitter,
    use_pretrained,
)
from efficiency_report import METRICS, markdown_table, replace_tables
from masks_equality import shorten
from mmengine.config import Config
from training_cells import ROOT, run_cell, training_time

from mmcp.demo import make_sample

STUDENT = (
    'configs/self_training/'
    'mask-rcnn_r18_fpn_1xb8-lsj-st-scpboth-900i_demo-256.py'
)
UNLABELED = 'data/demo/annotations/image_info_unlabeled.json'
NAME = 'self_training'
WORK_DIR = Path('work_dirs/self_training')
ROLES = {
    'teacher': 'teacher',
    'control': 'twice the batch, labelled images only',
    'student': 'student',
}


@dataclass(frozen=True)
class Measurement:
    """What one training gave.

    Args:
        role: Key of ``ROLES``.
        seed: Seed of weights, order and augmentation.
        batch: Images a step.
        size: Side of the training images in pixels.
        iterations: Training steps.
        minutes: Time spent in them.
        machine: On what.
        metrics: AP in percent, as :func:`data_efficiency.measure_ap` gives.
        class_ap50: Mask AP50 of every category in percent.
    """

    role: str
    seed: int
    batch: int
    size: int
    iterations: int
    minutes: float
    machine: str
    metrics: dict[str, float]
    class_ap50: dict[str, float]


@dataclass(frozen=True)
class Labelling:
    """How the unlabelled images were labelled.

    Args:
        seed: Seed of the teacher.
        score_thr: Score from which on a prediction was kept.
        images: Images that were labelled.
        labelled: How many of them hold an object; the student sees these.
        objects: Objects by category.
        killed_after: Images on record when the process was killed.
        identical: Whether the resumed labelling wrote the same bytes as one
            that was left alone.
    """

    seed: int
    score_thr: float
    images: int
    labelled: int
    objects: dict[str, int]
    killed_after: int
    identical: bool


def teacher_cell(seed: int) -> Cell:
    """The teacher: a cell of the data-efficiency study."""
    return Cell('sample', 100, 'lsj', 'copy-paste', seed)


def control_config(seed: int, steps: int, size: int, batch: int) -> Config:
    """Builds the config of the model that has labelled images only.

    Args:
        seed: Its seed.
        steps: Training steps.
        size: Side of the training images in pixels.
        batch: Images a step: as many as the student has.

    Returns:
        The teacher's config with another batch.
    """
    config = build_config(teacher_cell(seed), steps, size)
    config.train_dataloader.batch_size = batch
    return config


def student_config(labels: Path, steps: int, size: int) -> Config:
    """Builds the config of the student.

    Args:
        labels: COCO file of pseudo-labels.
        steps: Training steps.
        size: Side of the training images in pixels.

    Returns:
        The shipped config with other steps, size and labels, and with the
        network of the teacher.
    """
    config = shorten(Config.fromfile(ROOT / STUDENT), steps)
    use_pretrained(config)
    data = config.train_dataloader.dataset
    data.pseudo.ann_file = str(labels)
    pipelines = [data.labeled.pipeline, data.pseudo.pipeline]
    set_jitter(config, pipelines, JITTERS['lsj'], size)
    return config


def label_command(
    config: Path, checkpoint: Path, out: Path, score_thr: float
) -> list[str]:
    """Builds the command that labels the unlabelled images.

    Args:
        config: Config of the teacher.
        checkpoint: Its weights.
        out: The file to write.
        score_thr: Score from which on a prediction is kept.

    Returns:
        Arguments for ``subprocess``, to be run in the repository's root.
    """
    return [
        sys.executable,
        'tools/pseudo_label.py',
        str(config),
        str(checkpoint),
        UNLABELED,
        '--image-root',
        'data/demo/unlabeled',
        '--out',
        str(out),
        '--score-thr',
        str(score_thr),
    ]


def killed_midway(
    command: Sequence[str], out: Path, images: int, env: dict[str, str]
) -> int:
    """Starts a labelling and kills it once some images are on record.

    Args:
        command: From :func:`label_command`.
        out: The file that it is to write.
        images: How many images; the batches are of one.
        env: Environment of the process.

    Returns:
        Images on record after the kill.

    Raises:
        RuntimeError: If the process ends by itself before.
    """
    child = subprocess.Popen(command, cwd=ROOT, env=env)
    while child.poll() is None and _on_record(out) < images:
        time.sleep(0.1)
    child.kill()
    if child.wait() >= 0:
        raise RuntimeError(
            f'the labelling ended with status {child.returncode} before '
            f'{images} images were on record'
        )
    return _on_record(out)


def _on_record(out: Path) -> int:
    parts = out.with_name(f'{out.name}.parts').glob('part-*.jsonl')
    return sum(part.read_bytes().count(b'\n') for part in parts)


def label(
    seed: int, config: Path, checkpoint: Path, folder: Path, score_thr: float
) -> tuple[Path, Labelling]:
    """Labels the unlabelled images unless that is done: killed, resumed.

    Args:
        seed: Seed of the teacher.
        config: Its config.
        checkpoint: Its weights.
        folder: Folder for the labels, made if missing.
        score_thr: Score from which on a prediction is kept.

    Returns:
        The labels, and how they were made; the latter is kept beside them.

    Raises:
        ValueError: If the folder holds labels of another threshold.
    """
    out, whole = folder / 'labels.json', folder / 'left_alone.json'
    record = folder / 'labelling.json'
    if record.is_file():
        return out, _read_labelling(record, score_thr)
    folder.mkdir(parents=True, exist_ok=True)
    # Both files name the same moment as the one they were made at.
    now = {'SOURCE_DATE_EPOCH': str(int(time.time())), 'OMP_NUM_THREADS': '1'}
    env = {**os.environ, **now}
    total = len(json.loads((ROOT / UNLABELED).read_text())['images'])
    command = label_command(config, checkpoint, out, score_thr)
    fresh = [*command, '--restart']
    killed_after = killed_midway(fresh, out, total // 2, env)
    subprocess.run(command, cwd=ROOT, env=env, check=True)
    alone = label_command(config, checkpoint, whole, score_thr)
    subprocess.run([*alone, '--restart'], cwd=ROOT, env=env, check=True)
    identical = out.read_bytes() == whole.read_bytes()
    labelling = summarise_labels(out, seed, score_thr, killed_after, identical)
    record.write_text(json.dumps(asdict(labelling), indent=1))
    return out, labelling


def _read_labelling(record: Path, score_thr: float) -> Labelling:
    kept = Labelling(**json.loads(record.read_text(encoding='utf-8')))
    if kept.score_thr != score_thr:
        raise ValueError(
            f'{record.parent} holds labels with scores from {kept.score_thr} '
            f'on, not {score_thr}; choose another --work-dir'
        )
    return kept


def summarise_labels(
    labels: Path,
    seed: int,
    score_thr: float,
    killed_after: int,
    identical: bool,
) -> Labelling:
    """Counts what a file of pseudo-labels holds.

    Args:
        labels: The file.
        seed: As in ``Labelling``.
        score_thr: As in ``Labelling``.
        killed_after: As in ``Labelling``.
        identical: As in ``Labelling``.

    Returns:
        The summary.
    """
    content = json.loads(labels.read_text(encoding='utf-8'))
    names = {c['id']: c['name'] for c in content['categories']}
    objects = dict.fromkeys(names.values(), 0)
    for annotation in content['annotations']:
        objects[names[annotation['category_id']]] += 1
    return Labelling(
        seed=seed,
        score_thr=score_thr,
        images=len(content['images']),
        labelled=len({a['image_id'] for a in content['annotations']}),
        objects=objects,
        killed_after=killed_after,
        identical=identical,
    )


def last_checkpoint(folder: Path) -> Path:
    """Finds the weights at the end of a training.

    Args:
        folder: Its work folder.

    Returns:
        The newest checkpoint.
    """
    name = (folder / 'last_checkpoint').read_text(encoding='utf-8').strip()
    return folder / Path(name).name


def class_ap50(folder: Path, truth_file: Path) -> dict[str, float]:
    """Measures how well each category is found.

    Args:
        folder: Folder of a training with its predictions.
        truth_file: Annotations of the validation images, COCO JSON.

    Returns:
        Mask AP50 in percent by category.
    """
    truth = json.loads(truth_file.read_text(encoding='utf-8'))
    found = json.loads((folder / 'predictions.segm.json').read_text())
    values = {}
    for category in truth['categories']:
        objects, predictions = (
            [one for one in group if one['category_id'] == category['id']]
            for group in (truth['annotations'], found)
        )
        with tempfile.TemporaryDirectory() as name:
            file, results = (
                Path(name) / 'truth.json',
                Path(name) / 'found.json',
            )
            file.write_text(json.dumps({**truth, 'annotations': objects}))
            results.write_text(json.dumps(predictions))
            ap = coco_ap(file, results, 'segm', DATA['sample'].max_dets)
        values[category['name']] = ap['ap50']
    return values


def train(
    role: str, seed: int, config: Config, size: int, work_dir: Path
) -> Measurement:
    """Trains a model unless it is done, and measures it.

    Args:
        role: Key of ``ROLES``.
        seed: Its seed.
        config: Its config.
        size: Side of its training images in pixels.
        work_dir: Folder of the whole study, absolute.

    Returns:
        The measurement.
    """
    name = f'{role}_seed{seed}'
    file = work_dir / 'configs' / f'{name}.py'
    file.parent.mkdir(parents=True, exist_ok=True)
    config.dump(file)

    def measure(folder: Path) -> dict[str, Any]:
        iterations, minutes = training_time(folder)
        data = DATA['sample']
        metrics = efficiency.measure_ap(
            folder, ROOT / data.val_file, data.max_dets
        )
        return dict(
            iterations=iterations,
            minutes=minutes,
            machine=efficiency.describe_machine(),
            metrics=metrics,
        )

    kept = run_cell(work_dir / name, file, seed, measure)
    batch = config.train_dataloader.batch_size
    classes = class_ap50(work_dir / name, ROOT / DATA['sample'].val_file)
    return Measurement(role, seed, batch, size, **kept, class_ap50=classes)


def train_teacher(
    seed: int, steps: int, size: int, work_dir: Path
) -> tuple[Measurement, Path, Path]:
    """Trains the teacher unless it is done.

    Args:
        seed: Its seed.
        steps: Training steps.
        size: Side of its training images in pixels.
        work_dir: Folder of the data-efficiency study, absolute.

    Returns:
        Its measurement, config and weights.
    """
    cell = teacher_cell(seed)
    done = efficiency.run(cell, steps, size, work_dir)
    folder = work_dir / cell.name
    config = work_dir / 'configs' / f'{cell.name}.py'
    batch = Config.fromfile(config).train_dataloader.batch_size
    measurement = Measurement(
        role='teacher',
        seed=seed,
        batch=batch,
        size=done.size,
        iterations=done.iterations,
        minutes=done.minutes,
        machine=done.machine,
        metrics=done.metrics,
        class_ap50=class_ap50(folder, ROOT / DATA['sample'].val_file),
    )
    return measurement, config, last_checkpoint(folder)


def run_seed(
    seed: int, args: argparse.Namespace
) -> tuple[list[Measurement], Labelling]:
    """Runs what is missing for one seed.

    Args:
        seed: The seed.
        args: From :func:`parse_args`.

    Returns:
        Teacher, control and student, and how the labels were made.
    """
    steps, size = args.steps, args.size
    work_dir = args.work_dir.resolve()
    teacher, config, checkpoint = train_teacher(
        seed, steps, size, args.teachers.resolve()
    )
    labels, labelling = label(
        seed, config, checkpoint, work_dir / f'labels_seed{seed}', args.thr
    )
    student = student_config(labels, steps, size)
    batch = student.train_dataloader.batch_size
    control = control_config(seed, steps, size, batch)
    trained = [
        train('student', seed, student, size, work_dir),
        train('control', seed, control, size, work_dir),
    ]
    return [teacher, *trained], labelling


def make_table(measurements: Sequence[Measurement]) -> str:
    """Renders the measurements as a Markdown table.

    Args:
        measurements: All trainings.

    Returns:
        A row a training, seed by seed.
    """
    head = ['model', 'seed', *METRICS.values(), 'batch', 'steps', 'minutes']
    rows = [head, ['---'] * len(head)]
    for m in _in_order(measurements):
        values = [f'{m.metrics[key]:.1f}' for key in METRICS]
        tail = [str(m.batch), str(m.iterations), f'{m.minutes:.1f}']
        rows.append([ROLES[m.role], str(m.seed), *values, *tail])
    return markdown_table(rows)


def make_class_table(
    measurements: Sequence[Measurement],
    labellings: Sequence[Labelling],
    train_file: Path,
) -> str:
    """Renders what every category has been taught and how well it is found.

    Args:
        measurements: All trainings.
        labellings: How the labels of each teacher were made.
        train_file: Annotations of the labelled images, COCO JSON.

    Returns:
        A Markdown table: a row a category; objects, then mask AP50 of every
        model.
    """
    truth = json.loads(train_file.read_text(encoding='utf-8'))
    names = {c['id']: c['name'] for c in truth['categories']}
    labelled = Counter(
        names[a['category_id']]
        for a in truth['annotations']
        if not a['iscrowd']
    )
    models = _in_order(measurements)
    head = ['category', 'labelled objects']
    head += [f'pseudo-labels, seed {one.seed}' for one in labellings]
    head += [f'{m.role}, seed {m.seed}' for m in models]
    rows = [head, ['---'] * len(head)]
    for name in names.values():
        counts = [labelled[name], *(one.objects[name] for one in labellings)]
        values = [f'{m.class_ap50[name]:.1f}' for m in models]
        rows.append([name, *map(str, counts), *values])
    return markdown_table(rows)


def _in_order(measurements: Sequence[Measurement]) -> list[Measurement]:
    order = [*ROLES]
    return sorted(measurements, key=lambda m: (m.seed, order.index(m.role)))


def make_label_table(labellings: Sequence[Labelling]) -> str:
    """Renders the labellings as a Markdown table.

    Args:
        labellings: All of them.

    Returns:
        A row a teacher.
    """
    head = ['teacher', 'score from', 'images', 'with objects', 'objects']
    head += ['killed after', 'same file as one left alone']
    rows = [head, ['---'] * len(head)]
    for one in labellings:
        counts = [one.images, one.labelled, sum(one.objects.values())]
        rows.append(
            [
                f'seed {one.seed}',
                str(one.score_thr),
                *map(str, counts),
                f'{one.killed_after} images',
                'yes' if one.identical else '**no**',
            ]
        )
    return markdown_table(rows)


def write_record(
    measurements: Sequence[Measurement],
    labellings: Sequence[Labelling],
    out: Path,
) -> None:
    """Writes ``self_training.json`` and the tables in ``self_training.md``.

    Args:
        measurements: All trainings.
        labellings: How the labels of each teacher were made.
        out: Folder; its ``self_training.md`` holds the marker lines between
            which the tables are replaced.

    Raises:
        ValueError: If the page lacks the markers.
    """
    record = {
        'student': STUDENT,
        'trainings': [asdict(m) for m in measurements],
        'labellings': [asdict(one) for one in labellings],
    }
    text = json.dumps(record, indent=1) + '\n'
    (out / f'{NAME}.json').write_text(text, encoding='utf-8')
    page = out / f'{NAME}.md'
    tables = {
        'models': make_table(measurements),
        'labels': make_label_table(labellings),
        'classes': make_class_table(
            measurements, labellings, ROOT / DATA['sample'].train_file
        ),
    }
    text = replace_tables(page.read_text(encoding='utf-8'), tables)
    page.write_text(text, encoding='utf-8')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--steps', type=int, default=900)
    parser.add_argument(
        '--size',
        type=int,
        default=256,
        help='side of the training images in pixels (default: 256)',
    )
    parser.add_argument(
        '--score-thr',
        dest='thr',
        type=float,
        default=0.5,
        metavar='SCORE',
        help='score from which on a label is kept (default: 0.5)',
    )
    parser.add_argument(
        '--teachers',
        type=Path,
        default=efficiency.WORK_DIR,
        help='folder of the data-efficiency study: the teacher is its cell '
        'of all images with Copy-Paste',
    )
    parser.add_argument('--work-dir', type=Path, default=WORK_DIR)
    parser.add_argument('--out', type=Path, default=ROOT / 'docs/results')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs what is missing of the study and writes its record."""
    args = parse_args(argv)
    make_sample(ROOT / 'data/demo')
    done = [run_seed(seed, args) for seed in args.seeds]
    measurements = [m for trained, _ in done for m in trained]
    write_record(measurements, [labels for _, labels in done], args.out)
    print(make_table(measurements))


if __name__ == '__main__':
    main()
