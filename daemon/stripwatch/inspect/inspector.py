"""Frames and misses to events: defects, gaps, and strips that begin and end.

Events come out in the order in which things happened, without numbers: the outbox numbers, stores
and sends them. No sockets, threads or clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from stripwatch.config.sections import Config
from stripwatch.engines.base import BatchResult, Frames
from stripwatch.inspect.coverage import Entry, Miss, Row
from stripwatch.inspect.defects import classes_of_frame
from stripwatch.inspect.events import StripTally, defect_event, gap_event
from stripwatch.inspect.findings import Segmentation
from stripwatch.inspect.light import LightFollower
from stripwatch.inspect.masked import MaskedFinder
from stripwatch.inspect.model import Model
from stripwatch.inspect.native.finder import Masked
from stripwatch.inspect.periodic.detector import PeriodicDefects
from stripwatch.inspect.strip.coordinates import CameraPlace
from stripwatch.inspect.strip.edges import StripEdges
from stripwatch.inspect.strip.whole import WholeDefects
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import Defect, Event, FrameResult
from stripwatch.wire.frame import FrameHeader

ROWS_AT_ONCE = 8  # of a slot; more would save little
AREA_AT_ONCE_PX = 200_000  # several frames of steel; a frame of noise, which takes long, is alone


@dataclass(frozen=True, slots=True)
class DefectiveFrame:
    """A frame in which defects were found, for subscribers to its image."""

    header: FrameHeader
    pixels: NDArray[np.uint8]  # [lines, pixels]; a view of the slot's memory


Output = Event | DefectiveFrame  # what leaves the daemon; journalled events have no number yet


class Inspector:
    """Owns the state of every camera's strip: open defects, edges, and the counts of its report."""

    def __init__(self, config: Config) -> None:
        self._geometry = config.line
        self._places = _places_of(config)
        self._edges = StripEdges(config.strip, self._places.values())
        self._defects_max = config.inspect.defects_max
        self._finder = MaskedFinder()
        self._frame_results = config.publish.frame_results
        self._whole = WholeDefects(config)
        self._strips: dict[str, StripTally] = {}
        self._periodic = PeriodicDefects(config)
        self.light = LightFollower(self._places.values())

    @property
    def is_native(self) -> bool:
        """Whether the native function finds the defects."""
        return self._finder.is_native

    def resume(self, camera: str, state: bytes) -> None:
        """Continue a strip that the daemon before this one has begun; see `open_strips`."""
        tally = msgspec.json.decode(state, type=StripTally)
        self._whole.resume(camera, tally.strip, tally.open_defects)
        tally.open_defects = []
        self._strips[camera] = tally

    def follow(self, config: Config) -> tuple[list[Event], dict[str, bytes | None]]:
        """Take other cameras and rolls from the next frame on.

        The strip under a camera that has gone, or has been moved, ends. Open defects of the others
        are cut where the cameras have changed, since they may overlap in another way.

        Returns:
            The ends of strips, and `open_strips` of all cameras.
        """
        old, new = self._places, _places_of(config)
        events: list[Event] = []
        for name, place in old.items():
            if new.get(name) != place:
                events += self._end_strip(name) if name in self._strips else self._leave(name)
        self._periodic.follow(config)
        if old != new:
            self._places = new
            self._edges.follow(new.values())
            self.light.follow(new.values())
            self._whole = self._whole.with_cameras(config)
            events += self._closed()
        return events, dict.fromkeys(old, None) | self.open_strips(new)

    def _leave(self, camera: str) -> list[Event]:
        """Close what is open under a camera that sees no named strip."""
        self._whole.end(camera)
        return [*self._closed(), *self._periodic.end_strip(camera)]

    def open_strips(self, cameras: Iterable[str]) -> dict[str, bytes | None]:
        """The tallies of the strips that cameras, and their neighbours, have begun, as JSON.

        With their open defects; None for a camera without strip.
        """
        names = {name for camera in cameras for name in self._whole.neighbours(camera)}
        states: dict[str, bytes | None] = {}
        for name in names:
            tally = self._strips.get(name)
            if tally:
                tally.open_defects = self._whole.open_of(name)
            states[name] = msgspec.json.encode(tally) if tally else None
        return states

    def miss_outputs(self, miss: Miss) -> list[Output]:
        """The events of frames that were not inspected."""
        if miss.cause is Cause.SECOND_SENDER:  # not of the strip that this camera sees
            return [gap_event(miss, miss.strip, self._geometry)]
        outputs: list[Output] = []
        outputs += self._follow_strip(
            miss.camera, miss.strip, miss.session, miss.first_seq, miss.t_ns
        )
        tally = self._strips.get(miss.camera)
        # Frames lost between two strips may belong to either; they count for the open one.
        strip = tally.strip if tally else miss.strip
        outputs.append(gap_event(miss, strip, self._geometry))
        self._whole.miss(miss, strip)
        outputs += self._closed()
        if tally:
            tally.add_miss(miss, self._geometry.frame_lines)
            if miss.end:
                outputs += self._end_strip(miss.camera)
        return outputs

    def slot_outputs(
        self,
        entries: Sequence[Entry],
        frames: Frames,
        result: BatchResult | None,
        model: Model | None,
    ) -> Iterator[list[Output]]:
        """The outputs of each entry of a slot, in order.

        Frames are looked at several at a time, which costs less than one after the other.

        Args:
            entries: inspected frames and misses.
            frames: uint8 [rows, lines, pixels] of the slot.
            result: of the slot; None where it has only misses.
            model: that the result is of.
        """
        rows = [entry for entry in entries if isinstance(entry, Row)]
        found: Iterator[list[Masked]] = iter(())
        if rows:
            assert result is not None
            assert model is not None
            found = self._find(rows, result, model)
        for entry in entries:
            if isinstance(entry, Miss):
                yield self.miss_outputs(entry)
            else:
                assert result is not None
                assert model is not None
                yield self._frame_outputs(entry, frames, result, model, next(found))

    def _find(
        self, rows: Sequence[Row], result: BatchResult, model: Model
    ) -> Iterator[list[Masked]]:
        """The findings of each frame, with their masks encoded."""
        areas = [float(result.area[row.row].sum()) for row in rows]
        for first, end in groups_of(areas):
            looked_at = [
                Segmentation(
                    result.mask[row.row, : row.header.shape[0]],
                    result.prob[row.row, :, : row.header.shape[0]],
                    result.area[row.row],
                    classes_of_frame(model.classes, model.raised_classes, result.absent[row.row]),
                )
                for row in rows[first:end]
            ]
            yield from self._finder.find(looked_at, self._defects_max)

    def _frame_outputs(
        self,
        row: Row,
        frames: Frames,
        result: BatchResult,
        model: Model,
        found: list[Masked],
    ) -> list[Output]:
        """The events of an inspected frame, its image if it is defective, its result if enabled."""
        header = row.header
        outputs: list[Output] = []
        outputs += self._follow_strip(
            header.camera, header.strip, header.session, header.seq, header.t_ns
        )
        tally = self._strips.get(header.camera)
        pixels = frames[row.row, : header.shape[0]]
        self._edges.look(header, pixels)
        defects = self._defects(header, found, tally.strip if tally else None, model)
        outputs += self.light.frame_events(header, tally.strip if tally else None)
        outputs += defects
        if tally:
            tally.add_frame(header, defects)
        outputs += self._closed()
        outputs += self._periodic.frame_events(header, tally.strip if tally else None, defects)
        if defects:
            outputs.append(DefectiveFrame(header, pixels))
        if self._frame_results:
            outputs.append(_frame_result(row, result, len(defects)))
        if tally and header.end:
            outputs += self._end_strip(header.camera)
        return outputs

    def _defects(
        self, header: FrameHeader, found: list[Masked], strip: str | None, model: Model
    ) -> list[Defect]:
        place = self._places[header.camera]
        edges = self._edges.of(place.camera.side)
        names = self._whole.join(header, strip, [finding for finding, _ in found])
        defects = [
            defect_event(finding, mask, header, place, edges, joined, model.name)
            for (finding, mask), joined in zip(found, names, strict=True)
        ]
        self._whole.add(header, defects)
        return defects

    def _closed(self) -> list[Event]:
        """The events of the defects that were closed by now, counted for their strips."""
        events: list[Event] = []
        for defect, camera in self._whole.take_closed():
            events.append(defect.event(self._geometry))
            tally = self._strips.get(camera)
            if tally and tally.strip == defect.strip:
                tally.add_whole(defect.class_name)
        return events

    def _follow_strip(
        self, camera: str, strip: str | None, session: str, seq: int, t_ns: int
    ) -> list[Event]:
        """Open and close strips as their names change; frames without a name change nothing."""
        tally = self._strips.get(camera)
        if strip is None or (tally and tally.strip == strip):
            return []
        ended = self._end_strip(camera) if tally else []
        self._strips[camera] = tally = StripTally(strip, session, seq, t_ns)
        return [*ended, tally.start(camera)]

    def _end_strip(self, camera: str) -> list[Event]:
        ended = self._leave(camera)
        return [*ended, self._strips.pop(camera).end(camera, self._geometry)]


def _places_of(config: Config) -> dict[str, CameraPlace]:
    """The places of all cameras; their sources, which only their own processes read, are none."""
    replace = msgspec.structs.replace
    return {
        camera.name: CameraPlace(replace(camera, source=None), config.line)
        for camera in config.cameras
    }


def groups_of(areas_px: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Which frames are looked at together: the first of each group, and one past its last.

    Args:
        areas_px: pixels of all classes in each frame; they bound the time and memory of a group.
    """
    first, total_px = 0, 0.0
    for number, area_px in enumerate(areas_px):
        total_px += area_px
        if number > first and (number - first == ROWS_AT_ONCE or total_px > AREA_AT_ONCE_PX):
            yield first, number
            first, total_px = number, area_px
    if areas_px:
        yield first, len(areas_px)


def _frame_result(row: Row, result: BatchResult, defects: int) -> FrameResult:
    header = row.header
    return FrameResult(
        camera=header.camera,
        session=header.session,
        frame_seq=header.seq,
        strip=header.strip,
        t_ns=header.t_ns,
        area_px=tuple(int(area) for area in result.area[row.row]),
        peak=tuple(round(float(peak), 4) for peak in result.peak[row.row]),
        defects=defects,
    )
