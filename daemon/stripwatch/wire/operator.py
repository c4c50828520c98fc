"""The events of what operators decide: judgements of defects, and changes of thresholds."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.wire.defect import Pixel, Unit
from stripwatch.wire.names import ClassName, Count, Side
from stripwatch.wire.numbered import Numbered, Seq, Stream

NOTE_CHARACTERS_MAX = 500
# Printable, in any script: it is written into logs and tables.
USER_PATTERN = "^[^\\x00-\\x1f\\x7f]{1,64}$(?!\\n)"

UserName = Annotated[str, Meta(pattern=USER_PATTERN, description="the operator")]
Note = Annotated[str, Meta(max_length=NOTE_CHARACTERS_MAX)]
Judgement = Literal["right", "wrong", "other"]
BoxPx = Annotated[
    tuple[Pixel, Pixel, Side, Side],
    Meta(description="x, y, width, height in the frame of the defect"),
]


class Review(Numbered, frozen=True, kw_only=True, tag_field="type", tag="review"):
    """An operator's judgement of a defect; the latest of a defect holds. Topic `review.<camera>`.

    `camera` and `strip` are those of the defect.
    """

    t_ns: Annotated[int, Meta(description="when it was given, Unix nanoseconds")]
    who: UserName
    defect_seq: Annotated[
        Count, Meta(description="number of the event `defect` or `defect_closed`")
    ]
    class_name: Annotated[ClassName, Meta(description="that the daemon told")]
    verdict: Annotated[
        Judgement, Meta(description="right; wrong: no defect; other: of another class")
    ]
    said: Annotated[
        ClassName | None, Meta(description="the class that it is, where it is another")
    ] = None
    box_px: Annotated[
        BoxPx | None, Meta(description="where it is, where the operator corrected that")
    ] = None
    note: Note = ""


class ThresholdChange(msgspec.Struct, frozen=True, kw_only=True):
    """One setting of one class."""

    class_name: ClassName
    key: Literal["threshold", "min_area_px"]
    old: float
    new: float


class Threshold(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="threshold"):
    """Thresholds or minimum areas were changed by a request. Topic `threshold`.

    They hold from the next batch on.
    """

    stream: Stream
    seq: Seq
    t_ns: Annotated[int, Meta(description="when it was asked for, Unix nanoseconds")]
    who: UserName
    changes: Annotated[tuple[ThresholdChange, ...], Meta(min_length=1)]
    note: Note = ""
    v: Literal[1] = 1


class ClassSetting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a class is to have; null: as it is."""

    name: ClassName
    threshold: Annotated[Unit | None, Meta(description="of the probability of a pixel")] = None
    min_area_px: Annotated[Count | None, Meta(description="smaller defects are left out")] = None


class ClassInForce(msgspec.Struct, frozen=True, kw_only=True):
    """A class, what holds for the next batch, and what the configuration would give."""

    id: int
    name: ClassName
    threshold: float
    min_area_px: int
    configured_threshold: float
    configured_min_area_px: int
