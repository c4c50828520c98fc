"""What one strip was: its defects, roll marks and what was not inspected, by side."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from stripwatch.inspect.grading.intervals import Interval, clip, total, union
from stripwatch.wire.names import StripSide

LANE_MM = 20.0  # across, by which a defect of a roll mark may lie beside its lane
TURNS = (1, 2, 3)  # of the roll, between two of its marks: some are missed
SLACK_MM = 6.0  # along, of the distance between two
SLIP = 0.001  # of the distance: the roll slips
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
    _blind_along: dict[StripSide | None, list[Interval]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def sides(self) -> tuple[StripSide, ...]:
        """The sides that cameras see, the top first."""
        return tuple(sorted({camera.side for camera in self.cameras.values()}, reverse=True))

    def blind_along(self, side: StripSide | None) -> list[Interval]:
        """Where a side, or any, was not inspected in its whole width; disjoint, in order."""
        if side not in self._blind_along:  # asked for in each stretch of each rule
            self._blind_along[side] = union(
                blind.along_mm
                for blind in self.blind
                if blind.along_mm is not None and side in (None, blind.side)
            )
        return self._blind_along[side]

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
    """Flag the defects that a roll has printed.

    The events name lane, period, first and last tooth, not each tooth. A defect of the lane between
    them is taken for one where another is one, two or three turns before or behind it: the period
    may change slowly with the slip. The few others that chance puts there are taken, too.
    """
    placed = [flaw for flaw in defects if flaw.along_mm]
    for mark in marks:
        lane = [flaw for flaw in placed if _is_in_lane(flaw, mark)]
        places = sorted(map(_middle_mm, lane))
        for flaw in lane:
            flaw.is_periodic = flaw.is_periodic or _has_partner(_middle_mm(flaw), places, mark)


def _is_in_lane(flaw: Flaw, mark: Mark) -> bool:
    across_mm = sum(flaw.across_mm) / 2
    first_mm, last_mm = sorted((mark.first_mm, mark.last_mm))  # a strip may run backwards
    return (
        flaw.side == mark.side
        and abs(across_mm - mark.lane_mm) <= LANE_MM
        and first_mm - SLACK_MM <= _middle_mm(flaw) <= last_mm + SLACK_MM
    )


def _has_partner(at_mm: float, places: Sequence[float], mark: Mark) -> bool:
    for turns in TURNS:
        distance_mm = turns * mark.period_mm
        slack_mm = SLACK_MM + SLIP * distance_mm
        for place_mm in (at_mm - distance_mm, at_mm + distance_mm):
            number = bisect_left(places, place_mm - slack_mm)
            if number < len(places) and places[number] <= place_mm + slack_mm:
                return True
    return False


def _middle_mm(flaw: Flaw) -> float:
    assert flaw.along_mm
    return sum(flaw.along_mm) / 2
