"""Where one camera is on the strip, and the pieces that touch the last line of its latest frame."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from stripwatch.inspect.coverage import Miss
from stripwatch.inspect.findings import Finding, Span
from stripwatch.inspect.strip.open_defects import Lines, OpenDefect
from stripwatch.wire.defect import Cut
from stripwatch.wire.frame import FrameHeader, lines_between

LINE_SLACK = 2  # by which `line` may be off from frame to frame; more are lines not inspected
ENDED_MAX = 8  # strips that are remembered as over
MISSES_MAX = 64  # that are remembered


@dataclass(slots=True)
class _Above:
    """The spans of one class in a frame's last line, sorted, with their defects."""

    firsts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    owners: list[OpenDefect] = field(default_factory=list)

    def touching(self, below: Iterable[Span]) -> Iterator[OpenDefect]:
        """The defects with a span that is a neighbour (8-connected) of one below."""
        for first, end in below:
            index = bisect_left(self.ends, first)
            while index < len(self.firsts) and self.firsts[index] <= end:
                yield self.owners[index]
                index += 1


class CameraSeam:
    """Follows one camera from frame to frame."""

    def __init__(self) -> None:
        self.strip: str | None = None
        self.is_fresh = True  # no frame of the strip has come yet
        self.has_begun = False  # any frame has come at all
        self.ended: deque[str | None] = deque(maxlen=ENDED_MAX)
        self.leg = 0  # how often the strip has turned
        self.line_reversed = False
        self.next_line = 0
        self.has_line = False  # `next_line` counts from the strip's start; else from any place
        self._misses: deque[tuple[str | None, int, Lines]] = deque(maxlen=MISSES_MAX)
        self._session: str | None = None
        self._next_seq = 0
        self._cut: Cut | None = None  # why the next frame does not continue the one before
        self._above: dict[int, _Above] = {}  # by class
        self.held: list[OpenDefect] = []  # one for each piece in the last line of the latest frame

    def resume(self, strip: str | None) -> None:
        """Continue a strip that the daemon before this one has begun."""
        self.strip, self.is_fresh, self._cut = strip, False, "restart"

    def begin(self, header: FrameHeader, strip: str | None) -> tuple[int, Cut | None]:
        """Follow one frame; what it has above is known until `keep`.

        Returns:
            The frame's first line, and why pieces that touch it are cut there, if they are.
        """
        if strip != self.strip:
            self.begin_strip(strip)
        cut = None if self.is_fresh else self._cut_before(header)
        if cut or self.is_fresh:
            self._above = {}
            self.has_line = False
        if not self.is_fresh and header.line_reversed != self.line_reversed:
            self.leg += 1
        line = self.next_line if header.line is None else header.line
        self.has_line = self.has_line or header.line is not None
        passed = header.shape[0] + header.lines_lost
        self.next_line = line - passed if header.line_reversed else line + passed
        self.line_reversed = header.line_reversed
        self._session, self._next_seq = header.session, header.seq + 1
        self.is_fresh, self.has_begun, self._cut = False, True, None
        return line, cut

    def above(self, finding: Finding) -> Iterator[OpenDefect]:
        """The defects of the frame before that touch a finding of this one."""
        above = self._above.get(finding.defect_class.id)
        return above.touching(finding.top) if above and finding.top else iter(())

    def keep(
        self, findings: Sequence[Finding], owners: Sequence[OpenDefect | None]
    ) -> list[OpenDefect]:
        """Remember the pieces in the frame's last line; returns those that nobody holds now."""
        released, self.held = self.held, []
        spans: dict[int, list[tuple[int, int, OpenDefect]]] = {}
        for finding, owner in zip(findings, owners, strict=True):
            if finding.bottom and owner is not None:
                owner.root.holds += 1
                self.held.append(owner)
                of_class = spans.setdefault(finding.defect_class.id, [])
                of_class += [(first, end, owner) for first, end in finding.bottom]
        self._above = {}
        for class_id, entries in spans.items():
            entries.sort(key=lambda entry: entry[0])
            firsts, ends, of = zip(*entries, strict=True)
            self._above[class_id] = _Above([*firsts], [*ends], [*of])
        return released

    def miss(self, miss: Miss, strip: str | None) -> list[OpenDefect]:
        """Follow frames that were not inspected; returns the defects that they cut."""
        if strip != self.strip:
            self.begin_strip(strip)
        self._session, self._next_seq = miss.session, miss.last_seq + 1
        self.has_begun = True
        if miss.lines is not None and miss.next_line is not None:
            self.leg += not self.is_fresh and miss.line_reversed != self.line_reversed
            self.line_reversed = miss.line_reversed
            self.next_line, self.has_line = miss.next_line, True
            self._misses.append((strip, self.leg, miss.lines))
        else:
            self.has_line = False
        self.is_fresh, self._cut = False, "gap"
        return self.release()

    def missed(self, strip: str | None, leg: int) -> list[Lines]:
        """Lines of a strip that were not inspected, of those that are remembered."""
        return [lines for *place, lines in self._misses if place == [strip, leg]]

    def release(self) -> list[OpenDefect]:
        """Nothing follows the latest frame; returns the defects in its last line."""
        released, self.held, self._above = self.held, [], {}
        return released

    def begin_strip(self, strip: str | None) -> None:
        """Another strip begins; the one before is over."""
        if not self.is_fresh:
            self.ended.append(self.strip)
        if strip in self.ended:  # it comes again
            self.ended.remove(strip)
            self._misses.clear()
        self.strip, self.is_fresh, self._cut = strip, True, None
        self.leg, self.next_line, self.has_line = 0, 0, False
        self._above = {}

    def _cut_before(self, header: FrameHeader) -> Cut | None:
        if self._cut:
            return self._cut
        if (header.session, header.seq) != (self._session, self._next_seq):
            return "gap"
        if header.line_reversed != self.line_reversed:
            return "turn"
        if header.line is not None and abs(header.line - self.next_line) > LINE_SLACK:
            return "gap"
        return None


def meet(one: Lines, other: Lines, gap: int) -> bool:
    """Whether two ranges touch, or have at most `gap` lines between them."""
    return one[0] <= other[1] + gap and other[0] <= one[1] + gap


def piece_lines(header: FrameHeader, line: int, y: int, height: int) -> Lines:
    """The lines of the strip that part of a frame covers, whose first line is `line`."""
    return lines_between(
        line - y if header.line_reversed else line + y, header.line_reversed, height
    )
