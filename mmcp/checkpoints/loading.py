"""Makes mmengine open every checkpoint through our reader."""

import json
import os
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias
from urllib.error import URLError

import mmengine
import torch
from mmengine.dist import barrier, get_dist_info
from mmengine.fileio import get_file_backend
from mmengine.logging import print_log
from mmengine.runner.checkpoint import (
    CheckpointLoader,
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
    get_torchvision_models,
)

from mmcp.checkpoints.reader import (
    BrokenCheckpointError,
    CheckpointError,
    MapLocation,
    read_checkpoint,
)

Loader: TypeAlias = 'Callable[[str, MapLocation], dict[str, Any]]'

BACKBONE = 'backbone.'


def use_safe_reader(*, trust: bool = False) -> None:
    """Makes mmengine open checkpoints with :func:`read_checkpoint`.

    It replaces mmengine's loaders for the rest of this process, through
    mmengine's own extension point. Whatever goes through mmengine is then
    covered: ``Runner(load_from=..., resume=...)``, ``init_cfg`` of type
    ``Pretrained`` anywhere in a model, ``load_checkpoint``, and the schemes
    ``http(s)://``, ``torchvision://``, ``open-mmlab://``, ``mmcls://`` and
    ``s3://``. The tools of this project call it; call it yourself before
    ``Runner.from_cfg`` to have the same.

    One way to run a checkpoint's code remains outside: an inferencer of
    mmdet or mmseg made from weights alone executes the config text in them.
    Give it a config file.

    Args:
        trust: Read with ``weights_only=False``, for files whose maker you
            trust. Defaults to False.
    """
    for prefixes, loader in _Loaders(trust).by_scheme():
        CheckpointLoader.register_scheme(prefixes, loader=loader, force=True)


def load_safely(
    address: str,
    map_location: MapLocation = 'cpu',
    *,
    trust: bool | None = None,
) -> dict[str, Any]:
    """Opens a checkpoint whether or not mmengine uses our reader.

    Args:
        address: Path, or address in a scheme of :func:`use_safe_reader`.
        map_location: Where tensors go, see ``torch.load``. Defaults to
            'cpu'.
        trust: Whether the file may hold more than data. Defaults to None, as
            :func:`use_safe_reader` was told, or else not.

    Returns:
        What the file holds.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If it is unsafe, broken or cannot be fetched.
    """
    if trust is None:
        trust = _told_to_trust()
    # The scheme of local files matches everything; it is the first.
    for prefixes, loader in reversed(_Loaders(trust).by_scheme()):
        if any(re.match(prefix, address) for prefix in prefixes):
            return loader(address, map_location)
    raise AssertionError('the last scheme matches everything')


def _told_to_trust() -> bool:
    """Whether the reader that mmengine uses is ours and trusts files."""
    loader = CheckpointLoader._schemes.get('')
    owner = getattr(loader, '__self__', None)
    return isinstance(owner, _Loaders) and owner.trust


class _Loaders:
    """One loader per scheme; mmengine logs their names.

    Args:
        trust: Passed to :func:`read_checkpoint`.
    """

    def __init__(self, trust: bool) -> None:
        self.trust = trust

    def by_scheme(self) -> list[tuple[tuple[str, ...], Loader]]:
        """Patterns that addresses begin with, local files first."""
        return [
            (('',), self.load_from_local),
            (('http://', 'https://'), self.load_from_http),
            (('modelzoo://', 'torchvision://'), self.load_from_torchvision),
            (('open-mmlab://', 'openmmlab://'), self.load_from_openmmlab),
            (('mmcls://',), self.load_from_mmcls),
            (
                (r'(\S+\:)?s3://', r'(\S+\:)?petrel://'),
                self.load_from_ceph,
            ),
            (('pavi://',), self.load_from_pavi),
        ]

    def load_from_local(
        self, filename: str, map_location: MapLocation = None
    ) -> dict[str, Any]:
        checkpoint = read_checkpoint(filename, map_location, trust=self.trust)
        return checkpoint if self.trust else without_program(checkpoint)

    def load_from_http(
        self, filename: str, map_location: MapLocation = None
    ) -> dict[str, Any]:
        return self.load_from_local(str(_download(filename)), map_location)

    def load_from_torchvision(
        self, filename: str, map_location: MapLocation = None
    ) -> dict[str, Any]:
        name = filename.split('://', 1)[1]
        url = _classic_torchvision_models().get(name)
        url = url or _look_up(_torchvision_models(filename), filename)
        return self.load_from_http(url, map_location)

    def load_from_openmmlab(
        self, filename: str, map_location: MapLocation = None
    ) -> dict[str, Any]:
        scheme, name = filename.split('://', 1)
        name = get_deprecated_model_names().get(name, name)
        place = _look_up(get_external_models(), f'{scheme}://{name}')
        if place.startswith(('http://', 'https://')):
            return self.load_from_http(place, map_location)
        return self.load_from_local(
            str(_mmengine_home() / place), map_location
        )

    def load_from_mmcls(
        self, filename: str, map_location: MapLocation = None
    ) -> dict[str, Any]:
        url = _look_up(get_mmcls_models(), filename)
        checkpoint = self.load_from_http(url, map_location)
        weights = checkpoint.get('state_dict', checkpoint)
        return {
            'state_dict': {
                name.removeprefix(BACKBONE): value
                for name, value in weights.items()
                if name.startswith(BACKBONE)
            }
        }

    def load_from_ceph(
        self, filename: str, map_location: MapLocation = None
    ) -> dict[str, Any]:
        backend = get_file_backend(
            filename, backend_args={'backend': 'petrel'}
        )
        checkpoint = read_checkpoint(
            BytesIO(backend.get(filename)),
            map_location,
            trust=self.trust,
            name=filename,
        )
        return checkpoint if self.trust else without_program(checkpoint)

    def load_from_pavi(
        self, filename: str, map_location: MapLocation = None
    ) -> dict[str, Any]:
        raise CheckpointError(
            f'{filename}: the pavi:// scheme is not supported. Download the '
            'file and give its path.'
        )


