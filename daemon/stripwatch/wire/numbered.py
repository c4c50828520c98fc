"""What all numbered events share."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.wire.names import CameraName, StripId

NO_STREAM, NO_SEQ = "", 0  # of an event that has not been through the outbox

Millimetres = float
Stream = Annotated[str, Meta(description="journal id; a new one starts again at seq 1")]
Seq = Annotated[int, Meta(ge=1, description="number of the event, contiguous in its stream")]


class Numbered(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of every numbered event of a strip."""

    stream: Stream
    seq: Seq
    camera: CameraName
    strip: Annotated[StripId | None, Meta(description="coil id, where the camera sends one")]
    v: Literal[1] = 1
