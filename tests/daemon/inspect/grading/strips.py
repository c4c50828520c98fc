"""Strips made of events: one camera on each side, 1 m wide, frames of 1 m."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

import msgspec

from stripwatch.config.sections import Camera, Config, EngineSection, Geometry, Input, Publish
from stripwatch.inspect.grading.build import RecordBuilder
from stripwatch.inspect.grading.record import StripRecord
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import Box, Defect, Gap, NumberedEvent, Position, StripEnd, StripStart
from stripwatch.wire.names import StripSide

CONFIG = Config(
    line=Geometry(frame_lines=1000, frame_pixels=1000, mm_per_line=1.0, mm_per_pixel=1.0),
    cameras=(Camera(name="top"), Camera(name="bottom", side="bottom", mirrored=True)),
    inputs=(Input(endpoint="tcp://127.0.0.1:5550"),),
    engine=EngineSection(folder="engine"),
    publish=Publish(endpoint="tcp://127.0.0.1:5551"),
)
STRIP = "C-4711"


@dataclass
class MadeStrip:
    """Events of a strip of so many metres, seen by both cameras unless told otherwise."""

    length_m: float = 100.0
    cameras: tuple[StripSide, ...] = ("top", "bottom")
    config: Config = CONFIG
    has_ended: bool = True
    events: list[NumberedEvent] = field(default_factory=list)
    _seq: count[int] = field(default_factory=lambda: count(2))

    def defect(
        self,
        at_mm: float | None,
        *,
        across_mm: float = 400.0,
        size_mm: tuple[float, float] = (10.0, 10.0),
        side: StripSide = "top",
        edges_mm: tuple[float | None, float | None] = (0.0, 1000.0),
        **changes: object,
    ) -> Defect:
        """Add a defect whose box begins at a place and is full."""
        width_mm, length_mm = size_mm
        along = None if at_mm is None else (at_mm, at_mm + length_mm)
        across = (across_mm, across_mm + width_mm)
        seq = next(self._seq)
        event = Defect(
            stream="s",
            seq=seq,
            camera=side,
            strip=STRIP,
            session="x",
            frame_seq=0,
            t_ns=1,
            class_id=1,
            class_name="pits",
            score=0.9,
            peak=0.95,
            area_px=1,
            bbox_px=(0, 0, 1, 1),
            centroid_px=(0.0, 0.0),
            position=Position(along and sum(along) / 2, sum(across) / 2),
            size_mm=size_mm,
            area_mm2=width_mm * length_mm,
            frame_shape=(1000, 1000),
            rle="1 1",
            rle_coco="",
            part_of=f"{side}-{seq}",
            model="m1",
            side=side,
            box_mm=Box(along, across),
            edge_distance_mm=(
                None if edges_mm[0] is None else across[0] - edges_mm[0],
                None if edges_mm[1] is None else edges_mm[1] - across[1],
            ),
        )
        event = msgspec.structs.replace(event, **changes)
        self.events.append(event)
        return event

    def gap(
        self, first_m: float | None, length_m: float, camera: str = "top", cause: Cause = Cause.LOST
    ) -> Gap:
        """Add frames that were not inspected; None: at an unknown place."""
        along = None if first_m is None else (1000 * first_m, 1000 * (first_m + length_m))
        event = Gap(
            stream="s",
            seq=next(self._seq),
            camera=camera,
            strip=STRIP,
            session="x",
            first_frame_seq=0,
            last_frame_seq=round(length_m) - 1,
            count=round(length_m),
            cause=cause,
            downweb_mm=along,
        )
        self.events.append(event)
        return event

    def all_events(self) -> list[NumberedEvent]:
        """The events with those of begin and end."""
        starts: list[NumberedEvent] = [
            StripStart(
                stream="s", seq=1, camera=camera, strip=STRIP, session="x", frame_seq=0, t_ns=1
            )
            for camera in self.cameras
        ]
        ends = [self._end(camera) for camera in self.cameras] if self.has_ended else []
        return [*starts, *self.events, *ends]

    def _end(self, camera: str) -> StripEnd:
        missed: dict[Cause, float] = {}
        defects: dict[str, int] = {}
        for event in self.events:
            if isinstance(event, Gap) and event.camera == camera:
                missed[event.cause] = missed.get(event.cause, 0.0) + event.count
            if isinstance(event, Defect) and event.camera == camera:
                defects[event.class_name] = defects.get(event.class_name, 0) + 1
        return StripEnd(
            stream="s",
            seq=1_000_000,
            camera=camera,
            strip=STRIP,
            session="x",
            frame_seq=1,
            t_ns=2,
            frames_inspected=1,
            frames_missed={},
            metres_inspected=self.length_m - sum(missed.values()),
            metres_missed=missed,
            defects=defects,
        )

    def record(self) -> StripRecord:
        """The record of these events."""
        builder = RecordBuilder(STRIP, self.config)
        for event in self.all_events():
            builder.add(event)
        return builder.record()
