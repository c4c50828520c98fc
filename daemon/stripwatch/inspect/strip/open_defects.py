"""Whole defects while pieces may still be added to them: union-find with what is known of each."""

from __future__ import annotations

import msgspec

from stripwatch.config.sections import Geometry
from stripwatch.inspect.strip.coordinates import DIGITS
from stripwatch.wire.defect import (
    JOINED_MAX,
    Box,
    Cut,
    Defect,
    DefectClosed,
    Edges,
    FrameRange,
    Position,
)
from stripwatch.wire.names import StripSide
from stripwatch.wire.numbered import NO_SEQ, NO_STREAM, Millimetres

Lines = tuple[int, int]  # first, and one past the last


class Piece(msgspec.Struct, frozen=True):
    """A piece as it was published, and where it lies in lines along the strip."""

    event: Defect
    strip: str | None
    lines: Lines
    has_line: bool  # `lines` count from the strip's start; else from any place
    centre_line: float
    own_area_px: int  # of it that no other camera has to count


class WholeDefect(msgspec.Struct):
    """What is known of a defect so far; kept in the journal as JSON."""

    part_of: str
    camera: str
    strip: str | None
    side: StripSide
    class_id: int
    class_name: str
    lines: Lines
    has_line: bool
    crossweb_mm: tuple[Millimetres, Millimetres]
    edge_distance_mm: Edges
    t_ns: int = 0
    pieces: int = 0
    frames: dict[str, FrameRange] = msgspec.field(default_factory=dict)
    area_px: int = 0
    own_area_px: int = 0
    # Sums over pieces, each times its area.
    line_sum: float = 0.0
    crossweb_sum_mm: float = 0.0
    score_sum: float = 0.0
    peak: float = 0.0
    joined: list[str] = msgspec.field(default_factory=list)
    cut_by: list[Cut] = msgspec.field(default_factory=list)

    def add(self, piece: Piece) -> None:
        """Count a piece."""
        event, area_px = piece.event, piece.event.area_px
        self.line_sum += piece.centre_line * area_px
        self.crossweb_sum_mm += event.position.crossweb_mm * area_px
        self.score_sum += event.score * area_px
        self.pieces += 1
        self.area_px += area_px
        self.own_area_px += piece.own_area_px
        self._widen(piece.lines, _box(event).crossweb_mm, event.edge_distance_mm)
        seen = self.frames.get(event.camera)
        if seen is None or seen.last_frame_seq != event.frame_seq:
            self._see(event.camera, FrameRange(event.session, event.frame_seq, event.frame_seq))
        self.t_ns, self.peak = max(self.t_ns, event.t_ns), max(self.peak, event.peak)

    def absorb(self, other: WholeDefect) -> None:
        """Count all pieces of a younger defect that turns out to be a part of this one."""
        self.line_sum += other.line_sum
        self.crossweb_sum_mm += other.crossweb_sum_mm
        self.score_sum += other.score_sum
        self.pieces += other.pieces
        self.area_px += other.area_px
        self.own_area_px += other.own_area_px
        self._widen(other.lines, other.crossweb_mm, other.edge_distance_mm)
        for camera, seen in other.frames.items():
            self._see(camera, seen)
        self.t_ns, self.peak = max(self.t_ns, other.t_ns), max(self.peak, other.peak)
        self.joined += [other.part_of, *other.joined]
        for cause in other.cut_by:
            self.cut(cause)

    def cut(self, cause: Cut) -> None:
        """Note why the defect may be larger than what is known of it."""
        if cause not in self.cut_by:
            self.cut_by.append(cause)

    def event(self, geometry: Geometry) -> DefectClosed:
        """The event that tells the whole."""
        line_mm, pixel_mm = geometry.mm_per_line, geometry.mm_per_pixel
        first, end = self.lines
        left_mm, right_mm = self.crossweb_mm
        # Two cameras that overlap each count their own half of what both see.
        own_px = min(self.own_area_px or self.area_px, self.area_px)
        area_px = own_px if len(self.frames) > 1 else self.area_px
        centre_mm = round(self.line_sum / self.area_px * line_mm, DIGITS)
        return DefectClosed(
            stream=NO_STREAM,
            seq=NO_SEQ,
            camera=self.camera,
            strip=self.strip,
            side=self.side,
            t_ns=self.t_ns,
            part_of=self.part_of,
            joined=tuple(self.joined),
            pieces=self.pieces,
            frames=self.frames,
            class_id=self.class_id,
            class_name=self.class_name,
            score=round(self.score_sum / self.area_px, 4),
            peak=self.peak,
            area_px=area_px,
            area_mm2=round(area_px * line_mm * pixel_mm, DIGITS),
            position=Position(
                downweb_mm=centre_mm if self.has_line else None,
                crossweb_mm=round(self.crossweb_sum_mm / self.area_px, DIGITS),
            ),
            box_mm=Box(
                downweb_mm=(round(first * line_mm, DIGITS), round(end * line_mm, DIGITS))
                if self.has_line
                else None,
                crossweb_mm=self.crossweb_mm,
            ),
            size_mm=(
                round(right_mm - left_mm, DIGITS),
                round((end - first) * line_mm, DIGITS),
            ),
            edge_distance_mm=self.edge_distance_mm,
            cut_by=tuple(sorted(self.cut_by)),
        )

    def _widen(
        self, lines: Lines, crossweb_mm: tuple[Millimetres, Millimetres], edges: Edges
    ) -> None:
        self.lines = (min(self.lines[0], lines[0]), max(self.lines[1], lines[1]))
        left_mm, right_mm = self.crossweb_mm
        self.crossweb_mm = (min(left_mm, crossweb_mm[0]), max(right_mm, crossweb_mm[1]))
        (left, right), (other_left, other_right) = self.edge_distance_mm, edges
        self.edge_distance_mm = (_smaller(left, other_left), _smaller(right, other_right))

    def _see(self, camera: str, seen: FrameRange) -> None:
        before = self.frames.get(camera)
        if before:
            seen = FrameRange(
                seen.session,
                min(before.first_frame_seq, seen.first_frame_seq),
                max(before.last_frame_seq, seen.last_frame_seq),
            )
        self.frames[camera] = seen


