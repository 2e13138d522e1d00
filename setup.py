"""Installs mmcp; the OpenMMLab stack is the extra ``onedl``."""

from pathlib import Path

from setuptools import Extension, find_packages, setup

ROOT = Path(__file__).parent
VERSION: dict[str, str] = {}
exec((ROOT / 'mmcp' / 'version.py').read_text(), VERSION)


def requirements(name: str) -> list[str]:
    """Reads a file of ``requirements/``, without comments."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


setup(
    name='mmcp',
    version=VERSION['__version__'],
    description='The Copy-Paste family for MMDetection and MMSegmentation',
    license='Apache-2.0',
    packages=find_packages(include=['mmcp', 'mmcp.*']),
    package_data={'mmcp': ['py.typed']},
    # Optional: without a compiler the same is done by numpy, more slowly.
    ext_modules=[
        Extension(
            'mmcp.functional._native',
            ['mmcp/functional/_native.c'],
            # Floats as pycocotools and numpy round them: nothing fused.
            extra_compile_args=['-O3', '-std=c11', '-ffp-contract=off'],
            optional=True,
        )
    ],
    python_requires='>=3.10',
    # Not the stack: a user may have either line of OpenMMLab, and `import
    # mmcp` says what is missing. opencv has four names on the registry.
    # numpy since it lends the generator behind its global state.
    install_requires=['numpy>=1.24', 'pycocotools'],
    extras_require={
        'onedl': requirements('onedl'),
        'dev': requirements('dev'),
    },
)
