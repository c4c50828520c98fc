"""Features behind GenApi, the library under both `genicam` and `pypylon`.

The two give the same nodes in two spellings, `node.value` and `node.Value`, under two sets of
class names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from stripwatch.camera.base import Feature
from stripwatch.config.cameras import FeatureValue
from stripwatch.errors import CameraError, ConfigError

WRITABLE = (2, 4)  # EAccessMode: WO, RW
READABLE = (3, 4)  # RO, RW
AVAILABLE = (2, 3, 4)
_SOURCE_PLACE = re.compile(r" : \w+ thrown .*", re.DOTALL)
DEPTH_MAX = 8  # of categories in categories
_KINDS = {
    "IInteger": "integer",
    "IntegerParameter": "integer",
    "IFloat": "float",
    "FloatParameter": "float",
    "IEnumeration": "enumeration",
    "EnumParameter": "enumeration",
    "IBoolean": "boolean",
    "BooleanParameter": "boolean",
    "ICommand": "command",
    "CommandParameter": "command",
    "IString": "string",
    "StringParameter": "string",
    "ICategory": "category",
    "CategoryParameter": "category",
}
_TYPES = {  # what a value must be
    "integer": (int,),
    "float": (int, float),
    "enumeration": (str,),
    "boolean": (bool,),
    "command": (bool,),
    "string": (str,),
}

Node = Any  # of either library; neither has types


@dataclass(frozen=True, slots=True)
class NodeMap:
    """The nodes of one module, in one spelling."""

    find: Callable[[str], Node | None]
    spell: Callable[[str], str]  # "value" as the library writes it
    access: Callable[[Node], int]
    name: Callable[[Node], str]
    faults: tuple[type[Exception], ...]  # that the library raises, and AttributeError

    def get(self, node: Node, word: str) -> Any:  # noqa: ANN401 - of a library without types
        """An attribute of a node; None where it cannot be told now."""
        try:
            return getattr(node, self.spell(word))
        except self.faults:
            return None


def kind_of(node: Node) -> str:
    """What a node is; "" for what has no value to configure."""
    return _KINDS.get(type(node).__name__, "")


def feature_of(nodes: NodeMap, name: str, group: str = "") -> Feature | None:
    """A feature with its range; None: there is none of this name now."""
    node = nodes.find(name)
    kind = kind_of(node)
    if node is None or kind in ("", "category") or nodes.access(node) not in AVAILABLE:
        return None
    access = nodes.access(node)
    choices: tuple[str, ...] = ()
    allowed = ""
    if kind == "enumeration":
        choices = tuple(nodes.get(node, "symbolics") or ())
        allowed = ", ".join(choices)
    elif kind in ("integer", "float"):
        least, most = nodes.get(node, "min"), nodes.get(node, "max")
        allowed = "" if least is None or most is None else f"{least:g} to {most:g}"
    return Feature(
        name=name,
        value=nodes.get(node, "value") if access in READABLE and kind != "command" else None,
        allowed=allowed,
        choices=choices,
        writable=access in WRITABLE,
        unit=str(nodes.get(node, "unit") or "") if kind in ("integer", "float") else "",
        group=group,
    )


def features_of(nodes: NodeMap) -> list[Feature]:
    """Every feature that the camera lists under its root."""
    found = {}
    for group, name in _names(nodes, nodes.find("Root"), "", 0):
        feature = feature_of(nodes, name, group)
        if feature is not None:
            found[name] = feature
    return list(found.values())


def read_node(nodes: NodeMap, name: str) -> FeatureValue:
    """The value of a feature now.

    Raises:
        CameraError: it cannot be read.
    """
    node = nodes.find(name)
    if node is None:
        raise CameraError(f"the camera has no feature {name}")
    try:
        value: FeatureValue = getattr(node, nodes.spell("value"))
    except nodes.faults as fault:
        raise CameraError(f"{name} cannot be read from the camera: {words(fault)}") from None
    return value


def write_node(nodes: NodeMap, name: str, value: FeatureValue) -> None:
    """Set a feature, or run a command (value true).

    Raises:
        ConfigError: there is no such feature, or it refuses the value; says what is allowed.
    """
    feature = feature_of(nodes, name)
    node = nodes.find(name)
    if feature is None or node is None:
        raise ConfigError(
            f"the camera has no feature {name}, or not in its present state; "
            "stripwatch camera show lists what it has"
        )
    kind = kind_of(node)
    types = _TYPES[kind]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise _refused(feature, value, f"it takes {kind} values")
    try:
        if kind != "command":
            setattr(node, nodes.spell("value"), value)
        elif value:
            getattr(node, nodes.spell("execute"))()
    except nodes.faults as fault:
        raise _refused(feature, value, words(fault)) from None


def words(fault: Exception) -> str:
    """What a library says, without the places in its own source."""
    return _SOURCE_PLACE.sub("", str(fault)).strip() or type(fault).__name__


def _refused(feature: Feature, value: FeatureValue, why: str) -> ConfigError:
    allowed = f"; allowed: {feature.allowed}" if feature.allowed else ""
    return ConfigError(f"the camera refuses {feature.name} = {value!r}: {why}{allowed}")


def _names(nodes: NodeMap, category: Node, group: str, depth: int) -> Iterator[tuple[str, str]]:
    if category is None or depth > DEPTH_MAX:
        return
    for child in nodes.get(category, "features") or ():
        name = nodes.name(child)
        if kind_of(child) == "category":
            yield from _names(nodes, child, name, depth + 1)
        else:
            yield group, name
