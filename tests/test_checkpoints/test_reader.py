"""Tests of the safe checkpoint reader."""

import collections
import contextlib
import io
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer, MessageHub
from payload import Payload, write_hostile

from mmcp.checkpoints import (
    BrokenCheckpointError,
    CheckpointError,
    UnsafeCheckpointError,
    read_checkpoint,
)
from mmcp.checkpoints import reader as reader_module

FORMATS = pytest.mark.parametrize('legacy', [False, True])


def save(path, content, legacy=False):
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


@FORMATS
def test_what_mmengine_saves_is_read(tmp_path, legacy):
    hub = MessageHub('reader')
    for value in (1.5, 2.5):
        hub.update_scalar('loss', value)
    hub.update_info('best', np.float64(0.25))
    hub.update_info('iter', 7)
    content = dict(
        meta=dict(
            epoch=1,
            iter=7,
            dataset_meta=ConfigDict(classes=('a', 'b'), palette=[(1, 2, 3)]),
        ),
        state_dict=collections.OrderedDict(weight=torch.arange(3.0)),
        message_hub=hub.state_dict(),
        optimizer=dict(state={0: dict(step=3)}, param_groups=[dict(lr=0.1)]),
        arrays=[np.arange(6, dtype=np.int64).reshape(2, 3), np.bool_(True)],
    )
    path = save(tmp_path / 'epoch_1.pth', content, legacy)

    read = read_checkpoint(path)

    assert read['meta'] == content['meta']
    assert read['state_dict']['weight'].tolist() == [0.0, 1.0, 2.0]
    loss = read['message_hub']['log_scalars']['loss']
    assert type(loss) is HistoryBuffer
    assert loss.statistics('mean') == 2.0
    assert loss.data[0].tolist() == [1.5, 2.5]
    assert read['message_hub']['runtime_info']['best'] == 0.25
    assert read['optimizer'] == content['optimizer']
    assert read['arrays'][0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read['arrays'][1]


@pytest.mark.parametrize('module', ['numpy.core', 'numpy._core'])
def test_numpy_numbers_of_either_major_version_are_read(tmp_path, module):
    path = save(tmp_path / 'a.pth', dict(x=np.float64(0.5)), legacy=True)
    # Spelled as numpy 1 and numpy 2 spell it.
    content = path.read_bytes().replace(
        np.float64(0.5).__reduce__()[0].__module__.encode(),
        f'{module}.multiarray'.encode(),
    )
    assert f'{module}.multiarray'.encode() in content
    assert read_checkpoint(io.BytesIO(content)) == dict(x=0.5)


@FORMATS
def test_payload_is_refused_and_does_not_run(tmp_path, legacy):
    marker = tmp_path / 'marker'
    path = write_hostile(tmp_path / 'bad.pth', marker, legacy=legacy)

    with pytest.raises(UnsafeCheckpointError) as caught:
        read_checkpoint(path)

    assert not marker.exists()
    message = str(caught.value)
    assert str(path) in message
    assert 'mkdir' in message
    assert '--trust-checkpoint' in message


@FORMATS
def test_trust_runs_the_payload(tmp_path, legacy):
    marker = tmp_path / 'marker'
    path = write_hostile(tmp_path / 'bad.pth', marker, legacy=legacy)
    assert read_checkpoint(path, trust=True)['state_dict'] == {}
    assert marker.is_dir()


def test_refusal_is_not_what_mmengine_falls_back_from(tmp_path):
    path = write_hostile(tmp_path / 'bad.pth', tmp_path / 'marker')
    with pytest.raises(UnsafeCheckpointError) as caught:
        read_checkpoint(path)
    assert not isinstance(caught.value, pickle.UnpicklingError)
    assert isinstance(caught.value, CheckpointError)


class Reach:
    """Pickles as ``getattr(owner, name)``."""

    def __init__(self, owner, name):
        self.owner, self.name = owner, name

    def __reduce__(self):
        return getattr, (self.owner, self.name)


@pytest.mark.parametrize(
    ('owner', 'name'),
    [
        (HistoryBuffer, 'update'),
        (HistoryBuffer, '__init__'),
        (np.ndarray, 'tofile'),
        (torch.Tensor, '__reduce_ex__'),
    ],
)
def test_attributes_beyond_the_statistics_are_refused(tmp_path, owner, name):
    path = save(tmp_path / 'reach.pth', dict(x=Reach(owner, name)))
    with pytest.raises(UnsafeCheckpointError, match=r"'builtins\.getattr'"):
        read_checkpoint(path)


@pytest.mark.parametrize('name', ['min', 'max', 'mean', 'current'])
def test_statistics_are_allowed(tmp_path, name):
    path = save(tmp_path / 'reach.pth', dict(x=Reach(HistoryBuffer, name)))
    assert read_checkpoint(path)['x'] is getattr(HistoryBuffer, name)


def test_callers_own_safe_globals_survive(tmp_path):
    path = save(tmp_path / 'a.pth', dict(x=1))
    before = set(torch.serialization.get_safe_globals())
    with torch.serialization.safe_globals([HistoryBuffer]):
        read_checkpoint(path)
        inside = set(torch.serialization.get_safe_globals())
    assert inside == before | {HistoryBuffer}
    assert set(torch.serialization.get_safe_globals()) == before


@FORMATS
@pytest.mark.parametrize('kept', [0.0, 0.3, 0.9])
def test_truncated_file_is_called_broken(tmp_path, legacy, kept):
    content = dict(state_dict=dict(w=torch.zeros(4000)))
    path = save(tmp_path / 'cut.pth', content, legacy)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(BrokenCheckpointError) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    assert '--trust-checkpoint' not in str(caught.value)
    if kept == 0 or not legacy:
        assert 'cut short' in str(caught.value)


@pytest.mark.parametrize(
    'content', [b'not a checkpoint', b'\x89PNG\r\n\x1a\n', pickle.dumps({})]
)
@pytest.mark.parametrize('trust', [False, True])
def test_other_files_are_called_broken(tmp_path, content, trust):
    path = tmp_path / 'other.pth'
    path.write_bytes(content)
    with pytest.raises(BrokenCheckpointError, match=r'other\.pth') as caught:
        read_checkpoint(path, trust=trust)
    # torch advises to open such a file in the unsafe way.
    assert 'weights_only' not in str(caught.value)


@given(content=st.binary(max_size=200))
def test_no_bytes_escape_the_reader(content):
    with pytest.raises(CheckpointError):
        read_checkpoint(io.BytesIO(content))


@given(data=st.data())
def test_a_damaged_checkpoint_is_read_or_refused(data):
    file = io.BytesIO()
    content = dict(state_dict=dict(w=torch.zeros(3)), meta=dict(epoch=1))
    torch.save(content, file, _use_new_zipfile_serialization=False)
    damaged = bytearray(file.getvalue())
    position = data.draw(st.integers(0, len(damaged) - 1))
    damaged[position] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CheckpointError):
        assert isinstance(read_checkpoint(io.BytesIO(damaged)), dict)


