"""The JSON Schema of events, generated from the types; `python -m stripwatch.wire.schema`."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from stripwatch.wire.event import Event


def event_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of an event's payload."""
    (schema,), components = msgspec.json.schema_components([Event], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "stripwatch event, version 1",
        **schema,
        "$defs": components,
    }


def event_schema_text() -> str:
    """The schema as it is kept in docs/event.schema.json."""
    return msgspec.json.format(msgspec.json.encode(event_schema()), indent=2).decode() + "\n"


if __name__ == "__main__":
    sys.stdout.write(event_schema_text())
