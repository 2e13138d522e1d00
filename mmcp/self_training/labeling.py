"""Labels images with a detector: many processes, any number of attempts."""

from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.dist import (
    barrier,
    broadcast_object_list,
    get_dist_info,
    init_dist,
    is_distributed,
)
from numpy.typing import NDArray

from mmcp.checkpoints import use_safe_reader
from mmcp.engine.config import UsageError
from mmcp.engine.devices import adapt_to_devices, require_launcher
from mmcp.engine.messages import say
from mmcp.engine.progress import progress
from mmcp.self_training.annotations import to_annotations
from mmcp.self_training.batches import Sample, load_batches
from mmcp.self_training.categories import find_categories
from mmcp.self_training.image_list import ImageList, read_image_list
from mmcp.self_training.journal import Journal, JournalWriter, Record
from mmcp.self_training.provenance import describe
from mmcp.self_training.result import write_result
from mmcp.self_training.teacher import (
    Teacher,
    predict_from,
    prediction_pipeline,
)
from mmcp.self_training.thresholds import ScoreThresholds
from mmcp.self_training.work_folder import WorkFolder

# One process may be done long before another, and waits for it.
_DAY = 24 * 3600


@dataclass(frozen=True)
class LabelingOptions:
    """How images are labelled.

    Attributes:
        thresholds: Scores from which on predictions are kept.
        max_per_image: Most objects kept of an image; None for as many as the
            model predicts.
        image_root: Folder of the images of a COCO file; None for its own.
        categories: COCO file whose category ids are taken; None for those of
            the images' file or, without, 1, 2, ... in the order of classes.
        batch_size: Images in a batch; None for that of the config.
        workers: Processes that load images; None for that of the config.
        restart: Whether to throw away an earlier attempt and its result.
        trust: Whether the checkpoint may hold more than data.
    """

    thresholds: ScoreThresholds = field(default_factory=ScoreThresholds)
    max_per_image: int | None = None
    image_root: str | None = None
    categories: str | None = None
    batch_size: int | None = None
    workers: int | None = None
    restart: bool = False
    trust: bool = False


@dataclass(frozen=True)
class _Plan:
    """What all processes must agree on.

    Attributes:
        images: The images.
        settings: How the labels are made; among that the COCO categories, in
            the order of the model's classes.
        remaining: Numbers of the batches that no earlier attempt finished.
    """

    images: ImageList
    settings: dict[str, Any]
    remaining: list[int]

    @property
    def category_ids(self) -> list[int]:
        """Category of each class of the model."""
        return [category['id'] for category in self.settings['categories']]


def label_images(
    cfg: Config,
    checkpoint: str,
    images: str,
    out: Path,
    options: LabelingOptions | None = None,
) -> None:
    """Writes a COCO data set of what a detector sees in images.

    The images are shared among the processes of a launcher in fixed batches;
    every finished batch is on the disk, in a folder beside ``out``, before
    the next begins. Called again with the same arguments after a kill, with
    any number of processes, it goes on with the others; the result is that
    of one attempt. The folder is removed in the end. Memory does not grow
    with the number of objects.

    Beside ``out`` come ``{stem}_summary.json``, ``{stem}_summary.png`` and,
    if there are any, a list of unreadable images,
    ``{stem}_unreadable.txt``, which the data set leaves out.

    Args:
        cfg: Config of a detector, with ``launcher``; changed in place.
        checkpoint: Path or address of its weights.
        images: A folder or a COCO file.
        out: The file to write; it says in ``info`` how it was made.
        options: How. Defaults to None, meaning ``LabelingOptions()``.

    Raises:
        UsageError: If something does not fit together.
        FileNotFoundError: If a file does not exist.
        CheckpointError: If the checkpoint is unsafe, broken or not of this
            model.
    """
    options = options or LabelingOptions()
    require_launcher(cfg)
    _require_detector(cfg)
    use_safe_reader(trust=options.trust)
    teacher = Teacher(cfg, checkpoint, options.trust)
    thresholds = options.thresholds.of(teacher.classes)
    predict_from(cfg, float(thresholds.min()), options.max_per_image)
    loading = _Loading.of(cfg, options)
    settings = describe(cfg, checkpoint, options.thresholds)
    settings['max_per_image'] = options.max_per_image
    settings['batch_size'] = loading.batch_size
    _join_processes(cfg)
    is_first = get_dist_info()[0] == 0
    folder = WorkFolder(out)
    with folder.reserved() if is_first else nullcontext():
        plan = None
        if is_first:
            plan = _make_plan(images, settings, teacher, folder, options)
        plan = _of_first_process(plan)
        if plan.remaining:
            teacher.build()
            keep = _Keep(thresholds, plan.category_ids, options.max_per_image)
            _label(plan, teacher, keep, loading, folder)
        barrier()
        if is_first:
            write_result(out, folder.path, plan.settings)
            folder.remove()


