"""A report as one HTML file, with nothing to fetch from anywhere."""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2

from mmcp.visualization.draw import Image

_STYLE = """
:root { --ink: #1d2733; --soft: #5b6774; --line: #dfe4ea; --blue: #1f5fa8; }
* { box-sizing: border-box; }
body { margin: 0; background: #f6f7f9; color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { margin: 0 0 .3rem; font-size: 1.9rem; line-height: 1.2; }
h2 { margin: 2.6rem 0 .4rem; font-size: 1.3rem; }
p { max-width: 46rem; margin: .4rem 0 1rem; }
.lead, figcaption, .note { color: var(--soft); }
.cards { display: grid; gap: .8rem; margin: 1.4rem 0;
  grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); }
.card { padding: .8rem 1rem; background: #fff;
  border: 1px solid var(--line); border-radius: .5rem; }
.card b { display: block; font-size: 1.6rem; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.card span { display: block; color: var(--soft); font-size: .85rem;
  line-height: 1.4; }
.pictures { display: grid; gap: .9rem; margin: 1rem 0;
  grid-template-columns:
    repeat(auto-fill, minmax(min(100%, var(--cell)), 1fr)); }
figure { margin: 0; }
figure img { display: block; width: 100%; height: auto;
  border: 1px solid var(--line); border-radius: .35rem; background: #fff; }
figcaption { padding-top: .25rem; font-size: .85rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .35rem; }
.scroll { overflow-x: auto; margin: .6rem 0 1.4rem; }
table { border-collapse: collapse; background: #fff; font-size: .93rem;
  font-variant-numeric: tabular-nums; border: 1px solid var(--line); }
th, td { padding: .35rem .8rem; text-align: right;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; background: #eef1f5; }
th:first-child, td:first-child { text-align: left; }
pre { overflow-x: auto; margin: .6rem 0 1rem; padding: .8rem 1rem;
  background: #1d2733; color: #eef1f5; border-radius: .4rem;
  font: .86rem/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
details { margin: 1rem 0; }
summary { cursor: pointer; color: var(--blue); }
@media print { body { background: #fff; } figure { break-inside: avoid; } }
"""


@dataclass(frozen=True)
class Picture:
    """One picture of a report, or several with one caption.

    Attributes:
        images: Each of shape (H, W, 3), uint8, BGR; shown side by side.
        caption: What they show; also read to the blind.
    """

    images: Sequence[Image]
    caption: str


class Report:
    """Collects the parts of a report and writes them as one HTML file.

    All text is escaped, all pictures are embedded; the file has no script
    and loads nothing.

    Args:
        title: Heading and title of the page.
        lead: One or two sentences below it.

    Examples:
        >>> report = Report('Nuclei', 'Mask R-CNN on 59 images.')
        >>> report.section('Numbers')
        >>> report.table(['metric', 'value'], [['mask AP', '41.2']])
        >>> '<td>41.2</td>' in report.to_html()
        True
    """

    def __init__(self, title: str, lead: str = '') -> None:
        self.title = title
        self._parts = [f'<h1>{escape(title)}</h1>']
        if lead:
            self._parts.append(f'<p class="lead">{escape(lead)}</p>')

    def section(self, heading: str) -> None:
        """Begin a section."""
        self._parts.append(f'<h2>{escape(heading)}</h2>')

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f'<p>{escape(text)}</p>')

    def cards(self, cards: Sequence[tuple[str, str]]) -> None:
        """Add the figures that matter most, as (value, what it is)."""
        cells = ''.join(
            f'<div class="card"><b>{escape(value)}</b>'
            f'<span>{escape(name)}</span></div>'
            for value, name in cards
        )
        self._parts.append(f'<div class="cards">{cells}</div>')

    def pictures(
        self, pictures: Sequence[Picture], cell: float = 15.0
    ) -> None:
        """Add pictures in a grid that adapts to the window.

        Args:
            pictures: The pictures in reading order.
            cell: Least width of a cell in rem, about 16 pixels each. Defaults
                to 15.
        """
        cells = ''.join(_figure(picture) for picture in pictures)
        self._parts.append(
            f'<div class="pictures" style="--cell: {cell:g}rem">{cells}</div>'
        )

    def svg(self, svg: str, caption: str) -> None:
        """Add a drawing; embedded as an image, so its ids stay its own."""
        source = _data_url('svg+xml', svg.encode())
        self._parts.append(_captioned(_img(source, caption), caption))

    def table(
        self, header: Sequence[str], rows: Sequence[Sequence[str]]
    ) -> None:
        """Add a table; the first column is text, the others are numbers.

        Raises:
            ValueError: If a row is not as long as the header.
        """
        for row in rows:
            if len(row) != len(header):
                raise ValueError(
                    f'row {list(row)} has {len(row)} cells, the header '
                    f'{len(header)}'
                )
        head = ''.join(f'<th>{escape(cell)}</th>' for cell in header)
        body = ''.join(
            f'<tr>{"".join(f"<td>{escape(cell)}</td>" for cell in row)}</tr>'
            for row in rows
        )
        self._parts.append(
            '<div class="scroll"><table>'
            f'<thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
            '</table></div>'
        )

    def code(self, code: str) -> None:
        """Add a command or program as it is to be typed."""
        self._parts.append(f'<pre><code>{escape(code)}</code></pre>')

    def details(self, summary: str, code: str) -> None:
        """Add a long text that opens with a click."""
        self._parts.append(
            f'<details><summary>{escape(summary)}</summary>'
            f'<pre><code>{escape(code)}</code></pre></details>'
        )

    def to_html(self) -> str:
        """The whole document."""
        body = '\n'.join(self._parts)
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n'
            '<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, '
            'initial-scale=1">\n'
            f'<title>{escape(self.title)}</title>\n'
            f'<style>{_STYLE}</style>\n'
            f'</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n'
        )

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the document, all or nothing.

        Args:
            path: File to write; its folder is made when missing.

        Returns:
            The path.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f'.{path.name}.draft')
        draft.write_text(self.to_html(), encoding='utf-8')
        os.replace(draft, path)
        return path


def _figure(picture: Picture) -> str:
    images = ''.join(
        _img(_data_url('jpeg', _encode(image)), picture.caption)
        for image in picture.images
    )
    if len(picture.images) > 1:
        images = f'<div class="pair">{images}</div>'
    return _captioned(images, picture.caption)


def _captioned(content: str, caption: str) -> str:
    return (
        f'<figure>{content}<figcaption>{escape(caption)}</figcaption></figure>'
    )


def _img(source: str, text: str) -> str:
    return f'<img src="{source}" alt="{escape(text)}">'


def _data_url(kind: str, data: bytes) -> str:
    return f'data:image/{kind};base64,{base64.b64encode(data).decode()}'


def _encode(image: Image) -> bytes:
    """JPEG; photographs and noise are several times larger as PNG."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
    _, data = cv2.imencode('.jpg', image, quality)
    encoded: bytes = data.tobytes()
    return encoded
