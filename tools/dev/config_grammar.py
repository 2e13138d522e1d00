"""The grammar of config names; its tokens are listed in ``configs/README.md``.

``{algorithm}_{components}_[{pretrain}-pre_]{gpus}xb{per_gpu}-[{aug}-]``
``{schedule}_{dataset}[-{size}]``: ``_`` separates parts, ``-`` tokens.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_STEM_LENGTH = 68
PARTS = (
    'algorithm',
    'component',
    'pretrain',
    'batch',
    'augmentation',
    'schedule',
    'dataset',
    'size',
)
_ROW = re.compile(r'^\| `(?P<token>[^`]+)` \| (?P<part>[a-z]+) \| [^|\s]')
_TABLE_HEAD = '| token | part | meaning |'


@dataclass(frozen=True)
class Token:
    """A row of the token table.

    Args:
        text: As written in the table; ``N`` and ``M`` stand for numbers.
        part: One of ``PARTS``.
    """

    text: str
    part: str

    def matches(self, word: str) -> bool:
        """Whether a word of a config name is this token.

        Args:
            word: Lower-case word between separators.
        """
        pattern = re.sub('[NM]', '[1-9][0-9]*', re.escape(self.text))
        return re.fullmatch(pattern, word) is not None


@dataclass(frozen=True)
class ConfigName:
    """The parts of a config name.

    Args:
        algorithm: For example ``'mask-rcnn'``.
        components: For example ``('r50', 'fpn')``.
        pretrain: For example ``'in1k-pre'``, or None.
        gpus: Number of GPUs.
        per_gpu: Images per GPU.
        augmentations: For example ``('lsj', 'scp')``.
        schedule: For example ``'270k'``.
        dataset: For example ``'coco'``.
        size: For example ``'1024'``, or None.
    """

    algorithm: str
    components: tuple[str, ...]
    pretrain: str | None
    gpus: int
    per_gpu: int
    augmentations: tuple[str, ...]
    schedule: str
    dataset: str
    size: str | None

    @property
    def batch_size(self) -> int:
        """Images per step over all GPUs."""
        return self.gpus * self.per_gpu

    def words(self) -> Iterator[tuple[str, str]]:
        """Yields every token with the part it stands in."""
        yield self.algorithm, 'algorithm'
        for word in self.components:
            yield word, 'component'
        if self.pretrain is not None:
            yield self.pretrain, 'pretrain'
        yield f'{self.gpus}xb{self.per_gpu}', 'batch'
        for word in self.augmentations:
            yield word, 'augmentation'
        yield self.schedule, 'schedule'
        yield self.dataset, 'dataset'
        if self.size is not None:
            yield self.size, 'size'


def read_tokens(readme: Path) -> list[Token]:
    """Reads the token table of ``configs/README.md``.

    Args:
        readme: Path of the file.

    Returns:
        The rows, in the order of the table.

    Raises:
        ValueError: If there is no table, or a row of it is malformed.
    """
    lines = readme.read_text(encoding='utf-8').splitlines()
    if _TABLE_HEAD not in lines:
        raise ValueError(f'{readme}: no table with the head "{_TABLE_HEAD}"')
    tokens = []
    for line in lines[lines.index(_TABLE_HEAD) + 2 :]:
        if not line.startswith('|'):
            break
        row = _ROW.match(line)
        if row is None or row['part'] not in PARTS:
            raise ValueError(
                f'{readme}: "{line}" is not "| `token` | part | meaning |" '
                f'with a part of {", ".join(PARTS)}'
            )
        tokens.append(Token(row['token'], row['part']))
    return tokens


def parse_name(stem: str) -> ConfigName:
    """Splits a config name into its parts, without looking at the tokens.

    Args:
        stem: File name without ``.py``.

    Returns:
        The parts.

    Raises:
        ValueError: If the name is too long or does not follow the grammar.
    """
    if len(stem) > MAX_STEM_LENGTH:
        raise ValueError(
            f'{stem}: {len(stem)} characters, {MAX_STEM_LENGTH} at most'
        )
    if re.fullmatch(r'[a-z0-9]+([-_][a-z0-9]+)*', stem) is None:
        raise ValueError(
            f'{stem}: only lower-case letters and digits, separated by single '
            '"_" and "-"'
        )
    fields = stem.split('_')
    if len(fields) < 4:
        raise ValueError(
            f'{stem}: expected algorithm_components_training_dataset, got '
            f'{len(fields)} parts separated by "_"'
        )
    algorithm, *middle, training, data = fields
    pretrain = middle.pop() if middle[-1].endswith('-pre') else None
    if not middle:
        raise ValueError(
            f'{stem}: no component between algorithm and pretrain'
        )
    batch, *augmentations, schedule = _split_training(stem, training)
    gpus, per_gpu = batch.split('xb')
    dataset, _, size = data.partition('-')
    return ConfigName(
        algorithm=algorithm,
        components=tuple(word for part in middle for word in part.split('-')),
        pretrain=pretrain,
        gpus=int(gpus),
        per_gpu=int(per_gpu),
        augmentations=tuple(augmentations),
        schedule=schedule,
        dataset=dataset,
        size=size or None,
    )


def check_tokens(name: ConfigName, tokens: list[Token]) -> list[str]:
    """Looks every word of a name up in the table.

    Args:
        name: Parsed name.
        tokens: The table.

    Returns:
        One message per unknown word, empty when all are known.
    """
    return [
        f'"{word}" is no {part} in the table of configs/README.md'
        for word, part in name.words()
        if not any(t.part == part and t.matches(word) for t in tokens)
    ]


def _split_training(stem: str, training: str) -> list[str]:
    words = training.split('-')
    if re.fullmatch(r'[1-9][0-9]*xb[1-9][0-9]*', words[0]) is None:
        raise ValueError(
            f'{stem}: "{training}" must start with GPUs and images per GPU, '
            'such as 8xb8'
        )
    if len(words) < 2:
        raise ValueError(f'{stem}: no schedule after "{training}"')
    return words
