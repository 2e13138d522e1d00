"""Checkpoints that run code when they are opened carelessly."""

import os

import torch


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def write_hostile(path, marker, *, legacy=False, **content):
    """Writes a checkpoint that makes the folder ``marker`` when opened."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(
        {'state_dict': {}, **content, 'extra': Payload(marker)},
        path,
        _use_new_zipfile_serialization=not legacy,
    )
    return path
