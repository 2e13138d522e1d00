"""A data set whose images receive objects from another image."""

import bisect
import copy
import random
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any

import numpy as np
import torch
from mmdet.structures.bbox import BaseBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.dataset import (
    Compose,
    ConcatDataset,
    RepeatDataset,
)
from numpy.typing import NDArray

from mmcp.datasets.class_weights import Class, ClassWeights, Weights
from mmcp.datasets.late_jitters import (
    LateJitters,
    ends_in_jitter,
    last_is_jitter,
    leaves_of,
)
from mmcp.datasets.sample_index import at, seeded
from mmcp.datasets.transforms.copy_paste import CopyPaste
from mmcp.datasets.transforms.det_mix_up import DetMixUp
from mmcp.datasets.transforms.late_loading import load_late
from mmcp.datasets.transforms.pack_det_inputs import PackDetInputs
from mmcp.datasets.transforms.postponed_images import postponed_images
from mmcp.datasets.transforms.scale_jitter import ScaleJitter
from mmcp.functional.jittered_image import MAX_EXCESS, JitteredImage
from mmcp.registry import DATASETS, TRANSFORMS

Results = dict[str, Any]

_STALE_MASKS = {'Mosaic': 'CachedMosaic', 'MixUp': 'CachedMixUp'}
# Attributes of data sets and transforms that lead to transforms.
_HOLDERS = ('dataset', 'datasets', 'pipeline', 'transforms')
_MAX_REFETCH = 15
_NEVER = torch.iinfo(torch.int64).max


