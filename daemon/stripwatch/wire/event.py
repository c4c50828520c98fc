"""Events, version 1: what the daemon publishes.

    [topic, payload]

The payload is one JSON object whose `type` names one of the structs below. Journalled events
(defect, gap, strip_start, strip_end, daemon_start, daemon_stop) are numbered: `stream` names the
journal and `seq` counts from 1 without a hole. Telemetry (status, frame) is not numbered.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.wire.causes import Cause, WireError
from stripwatch.wire.names import (
    CLASSES_MAX,
    SIDE_MAX,
    CameraName,
    ClassName,
    Count,
    SessionId,
    Side,
    StripId,
    StripSide,
)

EVENT_BYTES_MAX = 16 * 1024 * 1024

Unit = Annotated[float, Meta(ge=0, le=1)]
Millimetres = float
Pixel = Annotated[int, Meta(ge=0, lt=SIDE_MAX)]
Percentile = Literal["p50", "p99", "max"]


Stream = Annotated[str, Meta(description="journal id; a new one starts again at seq 1")]
Seq = Annotated[int, Meta(ge=1, description="number of the event, contiguous in its stream")]


class _Numbered(msgspec.Struct, frozen=True, kw_only=True):
    stream: Stream
    seq: Seq
    camera: CameraName
    strip: Annotated[StripId | None, Meta(description="coil id, where the camera sends one")]
    v: Literal[1] = 1


NO_STREAM, NO_SEQ = "", 0  # of an event that has not been through the outbox


Edges = tuple[Millimetres | None, Millimetres | None]


class Position(msgspec.Struct, frozen=True):
    """Where a defect's centroid lies on the strip."""

    downweb_mm: Annotated[
        Millimetres | None, Meta(description="from the strip's start; null without `line`")
    ]
    crossweb_mm: Annotated[Millimetres, Meta(description="from the strip's left edge")]


class Box(msgspec.Struct, frozen=True):
    """A rectangle on the strip, from the outer borders of its pixels."""

    downweb_mm: Annotated[
        tuple[Millimetres, Millimetres] | None,
        Meta(description="first and last, from the strip's start; null without `line`"),
    ]
    crossweb_mm: Annotated[
        tuple[Millimetres, Millimetres], Meta(description="left and right, from the left edge")
    ]


class Defect(_Numbered, frozen=True, kw_only=True, tag_field="type", tag="defect"):
    """One connected defect in one frame. Topic `defect.<camera>.<class_name>`."""

    session: SessionId
    frame_seq: Count
    t_ns: Annotated[int, Meta(description="time of capture of the frame, Unix nanoseconds")]
    class_id: Annotated[int, Meta(ge=1, le=CLASSES_MAX)]
    class_name: ClassName
    score: Annotated[Unit, Meta(description="mean probability over the mask")]
    peak: Annotated[Unit, Meta(description="largest probability over the mask")]
    area_px: Annotated[int, Meta(ge=1)]
    bbox_px: Annotated[tuple[Pixel, Pixel, Side, Side], Meta(description="x, y, width, height")]
    centroid_px: Annotated[tuple[float, float], Meta(description="x, y")]
    position: Position
    size_mm: Annotated[
        tuple[Millimetres, Millimetres], Meta(description="crossweb width, downweb height")
    ]
    area_mm2: float
    frame_shape: Annotated[tuple[Side, Side], Meta(description="lines, pixels of the mask")]
    rle: Annotated[
        str, Meta(description="Severstal EncodedPixels: column-major, 1-based 'start length ...'")
    ]
    rle_coco: Annotated[str, Meta(description="COCO compressed counts")]
    part_of: Annotated[
        str, Meta(description="equal for pieces of one defect cut apart by frame seams")
    ]
    model: Annotated[str, Meta(description="hash of the engine")]
    mask_block_px: Annotated[
        int,
        Meta(ge=1, description="1: the mask is exact; else it covers the defect in such blocks"),
    ] = 1
    side: Annotated[StripSide, Meta(description="of the strip, that the camera sees")] = "top"
    box_mm: Annotated[Box | None, Meta(description="the box on the strip; null in old events")] = (
        None
    )
    edge_distance_mm: Annotated[
        Edges, Meta(description="from the box to the left and right edge; null where unknown")
    ] = (None, None)


class Gap(_Numbered, frozen=True, kw_only=True, tag_field="type", tag="gap"):
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


class StripStart(_Numbered, frozen=True, kw_only=True, tag_field="type", tag="strip_start"):
    """The first frame of a strip has arrived. Topic `strip.<camera>`."""

    session: SessionId
    frame_seq: Count
    t_ns: int


class StripEnd(_Numbered, frozen=True, kw_only=True, tag_field="type", tag="strip_end"):
    """A strip's report. Topic `strip.<camera>`."""

    session: SessionId
    frame_seq: Count
    t_ns: int
    frames_inspected: Count
    frames_missed: Annotated[dict[Cause, Count], Meta(description="by cause")]
    metres_inspected: float
    metres_missed: Annotated[dict[Cause, float], Meta(description="by cause")]
    defects: Annotated[dict[str, Count], Meta(description="number by class name")]


class DaemonStart(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="daemon_start"):
    """The daemon has started. Topic `daemon`."""

    stream: Stream
    seq: Seq
    t_ns: int
    version: Annotated[str, Meta(description="of stripwatch")]
    model: Annotated[str, Meta(description="hash of the engine")]
    config: Annotated[str, Meta(description="SHA-256 of the configuration in force")]
    v: Literal[1] = 1


class DaemonStop(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="daemon_stop"):
    """The daemon has stopped. Topic `daemon`."""

    stream: Stream
    seq: Seq
    t_ns: Annotated[int, Meta(description="of the stop; of the next start where it is unclean")]
    reason: Annotated[
        Literal["stopped", "failed", "unclean"],
        Meta(description="unclean: killed, or power was lost; written by the next start"),
    ]
    detail: Annotated[str, Meta(description="the error, where it failed; else empty")]
    v: Literal[1] = 1


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


class Status(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="status"):
    """Once a second: how the daemon is doing. Topic `status`. Not numbered."""

    stream: str
    t_ns: int
    state: Literal["starting", "running", "overload", "conflict", "degraded", "failed", "stopping"]
    reasons: Annotated[
        tuple[str, ...], Meta(description="why the state is what it is, where that can be told")
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


StripEvent = Defect | Gap | StripStart | StripEnd
NumberedEvent = StripEvent | DaemonStart | DaemonStop
Event = NumberedEvent | Status | FrameResult

_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def with_number(event: NumberedEvent, stream: str, seq: int) -> NumberedEvent:
    """The same event at its place in a stream."""
    return msgspec.structs.replace(event, stream=stream, seq=seq)


def topic_of(event: Event) -> str:
    """The topic under which an event is published."""
    match event:
        case Defect():
            return f"defect.{event.camera}.{event.class_name}"
        case Gap():
            return f"gap.{event.camera}"
        case StripStart() | StripEnd():
            return f"strip.{event.camera}"
        case FrameResult():
            return f"frame.{event.camera}"
        case DaemonStart() | DaemonStop():
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
