"""The checker finds each kind of disagreement, and none in a sound tree."""

from textwrap import dedent

import pytest
from check_configs import base_depth, check_all, write_tables
from config_metafile import TABLE_BEGIN, TABLE_END, read_metafile

STEM = 'net_r50_1xb2-1k_coco'
PASTED = 'net_r50_1xb2-scp-1k_coco'


def write_leaf(folder, stem, base):
    (folder / f'{stem}.py').write_text(
        dedent(f'''\
        """A config.

        Paper: Table 1, 'a row'; differs: batch 2.
        Expected: nothing.
        Hardware: none.
        Command: python tools/train.py configs/paper/{stem}.py
        """

        _base_ = ['{base}', 'mmdet::_base_/default_runtime.py']
        ''')
    )


def entry(stem):
    return dedent(f"""\
      - Name: {stem}
        In Collection: Paper
        Config: configs/paper/{stem}.py
        Metadata: {{Batch Size: 2, Iterations: 1000}}
        Paper:
          paper: https://example.org
          table: Table 1
          row: a row
          differs: batch 2
          numbers: {{box AP: 47.2, mask AP: 41.8}}
    """)


@pytest.fixture
def tree(tmp_path):
    """A sound repository of two configs."""
    paper = tmp_path / 'configs' / 'paper'
    fragments = tmp_path / 'configs' / '_base_' / 'models'
    paper.mkdir(parents=True)
    fragments.mkdir(parents=True)
    (fragments / 'net.py').write_text('model = dict()\n')
    write_leaf(paper, STEM, '../_base_/models/net.py')
    write_leaf(paper, PASTED, f'./{STEM}.py')
    (paper / 'metafile.yml').write_text(
        'Collections:\n  - Name: Paper\nModels:\n'
        + entry(STEM)
        + entry(PASTED)
    )
    (paper / 'README.md').write_text(f'# P\n\n{TABLE_BEGIN}\n{TABLE_END}\n')
    (tmp_path / 'configs' / 'README.md').write_text(
        dedent("""\
        | token | part | meaning |
        |---|---|---|
        | `net` | algorithm | x |
        | `r50` | component | x |
        | `NxbM` | batch | x |
        | `scp` | augmentation | x |
        | `Nk` | schedule | x |
        | `coco` | dataset | x |
        """)
    )
    (tmp_path / 'model-index.yml').write_text(
        'Import:\n  - configs/paper/metafile.yml\n'
    )
    write_tables(tmp_path)
    return tmp_path


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_sound_tree_has_no_problems(tree):
    assert check_all(tree) == []


def test_the_table_is_made_from_the_metafile(tree):
    lines = (tree / 'configs/paper/README.md').read_text().splitlines()

    assert lines == [
        '# P',
        '',
        TABLE_BEGIN,
        '',
        "| config | batch | steps | paper's row | paper's box / mask AP | "
        'differs from the row in |',
        '| --- | --- | --- | --- | --- | --- |',
        f'| [{STEM}]({STEM}.py) | 2 | 1,000 | Table 1: a row | 47.2 / 41.8 '
        '| batch 2 |',
        f'| [{PASTED}]({PASTED}.py) | 2 | 1,000 | Table 1: a row | '
        '47.2 / 41.8 | batch 2 |',
        '',
        TABLE_END,
    ]


def test_measured_results_get_a_column_of_their_own(tree):
    metafile = tree / 'configs/paper/metafile.yml'
    with metafile.open('a') as file:
        file.write('  Results:\n    - Metrics: {mask AP: 40.1}\n')
    write_tables(tree)
    rows = (tree / 'configs/paper/README.md').read_text().splitlines()[4:]

    assert rows[0].endswith('| ours |')
    assert rows[2].endswith('| batch 2 |  |')
    assert rows[3].endswith('| batch 2 | mask AP 40.1 |')
    assert check_all(tree) == []