@DATASETS.register_module()
class CopyPasteDataset:
    """Pastes objects of a source image onto every image of a data set.

    Does what MMDetection's ``MultiImageMixDataset`` does for Copy-Paste, but
    copies nothing, takes the objects from another data set if one is given
    (ground truth pasted into pseudo-labelled images, section 4.4 of the
    `paper <https://arxiv.org/abs/2012.07177>`_), weights the source images
    by class, and can stop pasting.

    With :class:`mmcp.datasets.samplers.InfiniteSampler` all randomness of a
    sample, that of the wrapped pipelines too, follows from the seed and the
    sample's position: a resumed run and any number of workers give the same
    samples. A cache gives that up, since it holds what its worker saw, and so
    does a ``RepeatDataset``, ``ClassBalancedDataset`` or ``ConcatDataset``
    around this one, since it replaces the index by one without position and
    seed: wrap ``dataset`` instead.

    Args:
        dataset: The destination: a data set or its config. Its pipeline loads
            and jitters, without packing.
        source: Where objects come from. Defaults to None, meaning
            ``dataset``. Its classes must be those of ``dataset``, since its
            objects keep their labels.
        copy_paste: Arguments of :class:`mmcp.CopyPaste`, without the three
            that choose classes, which are given below; with a ``type``, those
            of another transform of two images, such as
            :class:`mmcp.DetMixUp`. Defaults to None.
        source_pipeline: Transforms of every source sample after the cache, so
            that the cache may hold decoded images (jitter here) or jittered
            ones (jitter in the source's own pipeline). They may change
            images in place, as they get copies. Defaults to ().
        pipeline: What follows the pasting. Defaults to None, meaning
            ``[dict(type='mmcp.PackDetInputs')]``.
        prob: Probability that a source image is used at all; otherwise none
            is loaded. Defaults to 1.0.
        class_weights: Weights of classes: a source image is drawn with the
            largest weight among the classes of its objects (crowd and
            ignored ones count if ``copy_paste`` has ``paste_crowd=True``),
            and its objects with their own. A dict, a sequence, or
            ``'inverse_frequency'`` or ``'inverse_sqrt_frequency'``: one over
            the number of objects of a class in ``source``, or over its square
            root. Defaults to None, meaning uniformly.
        allow: Classes, by index or name, that may be pasted. Defaults to
            None, meaning all.
        deny: Classes that may not be pasted. Defaults to None.
        cache: Number of source samples each worker keeps and draws from; when
            it is full, a new one is loaded for every ``cache_reuse`` samples.
            Defaults to 0, meaning no cache.
        cache_reuse: Samples made for each source that is loaded into the
            cache. Defaults to 4.

    Raises:
        ValueError: If an argument is out of range, if MMDetection's Mosaic or
            MixUp stand in a pipeline (they leave masks stale), if the classes
            of the two data sets differ, if a class is unknown, or if no
            source image has a class that may be pasted.
        TypeError: If ``cache`` or ``cache_reuse`` is not an integer, or if
            classes are to be chosen by a transform that cannot.
    """

    def __init__(
        self,
        dataset: Any,
        source: Any = None,
        copy_paste: Mapping[str, Any] | None = None,
        pipeline: Sequence[Any] | None = None,
        *,
        source_pipeline: Sequence[Any] = (),
        prob: float = 1.0,
        class_weights: Weights | None = None,
        allow: Sequence[Class] | None = None,
        deny: Sequence[Class] | None = None,
        cache: int = 0,
        cache_reuse: int = 4,
    ) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must lie in [0, 1], but is {prob}')
        _check_number('cache', cache, 0)
        _check_number('cache_reuse', cache_reuse, 1)
        if pipeline is None:
            pipeline = [dict(type='mmcp.PackDetInputs')]
        for part in (dataset, source, pipeline, source_pipeline):
            _refuse_stale_masks(part)
        self.dataset = _build(dataset)
        self.source = self.dataset if source is None else _build(source)
        chosen = dict(class_weights=class_weights, allow=allow, deny=deny)
        self.copy_paste = _build_paste(copy_paste or {}, chosen)
        self._weights = ClassWeights(class_weights, allow, deny)
        self._name_classes()
        self.pipeline = Compose(pipeline)
        self.source_pipeline = Compose(source_pipeline)
        self.prob = prob
        transforms = self.source_pipeline.transforms
        self._cache = _SourceCache(
            self.source,
            cache,
            cache_reuse,
            copies=not all(type(t) is ScaleJitter for t in transforms),
        )
        for leaf in (*leaves_of(self.dataset), *leaves_of(self.source)):
            if ends_in_jitter(leaf):
                load_late(leaf.pipeline.transforms)
        self._below = LateJitters.of(self.dataset)
        self._above = LateJitters.of(self.source)
        jittering = last_is_jitter(transforms)
        self._jittering = [*transforms] if jittering else None
        self._chances = self._weigh_images()
        # Shared memory: persistent workers see the hook change it.
        self._stop = torch.tensor([_NEVER])
        self._share_stop()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Keeps a copy's stop in shared memory too."""
        self.__dict__.update(state)
        self._share_stop()

    def _share_stop(self) -> None:
        self._stop.share_memory_()  # type: ignore[no-untyped-call]
        # The same memory, cheaper to read.
        self._stop_position: NDArray[np.int64] = self._stop.numpy()

    # Pipelines may be changed after building, so these are asked for each
    # sample: MMDetection's PipelineSwitchHook replaces one in a training.

    @property
    def _postponed(self) -> bool:
        """Whether a destination image may be made after its pipeline."""
        return self._below.unchanged and not _looks(self.copy_paste)

    @property
    def _loads_late(self) -> bool:
        """Whether a source image may be made after the cache."""
        if self.source_pipeline.transforms or _looks(self.copy_paste):
            return False
        return self._above.unchanged

    @property
    def _jitters_late(self) -> bool:
        """Whether a source image may be made after its second pipeline."""
        same = self.source_pipeline.transforms == self._jittering
        return same and not _looks(self.copy_paste)

    @property
    def _packs(self) -> bool:
        """Whether what follows takes an image that is not made yet."""
        kinds = [type(t) for t in self.pipeline.transforms]
        return kinds == [PackDetInputs] and not _looks(self.copy_paste)

    @property
    def metainfo(self) -> dict[str, Any]:
        """Meta information of the destination."""
        return dict(self.dataset.metainfo)

    def full_init(self) -> None:
        """Loads the annotations of both data sets, if they were lazy."""
        self.dataset.full_init()
        self.source.full_init()

    def __len__(self) -> int:
        """Number of destination images."""
        return len(self.dataset)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Annotations of a destination image.

        Args:
            idx: Index of the image.

        Returns:
            What the destination's own method gives.
        """
        info: dict[str, Any] = self.dataset.get_data_info(idx)
        return info

    def get_cat_ids(self, idx: int) -> list[int]:
        """Classes of a destination image, for class-balanced wrappers.

        Args:
            idx: Index of the image.

        Returns:
            Class indices, one for each object.

        Raises:
            TypeError: If the destination does not tell its classes.
        """
        return _categories_at(self.dataset, idx)

    def stop_pasting(self, position: int = 0) -> None:
        """Ends the pasting, in worker processes that run already too.

        Args:
            position: First sample of the training stream that receives no
                objects. Defaults to 0, meaning at once.
        """
        self._stop_position[0] = position

    def __getitem__(self, index: int) -> Any:
        """Makes a sample.

        Args:
            index: Index of the destination image, at best a
                :class:`mmcp.datasets.sample_index.SampleIndex`.

        Returns:
            What the pipeline gives.

        Raises:
            RuntimeError: If the pipelines keep giving nothing.
        """
        with seeded(index):
            index = at(index, int(index))
            for _ in range(_MAX_REFETCH):
                with postponed_images(self._postponed):
                    results = self.dataset[index]
                results = self._paste(results, index)
                sample = None if results is None else self._finish(results)
                if sample is not None:
                    return sample
                index = at(index, random.randrange(len(self)))
        raise RuntimeError(
            f'{_MAX_REFETCH} images in a row came out of the pipelines as '
            'None; FilterAnnotations(keep_empty=False) keeps images without '
            'objects'
        )

    def _finish(self, results: Results) -> Any:
        return self.pipeline(results if self._packs else _with_pixels(results))

    def _paste(self, results: Results | None, index: int) -> Results | None:
        stopped = getattr(index, 'position', 0) >= self._stop_position[0]
        if results is None or stopped or random.random() >= self.prob:
            return results
        late = self._loads_late
        with postponed_images(late):
            source = self._cache.draw(lambda: at(index, self._draw_source()))
        if not late:
            # It may have been kept since it was allowed.
            source = _with_pixels(source)
        with postponed_images(self._jitters_late):
            source = self.source_pipeline(source)
        if source is None:
            return results
        results = dict(results, mix_results=[source])
        with postponed_images(self._packs):
            pasted: Results = self.copy_paste(results)
        return pasted

    def _draw_source(self) -> int:
        if self._chances is None:
            return random.randrange(len(self.source))
        return int(np.searchsorted(self._chances, random.random(), 'right'))

    def _weigh_images(self) -> NDArray[np.float64] | None:
        """Cumulated chances of the source images; None if all are equal."""
        if self._weights.trivial:
            return None
        labels = [self._source_labels(i) for i in range(len(self.source))]
        images = np.repeat(np.arange(len(labels)), [*map(len, labels)])
        objects = np.fromiter(chain.from_iterable(labels), np.int64)
        if not self._weights.counted:
            self._weights.count(objects)
            self.copy_paste.count_classes(objects)
        weights = np.zeros(len(labels))
        np.maximum.at(weights, images, self._weights.of(objects))
        if not weights.any():
            raise ValueError(
                'no source image has a class that may be pasted; look at '
                'class_weights, allow and deny'
            )
        return np.cumsum(weights / weights.sum())

    def _source_labels(self, index: int) -> list[int]:
        """Classes of the objects of a source image that may be pasted."""
        info = self.source.get_data_info(index)
        if 'instances' not in info:
            return _categories_at(self.source, index)
        crowd = getattr(self.copy_paste, 'paste_crowd', True)
        return [
            instance['bbox_label']
            for instance in info['instances']
            if crowd or not instance.get('ignore_flag', 0)
        ]

    def _name_classes(self) -> None:
        """Tells the classes to what may name them, if they agree."""
        below = _classes_of(self.dataset)
        above = _classes_of(self.source)
        if below is not None and above is not None:
            _check_equal(below, above)
        classes = below if above is None else above
        if classes is not None:
            self._weights.resolve(classes)
            if _chooses(self.copy_paste):
                self.copy_paste.set_classes(classes)
        elif self._weights.names:
            raise ValueError(
                f'classes {self._weights.names} are given by name, but no '
                "data set has metainfo['classes']; add it or give indices"
            )


class _SourceCache:
    """Loads source samples and, if wanted, keeps some of them for reuse.

    Args:
        source: The source data set.
        size: Most samples kept; 0 keeps none.
        reuse: Draws for each sample loaded once the cache is full.
        copies: Whether receivers may change images and boxes in place.
    """

    def __init__(
        self, source: Any, size: int, reuse: int, copies: bool
    ) -> None:
        self.source = source
        self.size = size
        self.reuse = reuse
        self.copies = copies
        self.samples: list[Results] = []
        self._draws = 0

    def draw(self, draw_index: Callable[[], int]) -> Results:
        """Gives a sample that its receiver may change at the top level.

        Args:
            draw_index: Draws the index of a sample to load.

        Returns:
            A sample; unless ``copies``, its arrays may be shared and must not
            be changed.
        """
        if not self.size:
            return self._load(draw_index())
        if len(self.samples) < self.size or self._draws % self.reuse == 0:
            self.samples.append(self._load(draw_index()))
            self.samples = self.samples[-self.size :]
        self._draws += 1
        sample = random.choice(self.samples)
        return _own(sample) if self.copies else dict(sample)

    def _load(self, index: int) -> Results:
        sample = self.source[index]
        if sample is None:
            raise RuntimeError(
                f'source image {index} came out of its pipeline as None; '
                'FilterAnnotations(keep_empty=False) keeps such images'
            )
        sample = dict(sample)
        image = sample.get('img')
        if self.size and isinstance(image, JitteredImage):
            sample['img'] = _smaller(image)
        return sample


def _smaller(image: JitteredImage) -> JitteredImage | NDArray[Any]:
    """What takes less memory to keep, the jitter's input or its output."""
    large = image.image.nbytes > MAX_EXCESS * image.nbytes
    return np.asarray(image) if large else image