class OpenDefect:
    """A node of the union-find: a defect, or a name that has become part of another."""

    __slots__ = ("_cuts", "holds", "into", "is_closed", "known", "name", "order")

    def __init__(self, name: str, order: int) -> None:
        self.name = name
        self.order = order  # the older one of two gives its name
        self.holds = 0  # places where a piece may still be added
        self.is_closed = False
        self.known: WholeDefect | None = None  # nothing before its first piece is published
        self._cuts: list[Cut] = []  # before then
        self.into: OpenDefect | None = None  # of which it has become a part

    @property
    def root(self) -> OpenDefect:
        """The defect that this one is a part of; itself where it stands alone."""
        node = self
        while node.into is not None:
            if node.into.into is not None:
                node.into = node.into.into  # halves the path for the next time
            node = node.into
        return node

    def cut(self, cause: Cut) -> None:
        """Note why this defect, which is a root, may be larger than what is known of it."""
        if self.known:
            self.known.cut(cause)
        elif cause not in self._cuts:
            self._cuts.append(cause)

    def absorb(self, other: OpenDefect) -> None:
        """Make another root a part of this one."""
        if self.known and other.known:
            self.known.absorb(other.known)
        for cause in other._cuts:
            self.cut(cause)
        self.holds += other.holds
        other.into = self

    def add(self, piece: Piece) -> None:
        """Count a piece of this defect, which is a root."""
        if self.known is None:
            event = piece.event
            self.known = WholeDefect(
                part_of=self.name,
                camera=event.camera,
                strip=piece.strip,
                side=event.side,
                class_id=event.class_id,
                class_name=event.class_name,
                lines=piece.lines,
                has_line=piece.has_line,
                crossweb_mm=_box(event).crossweb_mm,
                edge_distance_mm=event.edge_distance_mm,
                cut_by=self._cuts,
            )
        self.known.add(piece)


def join(one: OpenDefect, other: OpenDefect) -> OpenDefect | None:
    """Make one defect of two and return it; None where it would have too many names."""
    one, other = one.root, other.root
    if one is other:
        return one
    older, younger = (one, other) if one.order < other.order else (other, one)
    if older.known and younger.known:
        names = len(older.known.joined) + len(younger.known.joined) + 1
        if names > JOINED_MAX:
            return None
    assert older.known or not younger.known  # what is older was published first
    older.absorb(younger)
    return older


def _box(event: Defect) -> Box:
    assert event.box_mm is not None  # the daemon's own events have one
    return event.box_mm


def _smaller(one_mm: Millimetres | None, other_mm: Millimetres | None) -> Millimetres | None:
    if one_mm is None or other_mm is None:
        return one_mm if other_mm is None else other_mm
    return min(one_mm, other_mm)
