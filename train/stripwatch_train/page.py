"""One HTML page of tables and pictures, which needs no other file and no network."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from stripwatch.errors import StorageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = "index.html"
NUMBERED = ("overlays", "sweep", "worst")  # pictures of which a page has several
DPI = 110

_TEMPLATE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{{ title }}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem;
       color: #1b1f24; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; margin: .6rem 0; }
th, td { padding: .2rem .8rem .2rem 0; text-align: right; border-bottom: 1px solid #d8dee4; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1rem 0; } img { max-width: 100%; } figcaption { color: #57606a; }
</style>
<h1>{{ title }}</h1>
<p>{{ lead }}</p>
{% for section in sections %}
<h2>{{ section.title }}</h2>
{% if section.text %}<p>{{ section.text }}</p>{% endif %}
{% for table in section.tables %}
<table>
<tr>{% for cell in table.head %}<th>{{ cell }}</th>{% endfor %}</tr>
{% for row in table.rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table>
{% endfor %}
{% for picture in section.pictures %}
<figure><img alt="{{ picture.caption }}" src="data:image/png;base64,{{ encoded(picture.png) }}">
<figcaption>{{ picture.caption }}</figcaption></figure>
{% endfor %}
{% endfor %}
"""


@dataclass(frozen=True, slots=True)
class TableOf:
    """Rows under a head; cells are shown as they are."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG file; `name` is its file's, without suffix."""

    name: str
    png: bytes
    caption: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page."""

    title: str
    text: str = ""
    tables: tuple[TableOf, ...] = ()
    pictures: tuple[Picture, ...] = ()


def picture_of(name: str, figure: Figure, caption: str) -> Picture:
    """A plot as a picture; make it by `matplotlib.figure.Figure`, which needs no closing."""
    data = BytesIO()
    figure.savefig(data, format="png", dpi=DPI, bbox_inches="tight")
    return Picture(name, data.getvalue(), caption)


def write_page(folder: Path, title: str, lead: str, sections: Sequence[Section]) -> Path:
    """Write `index.html` and, beside it, each of its pictures as a PNG file.

    Returns:
        The page's path.

    Raises:
        StorageError: the folder cannot be written.
    """
    from jinja2 import Environment

    template = Environment(autoescape=True, trim_blocks=True).from_string(_TEMPLATE)
    text = template.render(
        title=title,
        lead=lead,
        sections=sections,
        encoded=lambda png: base64.b64encode(png).decode(),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind in NUMBERED:
            for path in folder.glob(f"{kind}-*.png"):  # of a page before, which had more
                path.unlink()
        for section in sections:
            for picture in section.pictures:
                (folder / f"{picture.name}.png").write_bytes(picture.png)
        (folder / PAGE).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}") from error
    return folder / PAGE
