"""Installs mmcp; the OpenMMLab stack is the extra ``onedl``."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION: dict[str, str] = {}
exec((ROOT / 'mmcp' / 'version.py').read_text(), VERSION)

setup(
    name='mmcp',
    version=VERSION['__version__'],
    packages=find_packages(include=['mmcp', 'mmcp.*']),
    python_requires='>=3.10',
)