LEAF = f'configs/paper/{STEM}.py'
META = 'configs/paper/metafile.yml'
WRONG = [
    (LEAF, 'Paper:', 'paper:', 'no line "Paper:"'),
    (LEAF, 'Expected:', 'expects', 'no line "Expected:"'),
    (LEAF, 'Hardware:', 'On', 'no line "Hardware:"'),
    (LEAF, f'paper/{STEM}', f'paper/{PASTED}', 'runs another config'),
    (LEAF, 'a row', 'another row', 'does not name the row "a row"'),
    (LEAF, 'Table 1', 'Table 2', 'does not name the table "Table 1"'),
    (LEAF, 'batch 2', 'batch 4', 'does not name the differs "batch 2"'),
    (LEAF, 'mmdet::', 'mmseg::', 'cannot be found'),
    (LEAF, 'mmdet::', 'mmcp::', 'cannot be found'),
    (LEAF, 'models/net.py', 'models/no.py', 'does not exist'),
    (META, 'Batch Size: 2', 'Batch Size: 4', 'not that of the name, 2'),
    (META, f'paper/{STEM}.py', f'other/{STEM}.py', 'Config is'),
    (META, f'Name: {STEM}', f'Name: {PASTED}', 'is listed twice'),
    (META, f'Name: {STEM}', f'Name: {PASTED}', f'{STEM} is not listed'),
    (META, f'Name: {STEM}', 'Name: gone', 'gone.py does not exist'),
    (META, 'Collection: Paper', 'Collection: P', 'not declared'),
    (META, '    table: Table 1\n', '', 'lacks table'),
    (META, 'table: Table 1', 'table: null', 'both table and row'),
    (META, 'differs:', 'difers:', 'unknown keys difers'),
    (META, 'Iterations: 1000', 'Iterations: 9', 'not that of the metafile'),
    ('configs/paper/README.md', TABLE_END, '', 'once each'),
    ('configs/README.md', '| `coco` | dataset | x |\n', '', 'no dataset'),
    ('configs/README.md', '`coco`', '`voc`', 'no config uses'),
    ('model-index.yml', 'paper', 'papers', 'is not listed'),
    ('model-index.yml', 'paper', 'papers', 'belongs to no config'),
]


@pytest.mark.parametrize(('file', 'old', 'new', 'message'), WRONG)
def test_a_disagreement_is_found(tree, file, old, new, message):
    replace(tree / file, old, new)

    problems = check_all(tree)

    assert any(message in problem for problem in problems), problems


@pytest.mark.parametrize('name', ['metafile.yml', 'README.md'])
def test_a_folder_needs_both_files(tree, name):
    (tree / 'configs/paper' / name).unlink()

    assert f'configs/paper: no {name}' in check_all(tree)


def test_a_pasted_config_needs_its_baseline(tree):
    (tree / LEAF).unlink()

    assert f'{PASTED}: has no baseline {STEM}.py' in check_all(tree)


def test_a_config_on_the_stock_path_needs_its_twin(tree):
    paper = tree / 'configs' / 'paper'
    stock = PASTED.replace('-scp-', '-mmdet-scp-')
    write_leaf(paper, stock, f'./{STEM}.py')
    with (paper / 'metafile.yml').open('a') as file:
        file.write(entry(stock))
    row = '| `scp` | augmentation | x |\n'
    replace(
        tree / 'configs' / 'README.md', row, row + row.replace('scp', 'mmdet')
    )
    write_tables(tree)

    assert check_all(tree) == []
    (paper / f'{PASTED}.py').unlink()
    assert f'{stock}: has no baseline {PASTED}.py' in check_all(tree)


def test_a_bad_name_is_found(tree):
    (tree / LEAF).rename(tree / 'configs/paper/nonsense.py')

    assert any(p.startswith('nonsense: expected') for p in check_all(tree))


def test_the_third_hop_is_too_many(tree):
    fragment = tree / 'configs/_base_/models/net.py'
    fragment.write_text("_base_ = 'deep.py'\n")
    (fragment.parent / 'deep.py').write_text('model = dict()\n')

    assert base_depth(tree / LEAF) == 2
    assert check_all(tree) == [
        f'configs/paper/{PASTED}.py: 3 hops to its base, 2 at most'
    ]


def test_a_config_outside_any_paper_says_none(tree):
    metafile = tree / META
    replace(metafile, 'table: Table 1', 'table: null')
    replace(metafile, 'row: a row', 'row: null')
    write_tables(tree)

    assert check_all(tree) == []
    assert read_metafile(metafile)[0].paper['row'] is None
    assert '| none |' in (tree / 'configs/paper/README.md').read_text()
