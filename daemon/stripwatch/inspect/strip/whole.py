"""Whole defects from their pieces: across the seams of frames, and cameras that overlap (ADR 24).

Each frame goes through `join`, which names its pieces, and `add`, which counts them as published.
What is then held by no seam and by no camera that is behind is closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from stripwatch.config.sections import Config
from stripwatch.inspect.coverage import Miss
from stripwatch.inspect.findings import Finding
from stripwatch.inspect.strip.fields import Zone, make_fields, reach_of
from stripwatch.inspect.strip.open_defects import OpenDefect, Piece, WholeDefect, join
from stripwatch.inspect.strip.overlaps import Waiting, effects, is_past, make_batch, touching
from stripwatch.inspect.strip.seams import CameraSeam, piece_lines
from stripwatch.wire.defect import Cut, Defect
from stripwatch.wire.frame import FrameHeader

PIECES_MAX = 10_000  # of one defect; what follows is another one


class Joined(msgspec.Struct, frozen=True):
    """What a piece belongs to, as far as known with its frame."""

    part_of: str
    is_whole: bool


class WholeDefects:
    """The open defects of all cameras."""

    def __init__(self, config: Config) -> None:
        self._reach = reach_of(config)
        self._fields = make_fields(config, self._reach[0])
        self._seams = {name: CameraSeam() for name in self._fields}
        self._waiting = {name: Waiting(self._reach[1]) for name in self._fields}
        self._open: dict[str, OpenDefect] = {}  # roots, by name
        self._past: dict[str, list[WholeDefect]] = {}  # of the daemon before this one, by camera
        self._closed: list[tuple[WholeDefect, str]] = []
        self._order = self._frame = 0
        # Of the frame between `join` and `add`.
        self._line = 0
        self._findings: Sequence[Finding] = ()
        self._alone_px: list[int] = []  # that the camera to count them has missed
        self._owners: list[OpenDefect | None] = []  # None: a piece that is a defect by itself

    def resume(self, camera: str, strip: str | None, defects: list[WholeDefect]) -> None:
        """Continue after the daemon before this one; its open defects end with the next frame."""
        self._past[camera] = defects
        self._seams[camera].resume(strip)

    def with_cameras(self, config: Config) -> WholeDefects:
        """The same strips under other cameras.

        Open defects end with the next frame; those that only a camera told of that has gone, now.
        """
        fresh = WholeDefects(config)
        for camera in self._seams.keys() - fresh._seams.keys():
            for defect in self.open_of(camera):
                defect.cut("restart")
                fresh._closed.append((defect, camera))
        for camera in fresh._seams.keys() & self._seams.keys():
            fresh.resume(camera, self._seams[camera].strip, self.open_of(camera))
        return fresh

    def open_of(self, camera: str) -> list[WholeDefect]:
        """The open defects that a camera tells of: with its oldest piece, while it is there."""
        past = self._past.get(camera, [])
        return past + [
            node.known
            for node in self._open.values()
            if node.known and self._teller(node.known) == camera
        ]

    def neighbours(self, camera: str) -> list[str]:
        """A camera and those with which it overlaps."""
        return [camera, *(zone.other for zone in self._fields[camera].zones)]

    def join(
        self, header: FrameHeader, strip: str | None, findings: Sequence[Finding]
    ) -> list[Joined]:
        """Follow a frame, and name its pieces; `add` must follow."""
        camera = header.camera
        self._frame += 1
        self._close_past(camera)
        seam = self._seams[camera]
        self._line, cut = seam.begin(header, strip)
        if cut:
            for owner in seam.held:
                owner.root.cut(cut)
        self._findings, self._owners = findings, [None] * len(findings)
        self._alone_px = [0] * len(findings)
        for number, finding in enumerate(findings):
            if finding.top or finding.bottom:
                self._join_seam(header, number, cut)
        for zone in self._fields[camera].zones:
            self._join_zone(header, zone)
        return [
            Joined(_name(header, number), is_whole=True)
            if owner is None
            else Joined(owner.root.name, is_whole=False)
            for number, owner in enumerate(self._owners)
        ]

    def add(self, header: FrameHeader, events: Sequence[Defect]) -> None:
        """Count the pieces of the frame as they were published."""
        camera, findings, owners = header.camera, self._findings, self._owners
        seam = self._seams[camera]
        for number, owner in enumerate(owners):
            if owner is not None:
                owner.root.add(self._piece(header, seam, number, events[number]))
                self._open[owner.root.name] = owner.root
        self._release(seam.keep(findings, owners))
        self._release_waiting(camera)
        for owner in owners:
            if owner is not None:
                self._close_if_done(owner.root)

    def miss(self, miss: Miss, strip: str | None) -> None:
        """Follow frames that were not inspected; they cut what they touch."""
        self._frame += 1
        self._close_past(miss.camera)
        seam, waiting = self._seams[miss.camera], self._waiting[miss.camera]
        released = seam.miss(miss, strip)
        for owner in released:
            owner.root.cut("gap")
        for owner, goes_on, alone_px in waiting.missed(seam, miss.lines):
            if goes_on:
                owner.root.cut("gap")
            if owner.root.known:
                owner.root.known.own_area_px += alone_px
        self._release(released)
        self._release_waiting(miss.camera)

    def end(self, camera: str) -> None:
        """A camera's strip is over: only cameras that are still on it can add to its pieces."""
        seam = self._seams[camera]
        self._release(seam.release())
        for other in self.neighbours(camera)[1:]:
            if self._seams[other].strip != seam.strip:
                self._release(self._waiting[other].take_strip(seam.strip))
        seam.begin_strip(None)
        self._release_waiting(camera)

    def take_closed(self) -> list[tuple[WholeDefect, str]]:
        """The defects that were closed since the last call, with the camera that tells of each."""
        closed, self._closed = self._closed, []
        return closed

    def _join_seam(self, header: FrameHeader, number: int, cut: Cut | None) -> None:
        """Join a piece with those above it, and open the defect of one that may go on below."""
        finding = self._findings[number]
        for above in self._seams[header.camera].above(finding):
            self._join(header, number, above)
        if cut and finding.top:
            self._owner(header, number).cut(cut)
        if finding.bottom:
            self._owner(header, number)

    def _join_zone(self, header: FrameHeader, zone: Zone) -> None:
        """Join the pieces in a zone with those of the other camera, or let them wait for it."""
        camera, other = header.camera, self._seams[zone.other]
        seam = self._seams[camera]
        if not seam.has_line:
            return
        place = self._line, self._frame
        batch = make_batch(self._findings, self._fields[camera], zone, seam, place)
        if batch is None:
            return
        for waiting in self._waiting[camera].near(batch):
            for mine, theirs in touching(batch, waiting, self._reach):
                self._join(header, batch.numbers[mine], waiting.owners[theirs])
        for lines in other.missed(seam.strip, seam.leg):
            effects_of = effects(batch, lines, self._reach[1])
            for number, (goes_on, alone_px) in zip(batch.numbers, effects_of, strict=True):
                self._alone_px[number] += alone_px
                if goes_on:
                    self._owner(header, number).cut("gap")
        if not is_past(other, batch, self._reach[1]):
            batch.owners.extend(self._owner(header, number) for number in batch.numbers)
            self._waiting[zone.other].add(batch)

    def _owner(self, header: FrameHeader, number: int) -> OpenDefect:
        """The open defect of a piece; a new one where it has none yet."""
        owner = self._owners[number]
        if owner is None:
            self._order += 1
            owner = OpenDefect(_name(header, number), self._order)
            self._owners[number] = owner
        return owner.root

    def _join(self, header: FrameHeader, number: int, other: OpenDefect) -> None:
        """Make one defect of a piece's and another; limits keep them apart."""
        mine, other = self._owners[number], other.root
        if mine is None and not other.is_closed:
            self._owners[number] = other
            return
        mine = self._owner(header, number)
        if mine is other:
            return
        joined = None if other.is_closed else join(mine, other)
        if joined is None:
            mine.cut("limit")
            other.cut("limit")
        else:
            self._open.pop((other if joined is mine else mine).name, None)

    def _piece(self, header: FrameHeader, seam: CameraSeam, number: int, event: Defect) -> Piece:
        finding = self._findings[number]
        _, y, _, height = finding.box
        centre = finding.centroid[1]
        field = self._fields[header.camera]
        return Piece(
            event=event,
            strip=seam.strip,
            lines=piece_lines(header, self._line, y, height),
            has_line=seam.has_line,
            centre_line=self._line + 0.5 + (-centre if header.line_reversed else centre),
            own_area_px=self._alone_px[number] + field.own_area_px(finding),
        )

    def _release(self, nodes: Iterable[OpenDefect]) -> None:
        """Let go of pieces to which nothing can be added in one place."""
        for node in nodes:
            root = node.root
            root.holds -= 1
            self._close_if_done(root)

    def _release_waiting(self, camera: str) -> None:
        """Let go of what waited for a camera, where it has passed, and of what is too old."""
        if not self._fields[camera].zones:
            return
        self._release(self._waiting[camera].take_passed(self._seams[camera]))
        for waiting in self._waiting.values():
            too_old = waiting.take_too_old(self._frame)
            for node in too_old:
                node.root.cut("limit")
            self._release(too_old)

    def _close_if_done(self, root: OpenDefect) -> None:
        known = root.known
        if root.is_closed or known is None:
            return
        if known.pieces >= PIECES_MAX:
            root.cut("limit")
        elif root.holds:
            return
        root.is_closed = True
        self._open.pop(root.name, None)
        self._closed.append((known, self._teller(known)))

    def _close_past(self, camera: str) -> None:
        for defect in self._past.pop(camera, ()):
            defect.cut("restart")
            self._closed.append((defect, camera))

    def _teller(self, defect: WholeDefect) -> str:
        """The camera whose strip counts a defect: that of its oldest piece, while it is there."""
        cameras = (defect.camera, *defect.frames, *self.neighbours(defect.camera))
        there = (name for name in cameras if self._seams[name].strip == defect.strip)
        return next(there, defect.camera)


def _name(header: FrameHeader, number: int) -> str:
    return f"{header.camera}-{header.session}-{header.seq}-{number}"
