"""Every event that the code logs is on the page that says what to do, and no other is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "log-events.md"
SOURCES = sorted((ROOT / "daemon" / "stripwatch").rglob("*.py"))
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
LOGGERS = {"log", "_log", "logger", "_logger"}
# Keys of a log line that could hold what must not be in a log.
SECRET = re.compile(r"pixel|frame_bytes|payload|mask|rle|password|secret|token|private|credential")


def log_calls(tree: ast.Module) -> Iterator[ast.Call]:
    """Calls of a logger's method, or of `log` where that is one of them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and is_log(node.func):
            yield node


def is_log(function: ast.expr) -> bool:
    if isinstance(function, ast.Name):  # log = self._log.warning if late else self._log.info
        return function.id == "log"
    return (
        isinstance(function, ast.Attribute)
        and function.attr in LEVELS
        and last_name(function.value) in LOGGERS | {"get_logger"}
    )


def last_name(value: ast.expr) -> str:
    match value:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=function):
            return last_name(function)
    return ""


def events_of(call: ast.Call, tree: ast.Module) -> set[str]:
    """The names of events in the first argument, also of a table that it looks into."""
    assert call.args, f"line {call.lineno}: a log call without an event"
    tables = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Dict)
    }
    parts: list[ast.expr] = []
    for node in ast.walk(call.args[0]):
        if isinstance(node, ast.Name) and node.id in tables:
            parts += tables[node.id].values
        elif isinstance(node, ast.Constant):
            parts.append(node)
    found = {node.value for node in parts if isinstance(node, ast.Constant)}
    return {value for value in found if isinstance(value, str)}


def logged() -> dict[str, str]:
    """Places in the code by event."""
    places: dict[str, str] = {}
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        for call in log_calls(tree):
            events = events_of(call, tree)
            place = f"{path.relative_to(ROOT)}:{call.lineno}"
            assert events, f"{place}: give the event as a text, so that it can be looked up"
            places |= dict.fromkeys(events, place)
    return places


def listed() -> list[str]:
    """The events of the page's tables, the levels aside."""
    rows = re.findall(r"^\| (`.+?`) \| .+ \| .+ \|$", PAGE.read_text(), re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    return [name for name in names if name not in LEVELS]


def test_every_event_in_the_code_is_on_the_page() -> None:
    places = logged()
    assert len(places) > 30
    missing = {event: place for event, place in places.items() if event not in listed()}
    assert not missing, "add them to docs/log-events.md, with what to do"


def test_every_event_on_the_page_is_in_the_code() -> None:
    assert set(listed()) - logged().keys() == set()
    assert len(listed()) == len(set(listed()))


def test_no_log_line_has_a_key_for_pixels_or_secrets() -> None:
    for path in SOURCES:
        for call in log_calls(ast.parse(path.read_text())):
            keys = [keyword.arg for keyword in call.keywords if keyword.arg]
            assert not [key for key in keys if SECRET.search(key)], f"{path}:{call.lineno}"


@pytest.mark.parametrize(
    ("code", "events"),
    [
        ('self._log.info("one", a=1)', {"one"}),
        ('log("one" if x else "two")', {"one", "two"}),
        ('structlog.get_logger().warning("one")', {"one"}),
        ('_T = {1: "one", 2: "two"}\nlog.error(_T.get(x, "three"))', {"one", "two", "three"}),
        ("log.error(text)", set()),
        ('self.console.error("one")\nmath.log(2)', None),
    ],
)
def test_the_test_finds_events_in_code(code: str, events: set[str] | None) -> None:
    tree = ast.parse(code)
    calls = list(log_calls(tree))
    assert [events_of(call, tree) for call in calls] == ([] if events is None else [events])
