"""The events of defects: one piece in one frame, and a whole defect over frames and cameras."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.wire.names import (
    CLASSES_MAX,
    SIDE_MAX,
    CameraName,
    ClassName,
    Count,
    SessionId,
    Side,
    StripSide,
)
from stripwatch.wire.numbered import Millimetres, Numbered

JOINED_MAX = 256  # names that the pieces of one defect had before they met

Unit = Annotated[float, Meta(ge=0, le=1)]
Pixel = Annotated[int, Meta(ge=0, lt=SIDE_MAX)]
ClassId = Annotated[int, Meta(ge=1, le=CLASSES_MAX)]
Edges = tuple[Millimetres | None, Millimetres | None]
Size = Annotated[
    tuple[Millimetres, Millimetres], Meta(description="crossweb width, downweb height")
]
Cut = Literal["gap", "turn", "restart", "limit"]


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


class Defect(Numbered, frozen=True, kw_only=True, tag_field="type", tag="defect"):
    """One connected defect in one frame. Topic `defect.<camera>.<class_name>`."""

    session: SessionId
    frame_seq: Count
    t_ns: Annotated[int, Meta(description="time of capture of the frame, Unix nanoseconds")]
    class_id: ClassId
    class_name: ClassName
    score: Annotated[Unit, Meta(description="mean probability over the mask")]
    peak: Annotated[Unit, Meta(description="largest probability over the mask")]
    area_px: Annotated[int, Meta(ge=1)]
    bbox_px: Annotated[tuple[Pixel, Pixel, Side, Side], Meta(description="x, y, width, height")]
    centroid_px: Annotated[tuple[float, float], Meta(description="x, y")]
    position: Position
    size_mm: Size
    area_mm2: float
    frame_shape: Annotated[tuple[Side, Side], Meta(description="lines, pixels of the mask")]
    rle: Annotated[
        str, Meta(description="Severstal EncodedPixels: column-major, 1-based 'start length ...'")
    ]
    rle_coco: Annotated[str, Meta(description="COCO compressed counts")]
    part_of: Annotated[
        str, Meta(description="name of the defect of which this is a piece, as far as known now")
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
    is_whole: Annotated[
        bool, Meta(description="true: no other piece, and no `defect_closed` follows")
    ] = False


class FrameRange(msgspec.Struct, frozen=True):
    """The first and the last of some frames of one session of a camera."""

    session: SessionId
    first_frame_seq: Count
    last_frame_seq: Count


class DefectClosed(Numbered, frozen=True, kw_only=True, tag_field="type", tag="defect_closed"):
    """A defect to which nothing can be added. Topic `defect_closed.<camera>.<class_name>`.

    `camera` is that of its oldest piece.
    """

    side: StripSide
    t_ns: Annotated[int, Meta(description="time of capture of its latest frame, Unix nanoseconds")]
    part_of: Annotated[str, Meta(description="name of the defect: that of its oldest piece")]
    joined: Annotated[
        tuple[str, ...],
        Meta(max_length=JOINED_MAX, description="other names that its pieces were published with"),
    ]
    pieces: Annotated[int, Meta(ge=1, description="events `defect` of which it consists")]
    frames: Annotated[
        dict[CameraName, FrameRange], Meta(description="in which its pieces are, by camera")
    ]
    class_id: ClassId
    class_name: ClassName
    score: Annotated[Unit, Meta(description="mean of its pieces, by area")]
    peak: Annotated[Unit, Meta(description="largest of its pieces")]
    area_px: Annotated[int, Meta(ge=1, description="pixels; what two cameras see is counted once")]
    area_mm2: float
    position: Annotated[Position, Meta(description="mean of its pieces, by area")]
    box_mm: Box
    size_mm: Size
    edge_distance_mm: Annotated[Edges, Meta(description="smallest of its pieces")]
    cut_by: Annotated[
        tuple[Cut, ...],
        Meta(
            description="why it may be larger than what is told here: frames that were not "
            "inspected, a strip that turned, a start of the daemon, a limit; empty: it is whole"
        ),
    ]
