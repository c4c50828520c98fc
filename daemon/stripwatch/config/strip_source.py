"""The key `strip` of a camera's source: what tells the coil id, and the end of a strip."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Address = Annotated[str, Meta(min_length=1, max_length=500)]
Seconds = Annotated[float, Meta(ge=0.05, le=3600)]

_FORMS = {  # what `address` is, and how it begins
    "file": ("the path of a file", ("",)),
    "http": ("http://HOST:PORT/PATH", ("http://", "https://")),
    "zmq": ("tcp://HOST:PORT or ipc://PATH", ("tcp://", "ipc://")),
    "opcua": ("opc.tcp://HOST:PORT", ("opc.tcp://",)),
    "barrier": ("the name of a feature that is true while there is strip", ("",)),
}


class StripSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the coil id comes from; without it frames carry none."""

    kind: Literal["file", "http", "zmq", "opcua", "barrier"]
    address: Address
    node: Address | None = None  # of kind opcua: such as "ns=2;s=Line1.CoilId"
    poll_s: Seconds = 0.5  # between two looks at a file, an HTTP address or an OPC UA node


def strip_source_mistakes(place: str, source: StripSource | None) -> list[str]:
    """Keys that do not fit together; `place` names the section."""
    if source is None:
        return []
    mistakes = []
    form, beginnings = _FORMS[source.kind]
    if not source.address.startswith(beginnings) or "\0" in source.address:
        mistakes.append(f"{place}.address = {source.address!r}: kind {source.kind!r} takes {form}")
    if (source.kind == "opcua") != (source.node is not None):
        mistakes.append(f'{place}: kind = "opcua" and node = "ns=2;s=NAME" go together')
    return mistakes
