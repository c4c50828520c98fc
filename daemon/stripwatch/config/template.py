"""The shipped configuration with other values in it: every key and every comment stays."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import tomli_w

_HEAD = re.compile(r"\[+([\w.]+)\]+")
_KEY = re.compile(r"(\w+) = ")

Values = Mapping[str, object]  # by key


def filled(text: str, sections: Mapping[str, Values], cameras: Sequence[Values]) -> str:
    """The text of a configuration with values replaced, by section and key; all must stand there.

    Each camera has a copy of the first section of a camera, in place of all those of the text. With
    no cameras they stay.
    """
    missing = {(name, key) for name, values in sections.items() for key in values}
    parts: list[str] = []
    cameras_left = list(cameras)
    for name, lines in _sections(text):
        if name == "cameras" and cameras:
            for number, camera in enumerate(cameras_left):
                kept = [line for line in lines if not (number and line.startswith("#"))]
                parts += [_with_values(line, camera) for line in kept]
            cameras_left = []
            continue
        values = sections.get(name, {})
        parts += [_with_values(line, values) for line in lines]
        missing -= {(name, _key_of(line)) for line in lines}
    assert not missing, missing
    return "".join(parts)


def _sections(text: str) -> list[tuple[str, list[str]]]:
    """Name and lines of each section; the comment that stands right above its head is in it."""
    sections: list[tuple[str, list[str]]] = [("", [])]
    for line in text.splitlines(keepends=True):
        head = _HEAD.match(line)
        if head:
            before = sections[-1][1]
            above: list[str] = []
            while before and before[-1].startswith("#"):
                above.insert(0, before.pop())
            sections.append((head[1], above))
        sections[-1][1].append(line)
    return sections


def _key_of(line: str) -> str:
    match = _KEY.match(line)
    return match[1] if match else ""


def _with_values(line: str, values: Values) -> str:
    """The line with the value of its key, and its comment where it was."""
    key = _key_of(line)
    if key not in values:
        return line
    new = tomli_w.dumps({key: values[key]}).rstrip("\n")
    text, mark, comment = line.rstrip("\n").partition(" #")
    return f"{new.ljust(len(text))}{mark}{comment}\n"
