"""Joining the pieces of a defect that frame seams cut apart (ADR 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stripwatch.inspect.findings import Finding, Span
from stripwatch.wire.frame import FrameHeader


@dataclass(frozen=True, slots=True)
class _OpenPiece:
    class_id: int
    spans: tuple[Span, ...]  # pixels it covers in the last line of its frame
    part_of: str


class SeamJoiner:
    """Names the defects of one camera so that touching pieces share one name.

    A piece touches when, in the same strip and class, one of its pixels in the frame's first line
    is a neighbour (8-connected) of a pixel in the last line of the frame before. Only the pieces
    of one frame are kept open, at most `defects_max` of each class.
    """

    def __init__(self) -> None:
        self._open: list[_OpenPiece] = []
        self._after: tuple[str, int, str | None] | None = None  # session, seq, strip

    def join(self, header: FrameHeader, findings: Sequence[Finding]) -> list[str]:
        """The `part_of` of each finding of the frame that follows in this camera."""
        follows = (header.session, header.seq - 1, header.strip) == self._after
        above = self._open if follows else []
        names = [
            next(
                (
                    piece.part_of
                    for piece in above
                    if piece.class_id == finding.defect_class.id
                    and _touch(piece.spans, finding.top)
                ),
                f"{header.camera}-{header.session}-{header.seq}-{number}",
            )
            for number, finding in enumerate(findings)
        ]
        self._open = [
            _OpenPiece(finding.defect_class.id, finding.bottom, name)
            for finding, name in zip(findings, names, strict=True)
            if finding.bottom
        ]
        self._after = (header.session, header.seq, None if header.end else header.strip)
        if header.end:
            self._open = []
        return names


def _touch(above: Sequence[Span], below: Sequence[Span]) -> bool:
    """Whether any two spans are neighbours; each sequence is sorted, and its spans are disjoint.

    One pass over both: a line of noise has hundreds of spans.
    """
    index = 0
    for first, end in below:
        while index < len(above) and above[index][1] < first:
            index += 1
        if index == len(above):
            return False
        if above[index][0] <= end:
            return True
    return False
