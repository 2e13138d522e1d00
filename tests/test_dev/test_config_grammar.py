"""Config names are split and looked up as configs/README.md says."""

import pytest
from config_grammar import (
    ConfigName,
    Token,
    check_tokens,
    parse_name,
    read_tokens,
)
from hypothesis import given
from hypothesis import strategies as st

WORDS = st.from_regex(r'[a-z][a-z0-9]{0,4}', fullmatch=True)


def test_a_full_name_is_split():
    assert parse_name(
        'mask-rcnn_r101_fpn_in1k-pre_64xb4-lsj-scp-576e_coco-1280'
    ) == ConfigName(
        algorithm='mask-rcnn',
        components=('r101', 'fpn'),
        pretrain='in1k-pre',
        gpus=64,
        per_gpu=4,
        augmentations=('lsj', 'scp'),
        schedule='576e',
        dataset='coco',
        size='1280',
    )


def test_optional_parts_may_be_absent():
    name = parse_name('cp2_r50-aspp_8xb32-200e_in1k')

    assert name.components == ('r50', 'aspp')
    assert name.pretrain is None
    assert name.augmentations == ()
    assert name.size is None
    assert name.batch_size == 256


@pytest.mark.parametrize(
    ('stem', 'reason'),
    [
        ('a_b_1xb1-1k', 'expected algorithm_components_training_dataset'),
        ('a_b_1x1-1k_c', 'must start with GPUs and images per GPU'),
        ('a_b_0xb1-1k_c', 'must start with GPUs and images per GPU'),
        ('a_b_1xb1_c', 'no schedule'),
        ('a_x-pre_1xb1-1k_c', 'no component'),
        ('A_b_1xb1-1k_c', 'only lower-case'),
        ('a__b_1xb1-1k_c', 'only lower-case'),
        ('a_b_1xb1-1k_c-', 'only lower-case'),
        ('a_b_1xb1-1k_' + 'c' * 57, '69 characters'),
    ],
)
def test_malformed_names_are_refused(stem, reason):
    with pytest.raises(ValueError, match=reason):
        parse_name(stem)


def test_sixty_characters_are_allowed():
    stem = 'a_b_1xb1-1k_' + 'c' * 48

    assert parse_name(stem).dataset == 'c' * 48


@given(
    WORDS,
    st.lists(WORDS, min_size=1, max_size=2),
    st.none() | WORDS.map('{}-pre'.format),
    st.integers(1, 99),
    st.integers(1, 99),
    st.lists(WORDS, max_size=2),
    WORDS,
    st.none() | st.integers(1, 9999).map(str),
)
def test_parts_put_together_come_apart_again(
    algorithm, components, pretrain, gpus, per_gpu, augs, dataset, size
):
    parts = [algorithm, *components, *([pretrain] if pretrain else [])]
    parts.append('-'.join([f'{gpus}xb{per_gpu}', *augs, '9k']))
    parts.append(dataset if size is None else f'{dataset}-{size}')

    assert parse_name('_'.join(parts)) == ConfigName(
        algorithm=algorithm,
        components=tuple(components),
        pretrain=pretrain,
        gpus=gpus,
        per_gpu=per_gpu,
        augmentations=tuple(augs),
        schedule='9k',
        dataset=dataset,
        size=size,
    )


@pytest.mark.parametrize(
    ('token', 'word', 'expected'),
    [
        ('NxbM', '8xb16', True),
        ('NxbM', '8xb0', False),
        ('Nk', '270k', True),
        ('Nk', 'k', False),
        ('Nk', '270ka', False),
        ('r50', 'r50', True),
        ('r50', 'r501', False),
    ],
)
def test_n_and_m_stand_for_numbers(token, word, expected):
    assert Token(token, 'schedule').matches(word) is expected


def test_a_word_must_be_listed_for_its_own_part():
    tokens = [
        Token('a', 'algorithm'),
        Token('b', 'component'),
        Token('NxbM', 'batch'),
        Token('Nk', 'schedule'),
        Token('c', 'component'),
    ]

    assert check_tokens(parse_name('a_b_1xb1-1k_c'), tokens) == [
        '"c" is no dataset in the table of configs/README.md'
    ]


def test_the_table_is_read_up_to_its_end(tmp_path):
    readme = tmp_path / 'README.md'
    readme.write_text(
        'Text\n\n| token | part | meaning |\n|---|---|---|\n'
        '| `NxbM` | batch | many |\n| `fpn` | component | a neck |\n\n'
        '| `x` | size | not of this table |\n'
    )

    assert read_tokens(readme) == [
        Token('NxbM', 'batch'),
        Token('fpn', 'component'),
    ]


@pytest.mark.parametrize(
    'row',
    ['| fpn | component | x |', '| `fpn` | neck | x |', '| `fpn` | size | |'],
)
def test_a_malformed_row_is_told(tmp_path, row):
    readme = tmp_path / 'README.md'
    readme.write_text(f'| token | part | meaning |\n|---|---|---|\n{row}\n')

    with pytest.raises(ValueError, match='is not'):
        read_tokens(readme)


def test_a_missing_table_is_told(tmp_path):
    readme = tmp_path / 'README.md'
    readme.write_text('nothing\n')

    with pytest.raises(ValueError, match='no table'):
        read_tokens(readme)
