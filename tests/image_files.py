"""Folders, archives and data sets of files for tests of unlabelled images."""

import io
import os
import tarfile
import zipfile

from mmcp.datasets import UnlabeledImageDataset

LONG_AGO = 1_600_000_000


def write(root, *names):
    """Files whose content is their own name."""
    for name in names:
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as file:
            file.write(os.fsencode(name))


def age(*roots):
    """Sets all times of change back, so that stamps are trusted."""
    for root in roots:
        os.utime(root, (LONG_AGO, LONG_AGO))
        for folder, below, files in os.walk(root):
            for name in below + files:
                os.utime(os.path.join(folder, name), (LONG_AGO, LONG_AGO))


def names_of(dataset, root):
    paths = [dataset.path(index) for index in range(len(dataset))]
    return [os.path.relpath(path, root) for path in paths]


def build(root, sources='', **options):
    return UnlabeledImageDataset(sources, data_root=str(root), **options)


def as_tar(path, contents, mode='w'):
    with tarfile.open(path, mode) as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def as_zip(path, contents, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, 'w', method) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
