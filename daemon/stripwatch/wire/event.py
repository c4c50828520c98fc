"""Events, version 1: what the daemon publishes.

    [topic, payload]

The payload is one JSON object whose `type` names one of the structs of this file, of `defect.py`,
of `light.py`, `periodic.py`, `operator.py` or `daemon.py`. Journalled events (defect,
defect_closed, gap, light, periodic, strip_start, strip_end, review, threshold, daemon_start,
daemon_stop, daemon_reload) are numbered: `stream` names the journal and `seq` counts from 1 without
a hole. Telemetry (status, frame) is not numbered.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.wire.causes import Cause, WireError
from stripwatch.wire.clock import CameraClock
from stripwatch.wire.daemon import DaemonReload as DaemonReload
from stripwatch.wire.daemon import DaemonStart as DaemonStart
from stripwatch.wire.daemon import DaemonStop as DaemonStop
from stripwatch.wire.defect import Box as Box
from stripwatch.wire.defect import Defect as Defect
from stripwatch.wire.defect import DefectClosed as DefectClosed
from stripwatch.wire.defect import Edges as Edges
from stripwatch.wire.defect import FrameRange as FrameRange
from stripwatch.wire.defect import Position as Position
from stripwatch.wire.defect import Unit
from stripwatch.wire.light import Light as Light
from stripwatch.wire.light import OpenLightFault
from stripwatch.wire.names import CameraName, Count, SessionId, StripId
from stripwatch.wire.numbered import NO_SEQ as NO_SEQ
from stripwatch.wire.numbered import NO_STREAM as NO_STREAM
from stripwatch.wire.numbered import Millimetres as Millimetres
from stripwatch.wire.numbered import Numbered
from stripwatch.wire.numbered import Stream as Stream
from stripwatch.wire.operator import Review as Review
from stripwatch.wire.operator import Threshold as Threshold
from stripwatch.wire.periodic import Periodic as Periodic
from stripwatch.wire.state import Reason as Reason
from stripwatch.wire.state import State as State
from stripwatch.wire.verdict import Verdict

EVENT_BYTES_MAX = 16 * 1024 * 1024

Percentile = Literal["p50", "p99", "max"]


class Gap(Numbered, frozen=True, kw_only=True, tag_field="type", tag="gap"):
    """Frames that were not inspected. Topic `gap.<camera>`."""

    session: SessionId
    first_frame_seq: Count
    last_frame_seq: Count
    count: Annotated[int, Meta(ge=1)]
    cause: Cause
    downweb_mm: Annotated[
        tuple[Millimetres, Millimetres] | None,
        Meta(description="range from the strip's start; null where it cannot be known"),
    ]


class StripStart(Numbered, frozen=True, kw_only=True, tag_field="type", tag="strip_start"):
    """The first frame of a strip has arrived. Topic `strip.<camera>`."""

    session: SessionId
    frame_seq: Count
    t_ns: int


class StripEnd(Numbered, frozen=True, kw_only=True, tag_field="type", tag="strip_end"):
    """A strip's report. Topic `strip.<camera>`."""

    session: SessionId
    frame_seq: Count
    t_ns: int
    frames_inspected: Count
    frames_missed: Annotated[dict[Cause, Count], Meta(description="by cause")]
    metres_inspected: float
    metres_missed: Annotated[dict[Cause, float], Meta(description="by cause")]
    defects: Annotated[
        dict[str, Count], Meta(description="number of pieces, one in each frame, by class name")
    ]
    whole_defects: Annotated[
        dict[str, Count], Meta(description="number of whole defects by class name")
    ] = msgspec.field(default_factory=dict)
    verdict: Annotated[
        Verdict | msgspec.UnsetType, Meta(description="there where the configuration has rules")
    ] = msgspec.UNSET


class CameraStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Coverage of a camera's session: inspected + missed = last - first + 1."""

    session: SessionId
    first_frame_seq: Count
    last_frame_seq: Count
    inspected: Count
    missed: dict[Cause, Count]
    sessions: Annotated[Count, Meta(description="sessions seen since the daemon started")]
    late: Annotated[
        Count, Meta(description="messages since the start whose number was counted before")
    ] = 0
    stray: Annotated[
        Count, Meta(description="messages since the start whose number is far from the others")
    ] = 0
    second_sender: Annotated[
        SessionId | None, Meta(description="another session that sends under the same name now")
    ] = None
    light: Annotated[
        float | None, Meta(description="mean grey of the latest frame, where the camera tells it")
    ] = None
    light_faults: Annotated[
        tuple[OpenLightFault, ...], Meta(description="faults of the light that are open")
    ] = ()
    clock: Annotated[
        CameraClock | None, Meta(description="as the latest frame that had it tells")
    ] = None


class Status(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="status"):
    """Once a second: how the daemon is doing. Topic `status`. Not numbered."""

    stream: str
    t_ns: int
    state: State
    reasons: Annotated[
        tuple[Reason, ...], Meta(description="why the state is not OK, the gravest first")
    ] = ()
    uptime_s: float
    model: str
    frames_per_s: float
    frames_inspected: Count
    latency_ms: Annotated[
        dict[str, dict[Percentile, float]],
        Meta(description="of the frames since the last status, by stage"),
    ]
    drops: Annotated[dict[Cause, Count], Meta(description="frames and messages since the start")]
    cameras: dict[CameraName, CameraStatus]
    silent_cameras: Annotated[
        tuple[CameraName, ...], Meta(description="configured; no frame has come since the start")
    ] = ()
    subscribers: Annotated[Count, Meta(description="subscriptions to the event endpoint")]
    last_event_seq: Count
    images_dropped: Annotated[
        Count, Meta(description="images of defective frames since the start that had no room")
    ] = 0
    pictures_dropped: Annotated[
        Count, Meta(description="defects since the start whose pictures were not kept")
    ] = 0
    v: Literal[1] = 1


class FrameResult(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="frame"):
    """One frame's result, where enabled. Topic `frame.<camera>`. Not numbered."""

    camera: CameraName
    session: SessionId
    frame_seq: Count
    strip: StripId | None
    t_ns: int
    area_px: Annotated[tuple[int, ...], Meta(description="by class id, before minimum areas")]
    peak: tuple[Unit, ...]
    defects: Count
    v: Literal[1] = 1


StripEvent = Defect | DefectClosed | Gap | Light | Periodic | StripStart | StripEnd
DaemonEvent = DaemonStart | DaemonStop | DaemonReload
LineEvent = DaemonEvent | Threshold  # of no camera
NumberedEvent = StripEvent | Review | LineEvent
Event = NumberedEvent | Status | FrameResult

_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def with_number(event: NumberedEvent, stream: str, seq: int) -> NumberedEvent:
    """The same event at its place in a stream."""
    return msgspec.structs.replace(event, stream=stream, seq=seq)


def topic_of(event: Event) -> str:  # noqa: PLR0911 - one for each type
    """The topic under which an event is published."""
    match event:
        case Defect() | DefectClosed():
            return f"{event.__struct_config__.tag}.{event.camera}.{event.class_name}"
        case Gap():
            return f"gap.{event.camera}"
        case Light():
            return f"light.{event.camera}"
        case Periodic():
            return f"periodic.{event.side}"
        case StripStart() | StripEnd():
            return f"strip.{event.camera}"
        case Review():
            return f"review.{event.camera}"
        case Threshold():
            return "threshold"
        case FrameResult():
            return f"frame.{event.camera}"
        case DaemonStart() | DaemonStop() | DaemonReload():
            return "daemon"
        case Status():
            return "status"


def build_event(event: Event) -> list[bytes]:
    """The two parts of an event message."""
    return [topic_of(event).encode(), msgspec.json.encode(event)]


def parse_event(topic: bytes, payload: bytes) -> Event:
    """Parse and check an event message.

    Raises:
        WireError: it is not an event of version 1 under its own topic.
    """
    if len(payload) > EVENT_BYTES_MAX:
        raise WireError(Cause.BAD_EVENT, f"{len(payload)} bytes, at most {EVENT_BYTES_MAX}")
    try:
        event = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(Cause.BAD_EVENT, str(error)) from None
    if topic != topic_of(event).encode():
        raise WireError(Cause.BAD_EVENT, f"{event.__class__.__name__} under topic {topic!r}")
    return event
