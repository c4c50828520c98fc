"""Errors of config.toml, worded for the author of the file instead of the author of a parser."""

from __future__ import annotations

import difflib
import re
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from stripwatch.wire.names import NAME_PATTERN

# 0 would be a port that nobody knows; "*" a path of which the same is true.
_PORT = r"(6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3})"
_HOST = r"([^:/\s\x00\[\]]+|\[[0-9A-Fa-f:.]+(%[^\]\s\x00]+)?\])"
ENDPOINT_PATTERN = rf"^(tcp://{_HOST}:{_PORT}|ipc://(?!\*$)[^\s\x00]+)$(?!\n)"
PATH_PATTERN = r"^[^\x00]+$"
PATTERN_WORDS = {  # what each pattern allows, for readers of error messages
    ENDPOINT_PATTERN: "tcp://HOST:PORT with a port from 1 to 65535 "
    "(an IPv6 address in brackets: tcp://[::1]:5550), or ipc://PATH",
    NAME_PATTERN: "1 to 32 characters of a-z 0-9 _ -",
    PATH_PATTERN: "the path of a folder",
}
KIND_WORDS = {  # msgspec names types, the author of the file thinks in TOML
    "`object`": "a section",
    "`array`": "a list",
    "`int`": "a whole number",
    "`float`": "a number",
    "`str`": "text in quotes",
    "`bool`": "true or false",
}


def explain(message: str, table: dict[str, Any], root: type) -> str:
    """The message of a msgspec error, reworded with key, value and what is allowed.

    Args:
        message: of the error.
        table: as read from the file.
        root: the struct that the whole file was converted to.
    """
    what, _, place = message.partition(" - at `$")
    place = place.rstrip("`").removeprefix(".")
    steps = re.findall(r"\w+", place)
    unknown = re.search(r"unknown field `(.*)`", what)
    missing = re.search(r"missing required field `(.*)`", what)
    section = f"[{place}]" if place else "the top level"
    if unknown:
        allowed = sorted(get_type_hints(_type_at(root, steps)))
        close = difflib.get_close_matches(unknown[1], allowed, 1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        return f"{section} has no key {unknown[1]}{hint}; allowed: {', '.join(allowed)}"
    if missing:
        return f"{section} lacks the key {missing[1]}"
    value: Any = table
    for step in steps:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return f"{place or 'the file'} = {value!r}: {_allowed(root, what, steps)}"


def _allowed(root: type, what: str, steps: list[str]) -> str:
    """The values that are allowed, in msgspec's words where they are plain enough."""
    for pattern, words in PATTERN_WORDS.items():
        if repr(pattern) in what:
            return f"expected {words}"
    kind = _type_at(root, steps)
    if get_origin(kind) is Literal:
        return f"expected one of {', '.join(map(repr, get_args(kind)))}"
    if get_origin(kind) is tuple and "got `object`" in what:
        return f"expected a list; begin each of its entries with [[{'.'.join(steps)}]]"
    for name, words in KIND_WORDS.items():
        what = what.replace(name, words)
    return what[0].lower() + what[1:]


def _type_at(root: type, steps: list[str]) -> Any:  # noqa: ANN401 - walks arbitrary annotations
    here: Any = root
    for step in steps:
        here = get_args(here)[0] if step.isdigit() else get_type_hints(here)[step]
        while get_origin(here) in (Annotated, Union, types.UnionType):
            here = get_args(here)[0]
    return here
