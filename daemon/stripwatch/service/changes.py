"""Changes of a configuration and its model, key by key, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from stripwatch.config.sections import Config
from stripwatch.inspect.model import Model

ABSENT = object()  # a key or an entry of a list that one side does not have


class Change(msgspec.Struct, frozen=True):
    """One value that changes."""

    key: str  # "publish.queue_events"; of a class, its name in place of the section
    old: str
    new: str

    def __str__(self) -> str:
        """For a log: the key, the old value and the new one."""
        return f"{self.key} {self.old} -> {self.new}"


def changes_now(old: tuple[Config, Model], new: tuple[Config, Model]) -> tuple[Change, ...]:
    """What a reload changes: the engine, what holds for each class, cameras, rolls, rules.

    Thresholds and minimum areas are those in force, wherever they come from: the configuration or
    the engine's manifest.
    """
    return tuple(_differences(_in_force(*old), _in_force(*new), ""))


def changes_with_restart(running: Config, config: Config) -> tuple[Change, ...]:
    """What differs between two configurations, but for what only other processes read."""
    return tuple(_differences(_of_daemon(running), _of_daemon(config), ""))


def _of_daemon(config: Config) -> dict[str, Any]:
    """What the daemon itself reads, as built-in values."""
    tree: dict[str, Any] = msgspec.to_builtins(config)
    del tree["forward"], tree["page"]
    for camera in tree["cameras"]:
        del camera["source"]
    return tree


def _in_force(config: Config, model: Model) -> dict[str, Any]:
    classes = {
        entry.name: {"threshold": entry.threshold, "min_area_px": entry.min_area_px}
        for entry in model.classes
    }
    engine = {"engine.folder": config.engine.folder, "engine": model.name}
    return {
        **engine,
        **classes,
        "gate": msgspec.to_builtins(model.gate),
        "cameras": msgspec.to_builtins(config.cameras),
        "rolls": msgspec.to_builtins(config.rolls),
        "grading": msgspec.to_builtins(config.grading),
        "service.log_level": config.service.log_level,
    }


def _differences(old: Any, new: Any, place: str) -> Iterator[Change]:  # noqa: ANN401 - a tree
    """The leaves in which two trees of built-in values differ; lists are compared by name."""
    old, new = _by_name(old), _by_name(new)
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            inner = f"{place}.{key}" if place else str(key)
            yield from _differences(old.get(key, ABSENT), new.get(key, ABSENT), inner)
    elif old != new:
        yield Change(place, _text(old), _text(new))


def _by_name(value: Any) -> Any:  # noqa: ANN401 - as above
    """A list of sections as a mapping from their names, or else from their places."""
    if isinstance(value, list | tuple) and all(isinstance(entry, dict) for entry in value):
        return {entry.get("name", index): entry for index, entry in enumerate(value)}
    return value


def _text(value: Any) -> str:  # noqa: ANN401 - as above
    if value is ABSENT or value is None:
        return "none"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
