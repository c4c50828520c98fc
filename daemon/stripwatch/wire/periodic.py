"""The event of defects that repeat at one distance."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from stripwatch.wire.names import Count, RollName, SessionId, StripSide
from stripwatch.wire.numbered import Millimetres, Numbered


class Periodic(Numbered, frozen=True, kw_only=True, tag_field="type", tag="periodic"):
    """Defects of one lane that repeat at one distance: a roll's marks. Topic `periodic.<side>`."""

    session: SessionId
    frame_seq: Annotated[Count, Meta(description="of the latest frame of `camera`")]
    t_ns: Annotated[int, Meta(description="time of capture of that frame, Unix nanoseconds")]
    mark: Annotated[str, Meta(description="equal in all events of one mark")]
    state: Annotated[
        Literal["opened", "updated", "closed"],
        Meta(description="updated: every 100 m, or where the period was corrected"),
    ]
    side: StripSide
    lane_mm: Annotated[Millimetres, Meta(description="middle of the lane, from the left edge")]
    period_mm: Annotated[Millimetres, Meta(description="mean distance of two teeth")]
    rolls: Annotated[
        tuple[RollName, ...], Meta(description="those of the configuration that match")
    ]
    first_mm: Annotated[Millimetres, Meta(description="of the teeth, from the strip's start")]
    last_mm: Millimetres
    teeth: Annotated[Count, Meta(description="defects found at the distance, once a turn")]
    missed_teeth: Annotated[
        Count, Meta(description="places between them that were inspected and have no defect")
    ]
    p_value: Annotated[
        float,
        Meta(ge=0, le=1, description="chance that random defects look so; of the first teeth"),
    ]