def without_program(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Drops the text that mmengine would execute on resume.

    ``Runner.resume`` runs ``meta['config']`` as a Python file, to compare
    the number of GPUs with that of checkpoints made by mmcv 1.x. mmengine
    itself writes ``meta['cfg']``, which no runner executes.

    Args:
        checkpoint: What a checkpoint file holds.

    Returns:
        The checkpoint itself, or a shallow copy without ``meta['config']``.

    Raises:
        BrokenCheckpointError: If ``meta`` is no dictionary: a numpy record,
            say, would hide the text from this function but not from mmengine.
    """
    meta = checkpoint.get('meta', {})
    if not isinstance(meta, dict):
        raise BrokenCheckpointError(
            f"The checkpoint's 'meta' is a {type(meta).__name__}, not a "
            'dictionary, so no OpenMMLab tool wrote it.'
        )
    if 'config' not in meta:
        return checkpoint
    print_log(
        "The checkpoint's meta['config'] is left out: resuming would run it "
        'as a program.',
        logger='current',
    )
    kept = {key: value for key, value in meta.items() if key != 'config'}
    return {**checkpoint, 'meta': kept}


def _classic_torchvision_models() -> dict[str, str]:
    """Reads mmengine's own list, for machines without torchvision."""
    path = Path(mmengine.__file__).parent / 'hub' / 'torchvision_0.12.json'
    urls: dict[str, str] = (
        json.loads(path.read_text()) if path.exists() else {}
    )
    return urls


def _torchvision_models(filename: str) -> dict[str, str]:
    try:
        urls: dict[str, str] = get_torchvision_models()
    except ImportError as error:
        raise CheckpointError(
            f'{filename} is in no list but that of torchvision, which is not '
            'installed here.'
        ) from error
    return urls


def _look_up(urls: dict[str, str], filename: str) -> str:
    name = filename.split('://', 1)[1]
    if name not in urls:
        raise CheckpointError(
            f'{filename}: there is no such model in the list of this scheme.'
        )
    return urls[name]


def _download(url: str) -> Path:
    """Fetches a file once, into the folder that torch.hub uses too."""
    folder = Path(torch.hub.get_dir()) / 'checkpoints'
    target = folder / url.split('?', 1)[0].rsplit('/', 1)[-1]
    rank, world_size = get_dist_info()
    if world_size > 1 and rank > 0:
        barrier()
    if not target.is_file():
        _fetch(url, target, progress=rank == 0)
    if world_size > 1 and rank == 0:
        barrier()
    return target


def _fetch(url: str, target: Path, *, progress: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(target), progress=progress)
    except URLError as error:
        raise CheckpointError(
            f'{url} cannot be downloaded ({error}). If this machine has no '
            f'network, fetch it elsewhere and put it at {target}.'
        ) from error


def _mmengine_home() -> Path:
    cache = os.environ.get('XDG_CACHE_HOME', '~/.cache')
    home = os.environ.get('MMENGINE_HOME', os.path.join(cache, 'mmengine'))
    return Path(home).expanduser()
