"""The check at ``import mmcp``, on made-up installations."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmcp import stack

ROOT = Path(__file__).parents[1]
ONEDL = {
    'onedl-mmengine': ('mmengine', '0.10.12'),
    'onedl-mmcv': ('mmcv', '2.3.6'),
    'onedl-mmdetection': ('mmdet', '3.5.1'),
    'onedl-mmsegmentation': ('mmseg', '1.4.2'),
}
OPENMMLAB = {
    'mmengine': ('mmengine', '0.10.0'),
    'mmcv': ('mmcv', '2.0.0'),
    'mmdet': ('mmdet', '3.3.0'),
    'mmsegmentation': ('mmseg', '1.2.0'),
}


def install(site, distributions, operators=True, metadata=True):
    """Writes packages whose import would fail, and their metadata."""
    for name, (module, version) in distributions.items():
        folder = site / module
        folder.mkdir(parents=True, exist_ok=True)
        folder.joinpath('__init__.py').write_text('raise AssertionError\n')
        folder.joinpath('version.py').write_text(f"__version__ = '{version}'")
        if operators and module == 'mmcv':
            folder.joinpath('_ext.cpython-311.so').touch()
        if metadata:
            info = site / f'{name.replace("-", "_")}-{version}.dist-info'
            info.mkdir()
            info.joinpath('METADATA').write_text(
                f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n'
            )


def import_mmcp(site):
    """Runs ``import mmcp`` with nothing else installed; returns its error."""
    code = f'import sys; sys.path[1:1] = {[str(ROOT), str(site)]}; import mmcp'
    done = subprocess.run(
        [sys.executable, '-I', '-S', '-c', code],
        capture_output=True,
        text=True,
    )
    return done.stderr if done.returncode else ''


@pytest.mark.parametrize('line', [ONEDL, OPENMMLAB])
@pytest.mark.parametrize('metadata', [True, False])
def test_accepts_either_line_without_importing_it(tmp_path, line, metadata):
    install(tmp_path, line, metadata=metadata)
    assert import_mmcp(tmp_path) == ''


def test_accepts_the_environment_of_the_tests():
    stack.check_stack()
    assert [stack.find_problem(r) for r in stack.STACK] == [None] * 4


def test_names_all_that_is_missing_and_the_commands(tmp_path):
    install(tmp_path, {'onedl-mmengine': ('mmengine', '0.10.12')})
    assert import_mmcp(tmp_path).split('ImportError: ')[1].splitlines() == [
        'mmcp cannot run on this OpenMMLab stack: mmcv is not installed '
        '(>=2.0,<3 is needed); mmdet is not installed (>=3.3,<4 is needed); '
        'mmseg is not installed (>=1.2,<2 is needed).',
        'To mend it:',
        '    pip install torch ninja psutil "setuptools>=80" wheel',
        '    pip install --no-build-isolation "onedl-mmcv>=2.0,<3"',
        '    pip install --no-build-isolation "onedl-mmdetection>=3.3,<4"',
        '    pip install --no-build-isolation "onedl-mmsegmentation>=1.2,<2"',
        'or run `make env` in a clone of mmcp, which builds the whole '
        'environment.',
    ]


@pytest.mark.parametrize(
    ('name', 'module', 'version', 'bounds'),
    [
        ('mmengine', 'mmengine', '0.9.1', '>=0.10,<1'),
        ('mmdet', 'mmdet', '3.2.0', '>=3.3,<4'),
        ('mmdet', 'mmdet', '4.0.0', '>=3.3,<4'),
        ('mmsegmentation', 'mmseg', '0.30.0', '>=1.2,<2'),
    ],
)
def test_refuses_wrong_versions(tmp_path, name, module, version, bounds):
    install(tmp_path, OPENMMLAB | {name: (module, version)})
    error = import_mmcp(tmp_path)
    assert f'{module} {version} is installed, but {bounds} is needed' in error
    fix = f'    pip install --no-build-isolation "{name}{bounds}"\n'
    assert error.count('    pip install') == 1
    assert fix in error


def test_an_mmcv_without_operators_is_rebuilt(tmp_path):
    install(tmp_path, ONEDL, operators=False)
    error = import_mmcp(tmp_path)
    assert 'mmcv 2.3.6 was built without its compiled operators' in error
    assert (
        'pip install --no-build-isolation --no-cache-dir --force-reinstall '
        '--no-deps "onedl-mmcv>=2.0,<3"\n'
    ) in error


def test_mmcv_lite_is_removed_first(tmp_path):
    line = {k: v for k, v in OPENMMLAB.items() if k != 'mmcv'}
    lite = {'mmcv-lite': ('mmcv', '2.1.0')}
    install(tmp_path, line | lite, operators=False)
    commands = import_mmcp(tmp_path).split('To mend it:\n')[1].splitlines()
    assert commands[0] == '    pip uninstall -y mmcv-lite'
    assert commands[2].endswith('"mmcv>=2.0,<3"')


def test_one_fitting_distribution_of_two_is_enough(tmp_path):
    install(tmp_path, ONEDL)
    install(tmp_path, {'mmdet': ('mmdet', '2.28.2')})
    assert import_mmcp(tmp_path) == ''


def test_metadata_without_the_package_is_missing(tmp_path):
    install(tmp_path, ONEDL)
    (tmp_path / 'mmseg').rename(tmp_path / 'elsewhere')
    assert 'mmseg is not installed' in import_mmcp(tmp_path)


@pytest.mark.parametrize(
    ('version', 'expected'),
    [
        ('2.13.0+cpu', (2, 13, 0)),
        ('3.3.0rc1', (3, 3, 0)),
        ('v1.2', (1, 2)),
        ('unknown', ()),
    ],
)
def test_release(version, expected):
    assert stack.release(version) == expected


def test_importing_mmcp_stays_light():
    code = (
        'import sys, mmcp; '
        'print({"torch", "mmengine", "cv2", "numpy"} & set(sys.modules))'
    )
    env = os.environ | {'PYTHONPATH': str(ROOT)}
    out = subprocess.check_output(
        [sys.executable, '-c', code], text=True, env=env
    )
    assert out == 'set()\n'