@pytest.mark.parametrize('content', [torch.zeros(2), [1], 'text'])
def test_what_is_no_dictionary_is_refused(tmp_path, content):
    path = save(tmp_path / 'a.pth', content)
    with pytest.raises(BrokenCheckpointError, match=type(content).__name__):
        read_checkpoint(path)


def test_a_pickled_model_is_unsafe(tmp_path):
    path = save(tmp_path / 'a.pth', torch.nn.Linear(1, 1))
    with pytest.raises(UnsafeCheckpointError, match=r'linear\.Linear'):
        read_checkpoint(path)


def test_missing_file_names_the_nearest(tmp_path):
    save(tmp_path / 'epoch_12.pth', {})
    with pytest.raises(FileNotFoundError) as caught:
        read_checkpoint(tmp_path / 'epoch_21.pth')
    assert str(caught.value) == (
        f'Checkpoint {tmp_path / "epoch_21.pth"} does not exist. '
        f'Did you mean {tmp_path / "epoch_12.pth"}?'
    )


def test_missing_folder_and_folder_in_place_of_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='Nor does its folder'):
        read_checkpoint(tmp_path / 'none' / 'a.pth')
    with pytest.raises(FileNotFoundError, match='is a folder'):
        read_checkpoint(tmp_path)


def test_home_is_expanded(tmp_path, monkeypatch):
    save(tmp_path / 'a.pth', dict(x=1))
    monkeypatch.setenv('HOME', str(tmp_path))
    assert read_checkpoint('~/a.pth') == dict(x=1)


@FORMATS
def test_mapped_reading_gives_the_same(tmp_path, legacy):
    path = save(tmp_path / 'a.pth', dict(w=torch.arange(5)), legacy)
    assert read_checkpoint(path, mmap=True)['w'].tolist() == [0, 1, 2, 3, 4]


def test_map_location_is_passed_on(tmp_path):
    path = save(tmp_path / 'a.pth', dict(w=torch.zeros(2)))
    assert read_checkpoint(path, 'meta')['w'].is_meta


def test_old_torch_is_not_relied_on(tmp_path, monkeypatch):
    path = save(tmp_path / 'a.pth', dict(x=1))
    monkeypatch.setattr(reader_module.torch, '__version__', '2.5.1+cpu')
    with pytest.raises(UnsafeCheckpointError, match='CVE-2025-32434'):
        read_checkpoint(path)
    assert read_checkpoint(path, trust=True) == dict(x=1)


def test_buffer_is_called_by_its_name(tmp_path):
    file = io.BytesIO()
    torch.save(dict(x=Payload(tmp_path / 'marker')), file)
    file.seek(0)
    with pytest.raises(UnsafeCheckpointError, match=r'^s3://bucket/a\.pth '):
        read_checkpoint(file, name='s3://bucket/a.pth')
