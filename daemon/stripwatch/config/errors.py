"""Errors of config.toml, worded for the author of the file instead of the author of a parser."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from stripwatch.wire.names import CURVE_KEY_PATTERN, NAME_PATTERN, STRIP_PATTERN

# 0 would be a port that nobody knows; "*" a path of which the same is true.
_PORT = r"(6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3})"
_HOST = r"([^:/\s\x00\[\]]+|\[[0-9A-Fa-f:.]+(%[^\]\s\x00]+)?\])"
ENDPOINT_PATTERN = rf"^(tcp://{_HOST}:{_PORT}|ipc://(?!\*$)[^\s\x00]+)$(?!\n)"
PATH_PATTERN = r"^[^\x00]+$"
FILE_PATTERN = PATH_PATTERN + r"(?!\n)"
MQTT_ENDPOINT_PATTERN = rf"^mqtts?://{_HOST}:{_PORT}$(?!\n)"
ADDRESS_PATTERN = rf"^{_HOST}:{_PORT}$(?!\n)"
HEADER_PATTERN = r"^[A-Za-z0-9-]{1,64}$(?!\n)"
MQTT_TOPIC_PATTERN = r"^(?!\$)[^+#/\s\x00]+(/[^+#/\s\x00]+)*$(?!\n)"  # no wildcards
PATTERN_WORDS = {  # what each pattern allows, for readers of error messages
    ENDPOINT_PATTERN: "tcp://HOST:PORT with a port from 1 to 65535 "
    "(an IPv6 address in brackets: tcp://[::1]:5550), or ipc://PATH",
    NAME_PATTERN: "1 to 32 characters of a-z 0-9 _ -",
    PATH_PATTERN: "the path of a folder",
    STRIP_PATTERN: "1 to 64 printable ASCII characters",
    FILE_PATTERN: "the path of a file",
    CURVE_KEY_PATTERN: "a key of 40 characters, as stripwatch keys writes it",
    ADDRESS_PATTERN: "HOST:PORT with a port from 1 to 65535, such as 127.0.0.1:8350",
    HEADER_PATTERN: "the name of an HTTP header, such as X-Forwarded-User",
    MQTT_ENDPOINT_PATTERN: "mqtt://HOST:PORT, or mqtts://HOST:PORT for TLS",
    MQTT_TOPIC_PATTERN: "words with / between them, without + # $ and spaces",
}
MISTAKES_SHOWN_MAX = 20
KIND_WORDS = {  # msgspec names types, the author of the file thinks in TOML
    "`object`": "a section",
    "`array`": "a list",
    "`int`": "a whole number",
    "`float`": "a number",
    "`str`": "text in quotes",
    "`bool`": "true or false",
}


def explain_all(table: dict[str, Any], root: type) -> list[str]:
    """Every mistake in a configuration, in the order of the file, as `explain` words each.

    Args:
        table: as read from the file.
        root: the struct that the whole file is converted to.
    """
    return [explain(message, table, root) for message in _messages(table, root, "$")]


def in_one_text(path: Path, mistakes: Sequence[str]) -> str:
    """The mistakes of a file as the text of one error."""
    if len(mistakes) == 1:
        return f"{path}: {mistakes[0]}"
    shown = [f"  {mistake}" for mistake in mistakes[:MISTAKES_SHOWN_MAX]]
    if len(mistakes) > MISTAKES_SHOWN_MAX:
        shown.append(f"  and {len(mistakes) - MISTAKES_SHOWN_MAX} more")
    return "\n".join((f"{path}: {len(mistakes)} mistakes:", *shown))


def _messages(value: Any, kind: Any, place: str) -> Iterator[str]:  # noqa: ANN401 - as below
    """The messages that msgspec, which stops at the first, would give for each mistake."""
    bare = _bare(kind)
    if isinstance(bare, type) and issubclass(bare, msgspec.Struct) and isinstance(value, dict):
        fields = {field.name: field for field in msgspec.structs.fields(bare)}
        for key, entry in value.items():
            if key in fields:
                yield from _messages(entry, fields[key].type, f"{place}.{key}")
            else:
                yield f"Object contains unknown field `{key}` - at `{place}`"
        for name, field in fields.items():
            if field.required and name not in value:
                yield f"Object missing required field `{name}` - at `{place}`"
    elif get_origin(bare) is tuple and isinstance(value, list) and value:
        for index, entry in enumerate(value):
            yield from _messages(entry, get_args(bare)[0], f"{place}[{index}]")
    else:
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            what, _, inner = str(error).partition(" - at `$")
            yield f"{what} - at `{place}{inner.rstrip('`')}`"


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
    what = what.replace(" | null`", "`")  # TOML has no null
    for name, words in KIND_WORDS.items():
        what = what.replace(name, words)
    return what[0].lower() + what[1:]


def _type_at(root: type, steps: list[str]) -> Any:  # noqa: ANN401 - walks arbitrary annotations
    here: Any = root
    for step in steps:
        here = _bare(get_args(here)[0] if step.isdigit() else get_type_hints(here)[step])
    return here


def _bare(kind: Any) -> Any:  # noqa: ANN401 - an arbitrary annotation
    """A type without its limits, and without None."""
    while get_origin(kind) in (Annotated, Union, types.UnionType):
        kind = get_args(kind)[0]
    return kind
