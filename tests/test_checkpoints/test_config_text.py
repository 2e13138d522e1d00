"""Tests of reading configs without running them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config

from mmcp.checkpoints.config_text import config_of, look_up


def test_what_mmengine_writes_is_read():
    content = dict(
        model=dict(type='mmcp.CP2', backbone=dict(num_heads=6, scale=-0.5)),
        steps=[1, (2, None), {'a-b': True}],
        name='a "quoted" text',
    )
    checkpoint = dict(meta=dict(cfg=Config(content).pretty_text))
    assert config_of(checkpoint) == content


def test_nothing_is_run(tmp_path):
    marker = tmp_path / 'marker'
    text = (
        f"a = __import__('os').mkdir('{marker}')\n"
        f"__import__('os').mkdir('{marker}')\n"
        'import os\n'
        'b = dict(c=1)\n'
        'd = dict(c=open)\n'
        'e = f(1)\n'
        "f.g = 'x'\n"
        'h = dict(dict(i=1), **dict(j=2))\n'
    )
    config = config_of(dict(meta=dict(cfg=text)))
    assert config == dict(b=dict(c=1), h=dict(i=1, j=2))
    assert not marker.exists()


@pytest.mark.parametrize(
    'checkpoint',
    [
        {},
        dict(meta=None),
        dict(meta=[1]),
        dict(meta=dict(cfg=3)),
        dict(meta=dict(cfg='a = (')),
        dict(meta=dict(cfg='a = ' + '(' * 5000)),
        dict(meta=dict(cfg='a = ' + 'dict(a=' * 3000 + '1' + ')' * 3000)),
    ],
)
def test_no_config(checkpoint):
    assert config_of(checkpoint) == {}


@given(text=st.text())
def test_any_text_is_survived(text):
    assert isinstance(config_of(dict(meta=dict(cfg=text))), dict)


def test_look_up():
    config = dict(a=dict(b=[1]))
    assert look_up(config, 'a', 'b') == [1]
    assert look_up(config, 'a', 'c') is None
    assert look_up(config, 'a', 'b', 'c') is None
    assert look_up(None, 'a') is None
