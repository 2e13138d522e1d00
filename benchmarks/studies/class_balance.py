"""Which classes are pasted, with and without weights of classes.

Draws training samples of two recipes with ``mmcp.CopyPasteDataset``, with
several ``class_weights``, and counts the objects that are pasted. Nothing is
trained.

    python benchmarks/studies/class_balance.py --samples 3000

writes ``docs/results/class_balance.md``, ``.json`` and ``.svg``.
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from class_balance_report import make_chart, make_page
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from numpy.typing import NDArray

from mmcp.datasets import CopyPasteDataset
from mmcp.datasets.samplers import InfiniteSampler
from mmcp.datasets.transforms import CopyPaste
from mmcp.demo import make_sample
from mmcp.functional.long_tail import effective_classes

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = {
    'sample': 'configs/demo/mask-rcnn_r18_fpn_1xb4-lsj-scp-900i_demo-256.py',
    'coco_small': 'configs/copy_paste/mask-rcnn_mobilenetv2_fpn_in1k-pre_1xb4'
    '-scp-100i_cocosmall.py',
}
# ``class_weights`` and ``num_pasted``.
ARMS = (
    (None, 'random'),
    ('inverse_sqrt_frequency', 'random'),
    ('inverse_frequency', 'random'),
    ('inverse_frequency', 'one'),
)


@dataclass(frozen=True)
class Measurement:
    """What was pasted. Classes go from the most frequent to the rarest.

    Args:
        data: Key of ``CONFIGS``.
        weights: ``class_weights``.
        num_pasted: As of ``CopyPaste``.
        samples: Number of samples drawn.
        classes: Names of the C classes.
        objects: Objects of each class in the data set.
        pasted: Objects of each class that were pasted.
        seen: Objects of each class in the samples, pasted or not.
        source_images: Images that objects were drawn from, in effect: the
            exponential of their entropy.
    """

    data: str
    weights: str | None
    num_pasted: str
    samples: int
    classes: list[str]
    objects: list[int]
    pasted: list[int]
    seen: list[int]
    source_images: float


class CountingCopyPaste(CopyPaste):
    """Counts what it pastes.

    Attributes:
        pasted: Objects by class index.
        images: Source images by id, each as often as it was drawn from.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pasted: Counter[int] = Counter()
        self.images: Counter[int] = Counter()

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pastes as ever, and counts the source image.

        Args:
            results: As of ``CopyPaste``.

        Returns:
            As of ``CopyPaste``.
        """
        before = self.pasted.total()
        source = results['mix_results'][0]
        results = super().transform(results)
        self.images[source['img_id']] += self.pasted.total() > before
        return results

    def draw(self, objects: Any, *args: Any) -> Any:
        """Draws as ever, and counts what is drawn.

        Args:
            objects: The source's objects.
            *args: As of ``CopyPaste``.

        Returns:
            The drawn parameters.
        """
        params = super().draw(objects, *args)
        self.pasted.update(objects.labels[list(params.selected)].tolist())
        return params


def measure(
    data: str,
    dataset: Mapping[str, Any],
    weights: str | None,
    num_pasted: str,
    samples: int,
    seed: int = 0,
) -> Measurement:
    """Draws samples and counts.

    Args:
        data: What the measurement calls the data set.
        dataset: Config of a ``CopyPasteDataset`` without source.
        weights: ``class_weights``.
        num_pasted: As of ``CopyPaste``.
        samples: Number of samples.
        seed: Seed of the samples. Defaults to 0.

    Returns:
        The counts.
    """
    arguments = {k: v for k, v in dataset.items() if k != 'type'}
    arguments.update(
        copy_paste=dict(type=CountingCopyPaste, num_pasted=num_pasted),
        class_weights=weights,
        pipeline=[],
    )
    with DefaultScope.overwrite_default_scope('mmdet'):
        inner = DATASETS.build(arguments.pop('dataset'))
        mixed = CopyPasteDataset(inner, **arguments)
    seen: Counter[int] = Counter()
    for index in islice(InfiniteSampler(mixed, seed=seed), samples):
        results = mixed[index]
        kept = ~results['gt_ignore_flags']
        seen.update(results['gt_bboxes_labels'][kept].tolist())
    counter = mixed.copy_paste
    objects = _objects(inner)
    order = np.argsort(-objects, kind='stable')
    names = inner.metainfo['classes']
    return Measurement(
        data=data,
        weights=weights,
        num_pasted=num_pasted,
        samples=samples,
        classes=[names[label] for label in order],
        objects=objects[order].tolist(),
        pasted=[counter.pasted[label] for label in order],
        seen=[seen[label] for label in order],
        source_images=effective_classes([*counter.images.values()]),
    )


def _objects(dataset: Any) -> NDArray[np.int64]:
    """Objects of each class, without crowds."""
    labels = [
        instance['bbox_label']
        for index in range(len(dataset))
        for instance in dataset.get_data_info(index)['instances']
        if not instance['ignore_flag']
    ]
    return np.bincount(labels, minlength=len(dataset.metainfo['classes']))


def write_record(
    measurements: Sequence[Measurement], options: str, out: Path
) -> None:
    """Writes ``class_balance.json``, ``.md`` and ``.svg``.

    Args:
        measurements: All of them.
        options: What the script was called with.
        out: Folder, made if missing.
    """
    rows = [asdict(one) for one in measurements]
    out.mkdir(parents=True, exist_ok=True)
    path = out / 'class_balance.json'
    text = json.dumps(dict(options=options, measurements=rows))
    path.write_text(text + '\n', encoding='utf-8')
    path.with_suffix('.md').write_text(
        make_page(rows, options), encoding='utf-8'
    )
    path.with_suffix('.svg').write_text(make_chart(rows), encoding='utf-8')


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--data', nargs='+', choices=CONFIGS, default=[*CONFIGS]
    )
    parser.add_argument('--samples', type=int, default=3000)
    parser.add_argument('--out', type=Path, default=ROOT / 'docs/results')
    return parser.parse_args()


def main() -> None:
    """Measures and writes the record."""
    args = parse_args()
    if 'sample' in args.data:
        make_sample(ROOT / 'data/demo')
    measurements = []
    for data in args.data:
        config = Config.fromfile(ROOT / CONFIGS[data])
        dataset = config.train_dataloader.dataset.to_dict()
        root = dataset['dataset']['data_root']
        dataset['dataset']['data_root'] = str(ROOT / root)
        for arm in ARMS:
            found = measure(data, dataset, *arm, args.samples)
            measurements.append(found)
            print(f'{data}, {arm}: {found.pasted}', flush=True)
    options = f'--data {" ".join(args.data)} --samples {args.samples}'
    write_record(measurements, options, args.out)


if __name__ == '__main__':
    main()
