"""JSON Schemas of events, requests and answers, generated from the types.

python -m stripwatch.wire.schema > docs/event.schema.json
python -m stripwatch.wire.schema request > docs/request.schema.json
python -m stripwatch.wire.schema answer > docs/answer.schema.json
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from stripwatch.wire.event import Event
from stripwatch.wire.requests import Answer, Request

_KINDS: dict[str, Any] = {"event": Event, "request": Request, "answer": Answer}


def schema(kind: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of an event's payload, of a request, or of an answer's first part.

    Args:
        kind: "event", "request" or "answer".
    """
    (of_kind,), components = msgspec.json.schema_components(
        [_KINDS[kind]], ref_template="#/$defs/{name}"
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"stripwatch {kind}, version 1",
        **of_kind,
        "$defs": components,
    }


def schema_text(kind: str) -> str:
    """The schema as it is kept in docs/<kind>.schema.json."""
    return msgspec.json.format(msgspec.json.encode(schema(kind)), indent=2).decode() + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text(*sys.argv[1:] or ["event"]))
