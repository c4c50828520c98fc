"""Events from findings, misses and strips, without numbers. Pure functions and counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from stripwatch.config.sections import Geometry
from stripwatch.inspect.coverage import Miss, saturated
from stripwatch.inspect.findings import Finding
from stripwatch.inspect.strip.coordinates import CameraPlace, edge_distances
from stripwatch.inspect.strip.open_defects import WholeDefect
from stripwatch.inspect.strip.whole import Joined
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import NO_SEQ, NO_STREAM, Defect, Edges, Gap, StripEnd, StripStart
from stripwatch.wire.frame import FrameHeader
from stripwatch.wire.rle import Encoded

_Key = TypeVar("_Key", bound=str)


def defect_event(
    finding: Finding,
    mask: Encoded,
    header: FrameHeader,
    place: CameraPlace,
    edges: Edges,
    joined: Joined,
    model: str,
) -> Defect:
    """The event of one finding and its mask; `edges` of the strip are in mm across it."""
    geometry = place.geometry
    x, y = finding.centroid
    _, _, width, height = finding.box
    box = place.box(header, finding.box)
    return Defect(
        stream=NO_STREAM,
        seq=NO_SEQ,
        camera=header.camera,
        strip=header.strip,
        session=header.session,
        frame_seq=header.seq,
        t_ns=header.t_ns,
        class_id=finding.defect_class.id,
        class_name=finding.defect_class.name,
        score=round(finding.score, 4),
        peak=round(finding.peak, 4),
        area_px=finding.area,
        bbox_px=finding.box,
        centroid_px=(round(x, 2), round(y, 2)),
        position=place.position(header, finding.centroid),
        size_mm=(round(width * geometry.mm_per_pixel, 2), round(height * geometry.mm_per_line, 2)),
        area_mm2=round(finding.area * geometry.mm_per_pixel * geometry.mm_per_line, 2),
        frame_shape=finding.runs.shape,
        rle=mask.severstal,
        rle_coco=mask.coco,
        part_of=joined.part_of,
        model=model,
        mask_block_px=finding.mask_block_px,
        side=place.camera.side,
        box_mm=box,
        edge_distance_mm=edge_distances(box, edges),
        is_whole=joined.is_whole,
    )


def gap_event(miss: Miss, strip: str | None, geometry: Geometry) -> Gap:
    """The event of frames that were not inspected."""
    lines = miss.lines
    return Gap(
        stream=NO_STREAM,
        seq=NO_SEQ,
        camera=miss.camera,
        strip=strip,
        session=miss.session,
        first_frame_seq=miss.first_seq,
        last_frame_seq=miss.last_seq,
        count=miss.count,
        cause=miss.cause,
        downweb_mm=lines
        and (round(lines[0] * geometry.mm_per_line, 2), round(lines[1] * geometry.mm_per_line, 2)),
    )


@dataclass(slots=True)
class StripTally:
    """Counts of one strip as one camera has seen it so far; kept in the journal as JSON."""

    strip: str
    session: str
    frame_seq: int
    t_ns: int
    inspected: int = 0
    missed: dict[Cause, int] = field(default_factory=dict)
    lines_inspected: int = 0
    lines_missed: dict[Cause, int] = field(default_factory=dict)
    defects: dict[str, int] = field(default_factory=dict)  # pieces
    whole_defects: dict[str, int] = field(default_factory=dict)
    open_defects: list[WholeDefect] = field(default_factory=list)  # filled in for the journal

    def add_frame(self, header: FrameHeader, defects: Sequence[Defect]) -> None:
        """Count an inspected frame, and the lines that were lost within it."""
        self.session, self.frame_seq, self.t_ns = header.session, header.seq, header.t_ns
        self.inspected += 1
        self.lines_inspected += header.shape[0]
        if header.lines_lost:
            _add(self.lines_missed, Cause.LINES_LOST, header.lines_lost)
        for defect in defects:
            _add(self.defects, defect.class_name, 1)
            if defect.is_whole:
                self.add_whole(defect.class_name)

    def add_whole(self, class_name: str) -> None:
        """Count a whole defect."""
        _add(self.whole_defects, class_name, 1)

    def add_miss(self, miss: Miss, frame_lines: int) -> None:
        """Count missed frames; where their lines are unknown they count as full frames."""
        self.session, self.frame_seq = miss.session, miss.last_seq
        self.t_ns = miss.t_ns or self.t_ns
        _add(self.missed, miss.cause, miss.count)
        first, end = miss.lines or (0, miss.count * frame_lines)
        _add(self.lines_missed, miss.cause, end - first)

    def start(self, camera: str) -> StripStart:
        """The event that opens the strip."""
        return StripStart(
            stream=NO_STREAM,
            seq=NO_SEQ,
            camera=camera,
            strip=self.strip,
            session=self.session,
            frame_seq=self.frame_seq,
            t_ns=self.t_ns,
        )

    def end(self, camera: str, geometry: Geometry) -> StripEnd:
        """The event that closes the strip: its report."""
        metres_per_line = geometry.mm_per_line / 1000
        return StripEnd(
            stream=NO_STREAM,
            seq=NO_SEQ,
            camera=camera,
            strip=self.strip,
            session=self.session,
            frame_seq=self.frame_seq,
            t_ns=self.t_ns,
            frames_inspected=self.inspected,
            frames_missed=saturated(self.missed),
            metres_inspected=round(self.lines_inspected * metres_per_line, 4),
            metres_missed={
                cause: round(lines * metres_per_line, 4)
                for cause, lines in self.lines_missed.items()
            },
            defects=dict(self.defects),
            whole_defects=dict(self.whole_defects),
        )


def _add(counts: dict[_Key, int], key: _Key, count: int) -> None:
    counts[key] = counts.get(key, 0) + count
