"""The HTML report."""

import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from mmcp.visualization import Picture, Report

VOID = {'meta', 'img'}


class Outline(HTMLParser):
    """Checks that tags are balanced and collects what a reader sees."""

    def __init__(self, html):
        super().__init__()
        self.open, self.sources, self.texts = [], [], []
        self.attributes = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes += attrs
        self.sources += [v for k, v in attrs if k in ('src', 'href')]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if 'style' not in self.open and data.strip():
            self.texts.append(data.strip())


@pytest.fixture
def image():
    ramp = np.linspace(0, 255, 32).astype(np.uint8)
    return np.repeat(np.tile(ramp, (24, 1))[..., None], 3, axis=2)


@pytest.fixture
def report(image):
    report = Report('Title <1>', 'Lead & more')
    report.cards([('0.47', 'mask AP50')])
    report.section('Pictures')
    report.text('Some <b>text</b>.')
    report.pictures([Picture([image], 'one'), Picture([image, image], 'two')])
    report.svg('<svg xmlns="http://www.w3.org/2000/svg"/>', 'curve')
    report.table(['name', 'AP'], [['star', '0.5'], ['<ring>', '0.4']])
    report.code('a < b && c')
    report.details('more', 'x = "1"')
    return report


def test_document_is_balanced_and_complete(report):
    outline = Outline(report.to_html())
    assert outline.texts == [
        'Title <1>',
        'Title <1>',
        'Lead & more',
        '0.47',
        'mask AP50',
        'Pictures',
        'Some <b>text</b>.',
        'one',
        'two',
        'curve',
        'name',
        'AP',
        'star',
        '0.5',
        '<ring>',
        '0.4',
        'a < b && c',
        'more',
        'x = "1"',
    ]


def test_nothing_is_fetched(report):
    html = report.to_html()
    sources = Outline(html).sources
    assert len(sources) == 4
    assert all(source.startswith('data:image/') for source in sources)
    assert not re.search(r'url\(|@import|<script|<link', html)


def test_pictures_are_embedded_as_they_are(report, image):
    source = Outline(report.to_html()).sources[0]
    kind, data = source.split(',')
    assert kind == 'data:image/jpeg;base64'
    buffer = np.frombuffer(base64.b64decode(data), dtype=np.uint8)
    decoded = cv2.imdecode(buffer, cv2.IMREAD_COLOR)
    assert np.abs(decoded.astype(int) - image).mean() < 3


def test_every_picture_has_a_text(report):
    attributes = Outline(report.to_html()).attributes
    texts = [value for key, value in attributes if key == 'alt']
    assert texts == ['one', 'two', 'two', 'curve']


def test_ragged_table_is_refused():
    with pytest.raises(ValueError, match='has 1 cells, the header 2'):
        Report('t').table(['a', 'b'], [['1', '2'], ['3']])


def test_write_replaces_the_file_at_once(report, tmp_path):
    path = tmp_path / 'new' / 'report.html'
    path.parent.mkdir()
    path.write_text('old')
    assert report.write(path) == path
    assert path.read_text(encoding='utf-8') == report.to_html()
    assert [p.name for p in path.parent.iterdir()] == ['report.html']


def test_write_makes_the_folder(tmp_path):
    path = Report('t').write(tmp_path / 'a' / 'b' / 'report.html')
    assert '<h1>t</h1>' in path.read_text()