def _own(sample: Results) -> Results:
    """Copies of all that MMDetection's transforms change in place."""
    changed = np.ndarray | BaseBoxes | BitmapMasks
    return {
        key: copy.deepcopy(value) if isinstance(value, changed) else value
        for key, value in sample.items()
    }


def _categories_at(dataset: Any, index: int) -> list[int]:
    """Classes of an image; some wrappers of mmengine do not tell them."""
    if hasattr(dataset, 'get_cat_ids'):
        return list(dataset.get_cat_ids(index))
    if isinstance(dataset, ConcatDataset):
        part = bisect.bisect_right(dataset.cumulative_sizes, index)
        first = dataset.cumulative_sizes[part - 1] if part else 0
        return _categories_at(dataset.datasets[part], index - first)
    if isinstance(dataset, RepeatDataset):
        return _categories_at(dataset.dataset, index % len(dataset.dataset))
    instances = dataset.get_data_info(index).get('instances')
    if instances is None:
        raise TypeError(
            f'{type(dataset).__name__} has no get_cat_ids(index), which says '
            'what classes an image has'
        )
    return [instance['bbox_label'] for instance in instances]


def _looks(paste: Any) -> bool:
    """Whether a transform, of somebody else's say, may look at the images."""
    return type(paste) not in (CopyPaste, DetMixUp)


