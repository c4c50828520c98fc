"""A strip's events to its record: pieces become whole defects, gaps and reports become coverage."""

from __future__ import annotations

from statistics import median

from stripwatch.config.sections import Config
from stripwatch.inspect.grading.pieces import flaw_of, join
from stripwatch.inspect.grading.record import (
    NOT_SEEN,
    Blind,
    CameraRecord,
    Flaw,
    Mark,
    StripRecord,
    find_periodic,
)
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import (
    Defect,
    DefectClosed,
    Gap,
    NumberedEvent,
    Periodic,
    StripEnd,
    StripStart,
)
from stripwatch.wire.names import StripSide

EDGES_MAX = 1000  # places at which the strip's edges are looked at, for its width
ROUNDING_MM = 1.0  # of lengths in events, summed up


class RecordBuilder:
    """Takes the events of one strip in the order of their numbers."""

    def __init__(self, strip: str, config: Config, kept_max: int | None = None) -> None:
        """Begin a strip.

        Args:
            strip: its name.
            config: the cameras, and the geometry of their frames.
            kept_max: at most so many defects, and so many gaps; the record counts what is left out.
        """
        width_mm = config.line.frame_pixels * config.line.mm_per_pixel
        self._strip = strip
        self._frame_mm = config.line.frame_lines * config.line.mm_per_line
        self._cameras = {
            one.name: CameraRecord(
                one.name, one.side, (one.crossweb_offset_mm, one.crossweb_offset_mm + width_mm)
            )
            for one in config.cameras
        }
        self._defects: dict[str, Flaw] = {}  # by `part_of`
        self._largest: dict[str, float] = {}  # area of the piece that a defect's event names
        self._blind: list[Blind] = []
        self._marks: dict[str, Mark] = {}
        self._edges: dict[StripSide, list[tuple[float, float]]] = {"top": [], "bottom": []}
        self._models: list[str] = []
        self._kept_max = kept_max
        self._left_out = 0
        self._lacking: dict[str, int] = {}  # pieces told by a report less those that came
        self._start_ns: int | None = None
        self._end_ns: int | None = None

    def add(self, event: NumberedEvent) -> None:
        """Count one event."""
        match event:
            case Defect():
                self._add_piece(event)
            case DefectClosed():
                self._add_whole(event)
            case Gap():
                self._add_gap(event)
            case StripStart():
                self._add_start(event)
            case StripEnd():
                self._add_end(event)
            case Periodic():
                self._add_mark(event)
            case _:
                pass

    def has_ended(self, camera: str) -> bool:
        """Whether the strip has passed a camera."""
        known = self._cameras.get(camera)
        return known is not None and known.has_ended

    def record(self) -> StripRecord:
        """The strip as far as its events tell."""
        defects = list(self._defects.values())
        marks = list(self._marks.values())
        find_periodic(defects, marks)
        length_mm = self._length_mm(defects)
        seen = [camera for camera in self._cameras.values() if camera.has_begun]
        return StripRecord(
            strip=self._strip,
            length_mm=length_mm,
            cameras=self._cameras,
            defects=defects,
            blind=self._blind + self._not_seen(length_mm),
            marks=marks,
            edges_mm={
                side: (median(left for left, _ in known), median(right for _, right in known))
                for side, known in self._edges.items()
                if known
            },
            start_ns=self._start_ns,
            end_ns=self._end_ns,
            has_ended=bool(seen) and all(camera.has_ended for camera in seen),
            left_out=self._left_out,
            pieces_lacking=sum(max(0, count) for count in self._lacking.values()),
            models=self._models,
        )

    def _add_piece(self, event: Defect) -> None:
        flaw = flaw_of(event)
        self._lacking[event.camera] = self._lacking.get(event.camera, 0) - 1
        if event.model not in self._models:
            self._models.append(event.model)
        left, right = event.edge_distance_mm
        if left is not None and right is not None and len(self._edges[event.side]) < EDGES_MAX:
            self._edges[event.side].append((flaw.across_mm[0] - left, flaw.across_mm[1] + right))
        known = self._defects.get(event.part_of)
        if known is None and self._is_full(len(self._defects)):
            return
        if known is None:
            self._defects[event.part_of] = flaw
            self._largest[event.part_of] = flaw.area_mm2
            return
        if flaw.area_mm2 > self._largest[event.part_of]:
            self._largest[event.part_of] = flaw.area_mm2
            known.seq = flaw.seq
        join(known, flaw)

    def _add_whole(self, event: DefectClosed) -> None:
        """Put a whole defect in the place of its pieces."""
        pieces = [
            self._defects.pop(name)
            for name in (event.part_of, *event.joined)
            if name in self._defects
        ]
        if not pieces and self._is_full(len(self._defects)):
            return
        largest = max(pieces, key=lambda piece: self._largest[piece.name], default=None)
        self._defects[event.part_of] = Flaw(
            name=event.part_of,
            seq=largest.seq if largest else event.seq,
            camera=event.camera,
            side=event.side,
            class_id=event.class_id,
            class_name=event.class_name,
            score=event.score,
            peak=event.peak,
            area_mm2=event.area_mm2,
            along_mm=event.box_mm.downweb_mm,
            across_mm=event.box_mm.crossweb_mm,
            length_mm=event.size_mm[1],
            width_mm=event.size_mm[0],
            edge_distance_mm=event.edge_distance_mm,
            pieces=event.pieces,
        )
        self._largest[event.part_of] = event.area_mm2

    def _add_mark(self, event: Periodic) -> None:
        self._marks[event.mark] = Mark(
            name=event.mark,
            side=event.side,
            lane_mm=event.lane_mm,
            period_mm=event.period_mm,
            rolls=tuple(event.rolls),
            first_mm=event.first_mm,
            last_mm=event.last_mm,
            teeth=event.teeth,
            missed_teeth=event.missed_teeth,
            p_value=event.p_value,
        )

    def _add_gap(self, event: Gap) -> None:
        camera = self._cameras.get(event.camera)
        if camera is None or event.cause is Cause.SECOND_SENDER:  # not of this strip
            return
        if self._is_full(len(self._blind)):
            return
        along = event.downweb_mm
        length_mm = event.count * self._frame_mm if along is None else along[1] - along[0]
        self._blind.append(
            Blind(camera.name, camera.side, event.cause.value, along, length_mm, event.seq)
        )

    def _is_full(self, count: int) -> bool:
        """Whether there is no room for one more; it is counted then."""
        is_full = self._kept_max is not None and count >= self._kept_max
        self._left_out += is_full
        return is_full

    def _add_start(self, event: StripStart) -> None:
        if camera := self._cameras.get(event.camera):
            camera.has_begun, camera.has_ended = True, False
        if self._start_ns is None or event.t_ns < self._start_ns:
            self._start_ns = event.t_ns

    def _add_end(self, event: StripEnd) -> None:
        camera = self._cameras.get(event.camera)
        if camera is None:
            return
        camera.has_begun = camera.has_ended = True
        told = sum(event.defects.values())
        self._lacking[event.camera] = self._lacking.get(event.camera, 0) + told
        camera.frames_inspected = event.frames_inspected
        camera.frames_missed = {cause.value: n for cause, n in event.frames_missed.items()}
        camera.metres_inspected = event.metres_inspected
        camera.metres_missed = {cause.value: m for cause, m in event.metres_missed.items()}
        self._end_ns = max(self._end_ns or 0, event.t_ns)

    def _length_mm(self, defects: list[Flaw]) -> float:
        """Up to the last thing that has a place, and what the reports of the cameras sum up to."""
        spans = [one.along_mm for one in defects] + [one.along_mm for one in self._blind]
        placed = [span[1] for span in spans if span]
        summed = [
            1000 * (camera.metres_inspected + sum(camera.metres_missed.values()))
            for camera in self._cameras.values()
            if camera.metres_inspected is not None
        ]
        return max(placed + summed, default=0.0)

    def _not_seen(self, length_mm: float) -> list[Blind]:
        """Strip that the reports count as missed or that is in none, and no gap tells of."""
        missing: list[Blind] = []
        for camera in self._cameras.values():
            if not camera.has_begun and length_mm:
                whole = (0.0, length_mm)
                missing.append(Blind(camera.name, camera.side, NOT_SEEN, whole, length_mm))
            if camera.metres_inspected is None:
                continue
            told_mm = 1000 * camera.metres_inspected
            for cause, metres in camera.metres_missed.items():
                told_mm += 1000 * metres
                gaps_mm = sum(
                    blind.length_mm
                    for blind in self._blind
                    if (blind.camera, blind.cause) == (camera.name, cause)
                )
                if 1000 * metres - gaps_mm > ROUNDING_MM:  # such as lines lost within frames
                    rest_mm = 1000 * metres - gaps_mm
                    missing.append(Blind(camera.name, camera.side, cause, None, rest_mm))
            # Cameras stand apart along the line: the same strip may end a frame later.
            if length_mm - told_mm > self._frame_mm:
                missing.append(Blind(camera.name, camera.side, NOT_SEEN, None, length_mm - told_mm))
        return missing