@dataclass(frozen=True)
class _Loading:
    """How images are loaded.

    Attributes:
        pipeline: Configs of the test pipeline, without annotations.
        scope: Default scope of its types.
        batch_size: Images in a batch.
        workers: Processes that load images.
    """

    pipeline: Sequence[Any]
    scope: str
    batch_size: int
    workers: int

    @classmethod
    def of(cls, cfg: Config, options: LabelingOptions) -> '_Loading':
        loader = cfg.test_dataloader
        size, workers = options.batch_size, options.workers
        return cls(
            pipeline=prediction_pipeline(cfg),
            scope=cfg.get('default_scope', 'mmdet'),
            batch_size=loader.get('batch_size', 1) if size is None else size,
            workers=loader.get('num_workers', 0)
            if workers is None
            else workers,
        )


@dataclass(frozen=True)
class _Keep:
    """Which predictions are kept, see :func:`to_annotations`."""

    thresholds: NDArray[np.float32]
    category_ids: Sequence[int]
    max_per_image: int | None

    def of(self, prediction: Any) -> list[dict[str, Any]]:
        return to_annotations(
            prediction, self.thresholds, self.category_ids, self.max_per_image
        )


def _require_detector(cfg: Config) -> None:
    missing = [k for k in ('model', 'test_dataloader') if cfg.get(k) is None]
    if missing:
        raise UsageError(
            f'{cfg.filename} cannot label images: it has no '
            f'{" and no ".join(missing)}.'
        )
    if cfg.get('default_scope') == 'mmseg':
        raise UsageError(
            f'{cfg.filename} is of a segmentor; only detectors label objects.'
        )


def _join_processes(cfg: Config) -> None:
    """Lets the processes of a launcher find each other."""
    env = cfg.setdefault('env_cfg', ConfigDict())
    env.setdefault('dist_cfg', ConfigDict()).timeout = _DAY
    adapt_to_devices(cfg)
    launcher = cfg.get('launcher', 'none')
    if launcher != 'none' and not is_distributed():
        init_dist(launcher, **env.dist_cfg)


def _make_plan(
    images: str,
    settings: dict[str, Any],
    teacher: Teacher,
    folder: WorkFolder,
    options: LabelingOptions,
) -> _Plan:
    """Decides what is to be done, in the first process."""
    listed = read_image_list(images, options.image_root)
    settings = dict(
        settings,
        images=images,
        images_sha256=listed.digest,
        categories=find_categories(
            teacher.classes, options.categories, listed.categories
        ),
    )
    settings = folder.begin(settings, options.restart)
    journal = Journal(folder.path)
    journal.open()
    total = -(-len(listed) // settings['batch_size'])
    done = set(journal.batches)
    if done:
        say(f'{len(done):,} of {total:,} batches are labelled already.')
    remaining = [batch for batch in range(total) if batch not in done]
    return _Plan(listed, settings, remaining)


def _of_first_process(plan: _Plan | None) -> _Plan:
    box = [plan]
    broadcast_object_list(box)
    (agreed,) = box
    assert agreed is not None
    return agreed


def _label(
    plan: _Plan,
    teacher: Teacher,
    keep: _Keep,
    loading: _Loading,
    folder: WorkFolder,
) -> None:
    """Labels this process's share of the batches."""
    rank, processes = get_dist_info()
    numbers = plan.remaining[rank::processes]
    batches = [_range(n, loading.batch_size, plan.images) for n in numbers]
    loader = load_batches(
        plan.images,
        loading.pipeline,
        batches,
        workers=loading.workers,
        scope=loading.scope,
    )
    unit = 'images' if processes == 1 else 'images of the first process'
    writer = JournalWriter(folder.path, rank)
    with closing(writer), progress(sum(map(len, batches)), unit) as advance:
        for number, samples in zip(numbers, loader, strict=True):
            writer.append(number, _labelled(samples, teacher, keep))
            advance(len(samples))


def _range(number: int, size: int, images: ImageList) -> range:
    return range(number * size, min((number + 1) * size, len(images)))


def _labelled(
    samples: Sequence[Sample], teacher: Teacher, keep: _Keep
) -> Record:
    """The record of a batch: images with annotations, and the unreadable."""
    readable = [sample for sample in samples if not sample.reason]
    found = (
        teacher.predict([sample.inputs for sample in readable])
        if readable
        else []
    )
    images = []
    for sample, prediction in zip(readable, found, strict=True):
        height, width = prediction.ori_shape
        images.append(
            dict(
                sample.entry,
                height=int(height),
                width=int(width),
                annotations=keep.of(prediction),
            )
        )
    unreadable = [
        [sample.entry['file_name'], sample.reason]
        for sample in samples
        if sample.reason
    ]
    return dict(images=images, unreadable=unreadable)
