"""Tests of the loaders that mmengine is given."""

import shutil
from urllib.error import URLError

import numpy as np
import pytest
import torch
from mmengine.model import BaseModule
from mmengine.runner import CheckpointLoader, load_checkpoint
from payload import write_hostile

from mmcp.checkpoints import (
    BrokenCheckpointError,
    CheckpointError,
    UnsafeCheckpointError,
    loading,
    use_safe_reader,
)
from mmcp.checkpoints.loading import without_program

URL = 'https://models.invalid/folder/resnet.pth'
WEIGHTS = {
    'state_dict': {'backbone.w': torch.ones(2), 'head.w': torch.ones(1)}
}


@pytest.fixture(autouse=True)
def safe_reader(monkeypatch):
    """Installs the reader for one test."""
    schemes = dict(CheckpointLoader._schemes)
    monkeypatch.setattr(CheckpointLoader, '_schemes', schemes)
    use_safe_reader()


@pytest.fixture
def downloads(tmp_path, monkeypatch):
    """Serves ``tmp_path/served.pth`` for every URL; returns those fetched."""
    fetched = []

    def download(url, target, **_):
        fetched.append(url)
        shutil.copy(tmp_path / 'served.pth', target)

    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'hub'))
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path / 'home'))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    tables = {
        'get_torchvision_models': {'resnet50.imagenet1k_v2': URL},
        '_classic_torchvision_models': {'resnet50': URL},
        'get_external_models': {'resnet50_gn': URL, 'local': 'sub/local.pth'},
        'get_mmcls_models': {'resnet50': URL},
        'get_deprecated_model_names': {'old_name': 'resnet50_gn'},
    }
    for name, table in tables.items():
        monkeypatch.setattr(loading, name, lambda table=table: table)
    return fetched


REMOTE = [
    URL,
    URL + '?token=1',
    'torchvision://resnet50',
    'torchvision://resnet50.imagenet1k_v2',
    'modelzoo://resnet50',
    'open-mmlab://resnet50_gn',
    'openmmlab://old_name',
    'mmcls://resnet50',
]


@pytest.mark.parametrize('address', REMOTE)
def test_downloads_are_read_safely(address, tmp_path, downloads):
    marker = tmp_path / 'marker'
    write_hostile(tmp_path / 'served.pth', marker)
    with pytest.raises(UnsafeCheckpointError, match=r'resnet\.pth'):
        CheckpointLoader.load_checkpoint(address)
    assert not marker.exists()
    assert downloads[0].startswith(URL)


@pytest.mark.parametrize('address', REMOTE)
def test_harmless_downloads_are_loaded_once_fetched(
    address, tmp_path, downloads
):
    torch.save(WEIGHTS, tmp_path / 'served.pth')
    for _ in range(2):
        read = CheckpointLoader.load_checkpoint(address)
    names = set(read['state_dict'])
    assert names == (
        {'w'} if address.startswith('mmcls') else {'backbone.w', 'head.w'}
    )
    assert len(downloads) == 1


def test_classic_models_need_no_torchvision():
    urls = loading._classic_torchvision_models()
    for name in ('resnet50', 'resnet101', 'mobilenet_v2'):
        assert urls[name].startswith('https://')
        assert urls[name].endswith('.pth')


def test_names_that_only_torchvision_knows(monkeypatch):
    def fail():
        raise ModuleNotFoundError("No module named 'torchvision'")

    monkeypatch.setattr(loading, 'get_torchvision_models', fail)
    with pytest.raises(CheckpointError, match='in no list but that of torch'):
        CheckpointLoader.load_checkpoint('torchvision://convnext_tiny.default')


def test_without_network(tmp_path, monkeypatch):
    def fail(url, target, **_):
        raise URLError('no route to host')

    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', fail)
    target = tmp_path / 'hub' / 'checkpoints' / 'resnet.pth'
    with pytest.raises(CheckpointError) as caught:
        CheckpointLoader.load_checkpoint(URL)
    message = str(caught.value)
    assert message.startswith(f'{URL} cannot be downloaded (<urlopen error no')
    assert message.endswith(f'put it at {target}.')


def test_openmmlab_models_in_a_local_folder(tmp_path, downloads):
    marker = tmp_path / 'marker'
    write_hostile(tmp_path / 'home' / 'sub' / 'local.pth', marker)
    with pytest.raises(UnsafeCheckpointError):
        CheckpointLoader.load_checkpoint('open-mmlab://local')
    assert not marker.exists()
    assert downloads == []


@pytest.mark.parametrize(
    'address', ['torchvision://nothing', 'mmcls://x', 'openmmlab://y']
)
def test_unknown_model_name(address, downloads):
    with pytest.raises(CheckpointError, match=address):
        CheckpointLoader.load_checkpoint(address)


def test_object_storage(tmp_path, monkeypatch):
    marker = tmp_path / 'marker'
    data = write_hostile(tmp_path / 'bad.pth', marker).read_bytes()

    class Backend:
        def get(self, name):
            return data

    monkeypatch.setattr(loading, 'get_file_backend', lambda *a, **k: Backend())
    with pytest.raises(UnsafeCheckpointError, match=r'^s3://bucket/bad\.pth'):
        CheckpointLoader.load_checkpoint('s3://bucket/bad.pth')
    assert not marker.exists()


def test_pavi_is_refused():
    with pytest.raises(CheckpointError, match='pavi'):
        CheckpointLoader.load_checkpoint('pavi://model')


def test_init_cfg_is_covered(tmp_path):
    marker = tmp_path / 'marker'
    path = write_hostile(tmp_path / 'bad.pth', marker)
    init = dict(type='Pretrained', checkpoint=str(path))
    with pytest.raises(UnsafeCheckpointError):
        BaseModule(init_cfg=init).init_weights()
    assert not marker.exists()

    use_safe_reader(trust=True)
    BaseModule(init_cfg=init).init_weights()
    assert marker.is_dir()


def test_trust_can_be_taken_back(tmp_path):
    path = write_hostile(tmp_path / 'bad.pth', tmp_path / 'marker')
    use_safe_reader(trust=True)
    use_safe_reader()
    with pytest.raises(UnsafeCheckpointError):
        load_checkpoint(torch.nn.Linear(1, 1), str(path))


def test_text_that_mmengine_would_execute_is_dropped(tmp_path):
    meta = dict(epoch=1, config='import os', cfg='a = 1')
    torch.save(dict(meta=meta, state_dict={}), tmp_path / 'a.pth')
    read = CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'))
    assert read == dict(meta=dict(epoch=1, cfg='a = 1'), state_dict={})


def test_other_checkpoints_pass_unchanged():
    for checkpoint in ({}, dict(meta=dict(cfg='a')), dict(w=1)):
        assert without_program(checkpoint) is checkpoint


def test_meta_that_hides_its_keys_is_refused():
    record = np.array(('config',), dtype=[('config', 'U6')])[()]
    assert 'config' in record
    with pytest.raises(BrokenCheckpointError, match='void'):
        without_program(dict(meta=record))
