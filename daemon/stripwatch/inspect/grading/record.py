"""What one strip was: its defects, roll marks and what was not inspected, by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from stripwatch.inspect.grading.intervals import Interval, clip, total, union
from stripwatch.wire.names import StripSide

LANE_MM = 20.0  # across, by which a defect of a roll mark may lie beside its lane
PHASE_SHARE = 0.03  # of a period, by which it may lie before or behind its place
NOT_SEEN = "not_seen"  # strip that passed a camera before or after it was there


@dataclass(slots=True)
class Flaw:
    """A whole defect. Lengths are millimetres; `along_mm` is None without `line` in the frames."""

    name: str  # `part_of` of its pieces
    seq: int  # of its event: of its largest piece, which has a picture
    camera: str
    side: StripSide
    class_id: int
    class_name: str
    score: float
    peak: float
    area_mm2: float
    along_mm: Interval | None
    across_mm: Interval
    length_mm: float
    width_mm: float
    edge_distance_mm: tuple[float | None, float | None]
    pieces: int = 1
    is_periodic: bool = False


@dataclass(frozen=True, slots=True)
class Blind:
    """Strip that one camera did not inspect."""

    camera: str
    side: StripSide
    cause: str
    along_mm: Interval | None
    length_mm: float
    seq: int | None = None  # of the gap's event


@dataclass(frozen=True, slots=True)
class Mark:
    """The marks of a roll, as last told by its `periodic` events."""

    name: str
    side: StripSide
    lane_mm: float
    period_mm: float
    rolls: tuple[str, ...]
    first_mm: float
    last_mm: float
    teeth: int
    missed_teeth: int
    p_value: float


@dataclass(slots=True)
class CameraRecord:
    """What one camera told of the strip."""

    name: str
    side: StripSide
    field_mm: Interval  # across the strip
    has_begun: bool = False
    has_ended: bool = False
    frames_inspected: int | None = None  # None: the strip has not ended
    frames_missed: dict[str, int] = field(default_factory=dict)
    metres_inspected: float | None = None
    metres_missed: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class StripRecord:
    """A strip from its events, for rules and reports."""

    strip: str
    length_mm: float
    cameras: dict[str, CameraRecord]
    defects: list[Flaw]
    blind: list[Blind]
    marks: list[Mark]
    edges_mm: dict[StripSide, Interval] = field(default_factory=dict)  # where known
    start_ns: int | None = None
    end_ns: int | None = None
    has_ended: bool = False  # under all cameras that saw it
    left_out: int = 0  # defects and gaps for which there was no room
    pieces_lacking: int = 0  # that the reports count and that are not among the events
    models: list[str] = field(default_factory=list)

    @property
    def sides(self) -> tuple[StripSide, ...]:
        """The sides that cameras see, the top first."""
        return tuple(sorted({camera.side for camera in self.cameras.values()}, reverse=True))

    def blind_along(self, side: StripSide | None) -> list[Interval]:
        """Where a side, or any, was not inspected in its whole width; disjoint, in order."""
        return union(
            blind.along_mm
            for blind in self.blind
            if blind.along_mm is not None and side in (None, blind.side)
        )

    def blind_unplaced_mm(self, side: StripSide | None) -> float:
        """The length that was not inspected somewhere, by all cameras together."""
        return sum(
            blind.length_mm
            for blind in self.blind
            if blind.along_mm is None and side in (None, blind.side)
        )

    def inspected_mm(self, side: StripSide | None, within: Interval) -> float:
        """The length of a stretch that was inspected in its whole width."""
        return max(0.0, within[1] - within[0] - total(clip(self.blind_along(side), within)))

    def width_mm(self, side: StripSide) -> float:
        """The width of a side that cameras see: to the strip's edges where they are known."""
        fields = [camera.field_mm for camera in self.cameras.values() if camera.side == side]
        seen = union(fields)
        edges = self.edges_mm.get(side)
        return total(clip(seen, edges) if edges else seen)

    def inspected_m2(self, side: StripSide | None, within: Interval) -> float:
        """The area of a stretch that was inspected; of None on both sides together."""
        sides = self.sides if side is None else (side,)
        return sum(self.width_mm(one) * self.inspected_mm(one, within) for one in sides) / 1e6


def find_periodic(defects: Iterable[Flaw], marks: Iterable[Mark]) -> None:
    """Flag the defects that stand where a roll prints its mark.

    The events name lane, period, first and last tooth; a defect of the lane that is near a multiple
    of the period is taken for a tooth. The few others that chance puts there are taken, too.
    """
    by_side: dict[StripSide, list[Mark]] = {}
    for mark in marks:
        by_side.setdefault(mark.side, []).append(mark)
    for defect in defects:
        defect.is_periodic = defect.is_periodic or any(
            _is_tooth(defect, mark) for mark in by_side.get(defect.side, ())
        )


def _is_tooth(defect: Flaw, mark: Mark) -> bool:
    if defect.along_mm is None:
        return False
    along = sum(defect.along_mm) / 2
    across = sum(defect.across_mm) / 2
    slack = PHASE_SHARE * mark.period_mm
    if abs(across - mark.lane_mm) > LANE_MM:
        return False
    if not mark.first_mm - slack <= along <= mark.last_mm + slack:
        return False
    # The turns between first and last tooth are a whole number: the mean period is made to fit it.
    turns = max(1, round((mark.last_mm - mark.first_mm) / mark.period_mm))
    period = (mark.last_mm - mark.first_mm) / turns or mark.period_mm
    rest = (along - mark.first_mm) % period
    return min(rest, period - rest) <= slack
