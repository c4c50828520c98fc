"""Say which operator a library lacks, where its own message buries it."""

from __future__ import annotations

import re

import onnx

LACKING = (
    r"No conversion rule found for operations: (?P<names>[^\n;]+)",  # OpenVINO
    r"(?P<names>[\w.:]+)\(-?\d+\) is not a registered function/op",  # ONNX Runtime
    r"Could not find an implementation for (?P<names>[\w.:]+)\(",  # ONNX Runtime
    r"No Op registered for (?P<names>[\w.:]+) with domain_version",  # ONNX Runtime
)
PLACES = r"(^|\s)\S+\.(cpp|hpp|cc|h):\d+:?"  # in the library's source code
REASON_CHARACTERS = 160


def lacking_operator(library: str, text: str, model: onnx.ModelProto) -> str:
    """Sentence that names the operators that a library lacks, and their nodes; "" = none.

    Args:
        library: name of the library.
        text: its error message.
        model: the graph that it was given.
    """
    for pattern in LACKING:
        found = re.search(pattern, text)
        if found:
            kinds = [_kind(name) for name in found["names"].split(",")]
            nodes = [
                node.name.rpartition("/net/")[2]
                for node in model.graph.node
                if node.op_type in {kind.rpartition(".")[2] for kind in kinds}
            ]
            where = f" (node {', '.join(nodes[:3])})" if nodes else ""
            return (
                f"{library} has no operator {' or '.join(kinds)}{where}; replace it in the model, "
                "or export the model with another opset"
            )
    return ""


def plain_reason(text: str) -> str:
    """The last line of an error message that says something, without places in source code."""
    lines = [re.sub(PLACES, "", line).strip(" ;:") for line in text.splitlines()]
    plain = [
        line
        for line in lines
        if line and not re.match(r"Exception|Check '|FrontEnd API failed|While validating", line)
    ]
    return (plain[0] if plain else "it gives no reason")[:REASON_CHARACTERS]


def failed_node(text: str) -> str:
    """The node that a message of OpenVINO is about; "" where it names none."""
    found = re.search(r"ONNX node '<Node\((\w+)\): ([^>]+)>|friendly_name '([^']+)'", text)
    if not found:
        return ""
    name = (found[2] or found[3]).rpartition("/net/")[2]
    return f"{found[1]} ({name})" if found[1] else name


def _kind(name: str) -> str:
    """An operator's name with its domain, where it is not a standard one: "mmdeploy.Foo"."""
    plain = re.sub(r"-\d+$", "", name.strip()).replace(":", ".")
    return re.sub(r"^(ai\.onnx)?\.", "", plain)
