"""What a camera's side says about its light, and the event that the daemon makes of it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.wire.names import SIDE_MAX, Count, SessionId
from stripwatch.wire.numbered import Millimetres, Numbered

LIGHT_FAULTS_MAX = 8  # in one frame's header

LightKind = Literal["line", "segment", "dim", "bright"]
Share = Annotated[float, Meta(ge=0, le=255)]  # of the grey that is expected; 1 = as expected


class LightFault(msgspec.Struct, frozen=True):
    """A fault of the light that is there now, over the columns [from_px, to_px) of the frame."""

    kind: LightKind
    from_px: Annotated[int, Meta(ge=0, le=SIDE_MAX)]
    to_px: Annotated[int, Meta(ge=1, le=SIDE_MAX)]
    share: Share

    def __post_init__(self) -> None:
        """Refuse an empty range."""
        if self.from_px >= self.to_px:
            raise ValueError(f"from_px {self.from_px} is not below to_px {self.to_px}")


LightFaults = Annotated[tuple[LightFault, ...], Meta(max_length=LIGHT_FAULTS_MAX)]
MeanGrey = Annotated[float, Meta(ge=0, le=255)]


class Light(Numbered, frozen=True, kw_only=True, tag_field="type", tag="light"):
    """A fault of a camera's light has begun or ended. Topic `light.<camera>`."""

    session: SessionId
    frame_seq: Annotated[Count, Meta(description="of the first frame that tells it")]
    t_ns: Annotated[int, Meta(description="time of capture of that frame, Unix nanoseconds")]
    state: Literal["opened", "closed"]
    kind: Annotated[
        LightKind,
        Meta(
            description="line: a narrow dark column, dirt; segment: a dark part of the lamp; "
            "dim, bright: the whole line"
        ),
    ]
    crossweb_mm: Annotated[
        tuple[Millimetres, Millimetres], Meta(description="from the strip's left edge")
    ]
    share: Annotated[
        Share, Meta(description="of the expected grey, when it was opened; 0.8: a fifth darker")
    ]


class OpenLightFault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault of the light that is open, in a camera's status."""

    kind: LightKind
    crossweb_mm: tuple[Millimetres, Millimetres]
    share: Share
