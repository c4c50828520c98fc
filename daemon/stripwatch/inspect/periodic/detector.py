"""Defects to `periodic` events: one detector for each side of a strip.

Only defects with a place along the strip count: without `line` in the headers nothing is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from stripwatch.config.sections import Config
from stripwatch.inspect.periodic.pieces import PieceJoiner
from stripwatch.inspect.periodic.rolls import limits_of, matching_rolls
from stripwatch.inspect.periodic.side import Change, Side
from stripwatch.inspect.strip.coordinates import DIGITS
from stripwatch.wire.event import NO_SEQ, NO_STREAM, Defect, Periodic
from stripwatch.wire.frame import FrameHeader
from stripwatch.wire.names import StripSide


@dataclass(slots=True)
class _Strip:
    """One side of a strip, under all cameras that see it."""

    side: StripSide
    name: str | None
    found: Side
    direction: int = 1  # -1: the strip runs backwards, and places are counted down
    cameras: set[str] = field(default_factory=set)
    told: int = 0  # marks


@dataclass(slots=True)
class _Camera:
    """A camera, the strip that it sees now, and its pieces that wait at a seam."""

    side: StripSide
    across_mm: tuple[float, float]
    pieces: PieceJoiner
    header: FrameHeader | None = None  # of the latest frame
    strip: _Strip | None = None
    strip_name: str | None = None


class PeriodicDefects:
    """Owns what is known of the roll marks under every camera."""

    def __init__(self, config: Config) -> None:
        self._mm_per_line = config.line.mm_per_line
        self._cameras: dict[str, _Camera] = {}
        self._strips: list[_Strip] = []  # that a camera sees
        self.follow(config)

    def follow(self, config: Config) -> None:
        """Take other rolls and cameras; those that have gone, or have moved, have ended before.

        Rolls name marks from now on. Where they change the periods that are looked for, that holds
        for the strips that begin from now on.
        """
        self._rolls = config.rolls
        self._limits = limits_of(config)
        width_mm = config.line.frame_pixels * config.line.mm_per_pixel
        known, self._cameras = self._cameras, {}
        for camera in config.cameras:
            across_mm = (camera.crossweb_offset_mm, camera.crossweb_offset_mm + width_mm)
            same = known.get(camera.name)
            if same is None or (same.side, same.across_mm) != (camera.side, across_mm):
                same = _Camera(camera.side, across_mm, PieceJoiner(self._limits.period_mm[0]))
            self._cameras[camera.name] = same

    def frame_events(
        self, header: FrameHeader, strip: str | None, defects: Sequence[Defect]
    ) -> list[Periodic]:
        """What a frame and its defects tell of roll marks.

        A frame whose line is unknown, or in which lines were lost, is left out.
        """
        if header.line is None or header.lines_passed is None or header.lines_lost:
            return []
        camera = self._cameras[header.camera]
        events = [] if camera.strip_name == strip else self.end_strip(header.camera)
        camera.header, camera.strip_name = header, strip
        seen = camera.strip = camera.strip or self._join(header.camera, strip)
        direction = -1 if header.line_reversed else 1
        ends_mm = (direction * line * self._mm_per_line for line in header.lines_passed)
        first_mm, end_mm = sorted(ends_mm)
        if direction != seen.direction or seen.found.goes_back(header.camera, first_mm):
            events += self._events(camera, seen, seen.found.close())
            seen.found, seen.direction = Side(self._limits), direction
        seen.found.inspected(header.camera, camera.across_mm, (first_mm, end_mm))
        places = camera.pieces.join(defects, header.shape[0])
        for along_mm, across_mm in sorted((direction * along, across) for along, across in places):
            events += self._events(camera, seen, seen.found.defect(along_mm, across_mm))
        events += self._events(camera, seen, seen.found.advance())
        return events

    def end_strip(self, name: str) -> list[Periodic]:
        """A camera has seen the end of its strip; the last one closes what is open."""
        camera = self._cameras[name]
        strip, camera.strip = camera.strip, None
        camera.pieces.clear()
        if strip is None:
            return []
        strip.cameras.remove(name)
        if strip.cameras:
            return []
        self._strips.remove(strip)
        return list(self._events(camera, strip, strip.found.close()))

    def _join(self, name: str, strip: str | None) -> _Strip:
        """The strip that a camera sees from now on; another of its side may see it already."""
        side = self._cameras[name].side
        for seen in self._strips:
            if (seen.side, seen.name) == (side, strip):
                break
        else:
            seen = _Strip(side, strip, Side(self._limits))
            self._strips.append(seen)
        seen.cameras.add(name)
        return seen

    def _events(
        self, camera: _Camera, strip: _Strip, changes: Iterable[Change]
    ) -> Iterator[Periodic]:
        header = camera.header
        assert header is not None
        for state, mark in changes:
            if state == "opened":
                strip.told += 1
                mark.name = f"{header.camera}-{header.session}-{header.seq}-{strip.told}"
            places = sorted(strip.direction * place for place in (mark.first_mm, mark.last_mm))
            yield Periodic(
                stream=NO_STREAM,
                seq=NO_SEQ,
                camera=header.camera,
                strip=strip.name,
                session=header.session,
                frame_seq=header.seq,
                t_ns=header.t_ns,
                mark=mark.name,
                state=state,
                side=strip.side,
                lane_mm=round(mark.lane_mm, DIGITS),
                period_mm=round(mark.period_mm, DIGITS),
                rolls=matching_rolls(self._rolls, mark.period_mm),
                first_mm=round(places[0], DIGITS),
                last_mm=round(places[1], DIGITS),
                teeth=mark.teeth,
                missed_teeth=mark.missed,
                p_value=float(f"{mark.p_value:.3g}"),
            )