def _with_pixels(results: Results) -> Results:
    if isinstance(results.get('img'), JitteredImage):
        return dict(results, img=np.asarray(results['img']))
    return results


def _check_number(name: str, value: int, least: int) -> None:
    if not isinstance(value, int | np.integer):
        raise TypeError(f'{name} must be an integer, but is {value!r}')
    if value < least:
        raise ValueError(f'{name} must be >= {least}, but is {value}')


def _build_paste(
    arguments: Mapping[str, Any], chosen: Mapping[str, Any]
) -> Any:
    """Builds the transform; ``chosen`` are the arguments about classes."""
    for key in chosen:
        if key in arguments:
            raise ValueError(
                f"copy_paste must not have '{key}'; give it to "
                'CopyPasteDataset itself, which chooses images by it too'
            )
    # A transform that knows no classes is not asked to choose among them.
    given = {k: v for k, v in chosen.items() if v is not None}
    paste = {'type': 'mmcp.CopyPaste', **given, **arguments}
    kind = _registered(paste['type'])
    if given and kind is not None and not _chooses(kind):
        raise TypeError(
            f'{" and ".join(given)} cannot be given with the copy_paste '
            f'{paste["type"]!r}, which has no set_classes and count_classes; '
            "take type='mmcp.CopyPaste' (compat='mmdet' does what "
            "MMDetection's does) or leave it out"
        )
    return TRANSFORMS.build(paste)


