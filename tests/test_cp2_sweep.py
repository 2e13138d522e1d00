"""`tools/cp2_sweep.py`: what it starts, with stand-ins for the launchers."""

import importlib.util
import json
import os
import shutil
import signal
import stat
import subprocess
import sys

import pytest
from mmengine.config import Config

from mmcp.engine.config import UsageError

NOTE = """\
#!{python}
import json, os, pathlib, sys
here = pathlib.Path(__file__).parent
name = pathlib.Path(__file__).name
with (here / 'calls.txt').open('a') as file:
    file.write(json.dumps([name, os.environ['GPUS'], *sys.argv[1:]]) + '\\n')
failing = here / 'failing'
words = failing.read_text().split() if failing.exists() else ['-', '0']
sys.exit(int(words[1]) if any(words[0] in arg for arg in sys.argv) else 0)
"""


@pytest.fixture
def clone(tmp_path, repo_root):
    """A folder that looks like the repository to the tool."""
    tools = tmp_path / 'tools'
    tools.mkdir()
    shutil.copy(repo_root / 'tools' / 'cp2_sweep.py', tools)
    for name in ('train.py', 'dist_train.sh', 'slurm_train.sh'):
        (tools / name).write_text(NOTE.format(python=sys.executable))
        (tools / name).chmod(stat.S_IRWXU)
    return tmp_path


@pytest.fixture
def sweep(clone):
    path = clone / 'tools' / 'cp2_sweep.py'
    spec = importlib.util.spec_from_file_location('cp2_sweep', path)
    module = importlib.util.module_from_spec(spec)
    # Data classes look their module up.
    sys.modules['cp2_sweep'] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules['cp2_sweep']


def calls(clone):
    path = clone / 'tools' / 'calls.txt'
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def dry_run(sweep, capsys, *words):
    sweep.main([*words, '--dry-run'])
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_the_grid_is_that_of_the_papers_table(sweep, capsys):
    lines = dry_run(sweep, capsys, 'table5a')
    cells = [tuple(line[-2:]) for line in lines]

    assert cells == [
        (f'model.dense_weight={weight}', f'model.dense_temperature={tau}')
        for weight in (10.0, 1.0, 0.5, 0.2, 0.1)
        for tau in (2.0, 1.0, 0.5, 0.2)
    ]
    folders = {line[line.index('--work-dir') + 1] for line in lines}
    assert len(folders) == 20


def test_the_papers_own_cell_is_the_config_as_it_is(sweep, repo_root):
    (cell,) = [
        run
        for run in sweep.runs_of('table5a')
        if '0.2_' in run.name
        if run.name.endswith('temperature1')
    ]
    model = Config.fromfile(repo_root / sweep.EIGHT_GPUS).model

    assert cell.options == (
        f'model.dense_weight={model.dense_weight}',
        f'model.dense_temperature={model.dense_temperature}',
    )


def test_three_seeds(sweep, capsys):
    lines = dry_run(sweep, capsys, 'table7', '--launcher', 'dist')

    assert [line[-2:] for line in lines] == [
        ['--seed', str(seed)] for seed in range(3)
    ]
    assert lines[1] == [
        'tools/dist_train.sh',
        sweep.EIGHT_GPUS,
        '8',
        '--work-dir',
        'work_dirs/cp2_sweep/table7/seed1',
        '--resume',
        '--auto-scale-lr',
        '--seed',
        '1',
    ]


def test_nothing_runs_in_a_dry_run(sweep, clone, capsys):
    assert len(dry_run(sweep, capsys, 'table7')) == 3
    assert calls(clone) == []


def test_slurm_gets_partition_name_folder_and_gpus(sweep, clone):
    words = '--launcher slurm --partition fast --gpus 16 --only seed2'
    sweep.main(['table7', *words.split()])

    assert calls(clone) == [
        [
            *('slurm_train.sh', '16', 'fast', 'seed2', sweep.EIGHT_GPUS),
            'work_dirs/cp2_sweep/table7/seed2',
            *('--resume', '--auto-scale-lr', '--seed', '2'),
        ]
    ]


def test_slurm_without_partition_is_refused(sweep, capsys):
    with pytest.raises(SystemExit) as exit_info:
        sweep.main(['table7', '--launcher', 'slurm'])
    assert exit_info.value.code == 2
    assert '--partition' in capsys.readouterr().err


def test_one_gpu_takes_the_config_of_one_gpu(sweep, repo_root, capsys):
    local = dry_run(sweep, capsys, 'table7')
    dist = dry_run(
        sweep, capsys, 'table7', '--launcher', 'dist', '--gpus', '1'
    )

    assert local[0][2] == dist[0][1] == sweep.ONE_GPU
    assert (repo_root / sweep.ONE_GPU).is_file()


def test_finished_runs_are_skipped(sweep, clone, capsys):
    sweep.main(['table7', '--only', 'seed1'])
    sweep.main(['table7'])

    seeds = [call[-1] for call in calls(clone)]
    assert seeds == ['1', '0', '2']
    assert 'seed1: finished before' in capsys.readouterr().out


def test_another_recipe_is_not_finished(sweep, clone):
    sweep.main(['table7', '--only', 'seed0'])
    sweep.main(['table7', '--only', 'seed0', '--cfg-options', 'a=1'])

    assert [call[-1] for call in calls(clone)] == ['0', 'a=1']


def test_a_failed_run_is_told_and_tried_again(sweep, clone):
    (clone / 'tools' / 'failing').write_text('seed1 3')
    with pytest.raises(SystemExit) as exit_info:
        sweep.main(['table7'])
    assert str(exit_info.value.code) == 'error: these runs failed: seed1'
    (clone / 'tools' / 'failing').unlink()
    sweep.main(['table7'])

    assert [call[-1] for call in calls(clone)] == ['0', '1', '2', '1']


def test_an_interrupted_run_ends_the_sweep(sweep, clone):
    (clone / 'tools' / 'failing').write_text('seed0 130')
    with pytest.raises(SystemExit) as exit_info:
        sweep.main(['table7'])

    assert exit_info.value.code == 130
    assert len(calls(clone)) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_unknown_run_is_named_with_those_there_are(sweep):
    with pytest.raises(UsageError, match='no run seed9.*seed0, seed1, seed2'):
        sweep.main(['table7', '--only', 'seed9'])


def test_it_runs_as_a_program(clone):
    done = subprocess.run(
        [sys.executable, 'tools/cp2_sweep.py', 'table7', '--only', 'seed7'],
        cwd=clone,
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )

    assert done.returncode == 1
    assert 'error: There is no run seed7.' in done.stderr
