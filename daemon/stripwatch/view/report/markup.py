"""Pieces of HTML. Everything that comes from events or files goes through `text` or `table`."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

GRADE_COLOURS = ("#1a7f37", "#9a6700", "#bc4c00", "#a40e26")  # best to worst


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: object) -> str:
    """Any value as text of a page, harmless whatever it contains."""
    return value if isinstance(value, Markup) else html.escape(str(value), quote=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; a column whose name begins with `#` has numbers, which stand right."""
    kinds = [' class="number"' if name.startswith("#") else "" for name in columns]
    head = "".join(
        f"<th{kind}>{text(name.removeprefix('#'))}</th>"
        for name, kind in zip(columns, kinds, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{text(cell)}</td>" for cell, kind in zip(row, kinds, strict=True))
        + "</tr>\n"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>\n"


def section(title: str, *parts: str) -> str:
    """A part of the page under a heading; the parts are HTML."""
    return f"<section><h2>{text(title)}</h2>\n{''.join(parts)}</section>\n"


def paragraph(*parts: object, kind: str = "") -> str:
    """A paragraph of texts."""
    attribute = f' class="{kind}"' if kind else ""
    return f"<p{attribute}>{''.join(map(text, parts))}</p>\n"


def grade_colour(grade: str, grades: Sequence[str]) -> str:
    """From green for the best grade to red for the worst."""
    steps = len(GRADE_COLOURS) - 1
    return GRADE_COLOURS[round(grades.index(grade) * steps / max(1, len(grades) - 1))]


def chip(grade: str, grades: Sequence[str]) -> Markup:
    """The name of a grade on its colour."""
    colour = grade_colour(grade, grades)
    return Markup(f'<span class="chip" style="background:{colour}">{text(grade)}</span>')