def _chooses(paste: Any) -> bool:
    """Whether a transform, or a class of them, draws objects by class."""
    return hasattr(paste, 'set_classes') and hasattr(paste, 'count_classes')


def _registered(kind: Any) -> Any:
    """The class that a config's ``type`` means; None if there is none."""
    if not isinstance(kind, str):
        return kind
    # As when it is built, where a bare name is of the default scope.
    with TRANSFORMS.switch_scope_and_registry(None) as registry:
        return registry.get(kind)


def _classes_of(dataset: Any) -> list[str] | None:
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    return None if classes is None else list(classes)


def _check_equal(below: list[str], above: list[str]) -> None:
    pairs = enumerate(zip_longest(below, above))
    for index, (name, other) in pairs:
        if name != other:
            raise ValueError(
                'the data sets must have the same classes, but class '
                f'{index} is {name!r} in dataset and {other!r} in source; '
                "give both the same metainfo['classes']"
            )


def _build(dataset: Any) -> Any:
    built = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
    built.full_init()
    return built


def _refuse_stale_masks(part: Any) -> None:
    """Looks for transforms that move boxes and leave masks behind."""
    name = _type_name(part)
    if name in _STALE_MASKS:
        raise ValueError(
            f"MMDetection's {name} moves images and boxes but not masks; "
            f'use {_STALE_MASKS[name]} instead'
        )
    for child in _parts_of(part):
        _refuse_stale_masks(child)


def _type_name(part: Any) -> str:
    """Name of MMDetection's class of a config node or object, if it is."""
    kind = part.get('type') if isinstance(part, Mapping) else type(part)
    if isinstance(kind, str):
        scope, _, name = kind.rpartition('.')
        if scope not in ('', 'mmdet') or name not in _STALE_MASKS:
            return ''
        # MMDetection's may be unknown to the scope until it is built.
        kind = _registered(kind)
        if kind is None:
            return name
    if isinstance(kind, type) and kind.__module__.startswith('mmdet.'):
        return kind.__name__
    return ''


def _parts_of(part: Any) -> list[Any]:
    """What may hold transforms, in a config or in what was built."""
    if isinstance(part, Mapping):
        return list(part.values())
    if isinstance(part, list | tuple):
        return list(part)
    found = [getattr(part, key, None) for key in _HOLDERS]
    return [child for child in found if child is not None]
