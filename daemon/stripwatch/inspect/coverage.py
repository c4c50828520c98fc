"""Coverage: every frame of a session is either inspected or missed for a named cause.

Per camera and session: inspected + missed by cause = last seq - first seq + 1.

`SequenceTracker` (in the receive thread) follows the numbers of the frames that arrive and finds
those that are lost. `Ledger` (in the deliver thread) books what became of every frame and asserts
that the two agree. Misses travel in the slots, in order with the frames (ADR 3).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from stripwatch.wire.causes import Cause
from stripwatch.wire.event import CameraStatus
from stripwatch.wire.frame import FrameHeader, FrameId

PAST_SESSIONS_MAX = 16  # ended sessions that are remembered; frames of theirs are `late`


@dataclass(frozen=True, slots=True)
class Row:
    """A frame in a slot. Times are monotonic nanoseconds."""

    header: FrameHeader
    row: int
    received_ns: int
    receive_ms: float  # from capture to receipt, by the wall clock


@dataclass(frozen=True, slots=True)
class Miss:
    """Consecutive frames of one session that are not inspected, for one cause."""

    camera: str
    session: str
    first_seq: int
    last_seq: int
    cause: Cause
    strip: str | None = None
    lines: tuple[int, int] | None = None  # first, and one past the last, since the strip's start
    t_ns: int = 0  # of capture of the last of them, or of the frame that showed the loss
    end: bool = False  # the last of them was the strip's last frame

    @property
    def count(self) -> int:
        """Number of frames."""
        return self.last_seq - self.first_seq + 1


Entry = Row | Miss  # what a slot carries, in the order in which it happened


def miss_of(frame: FrameHeader | FrameId, cause: Cause) -> Miss:
    """The miss of one frame whose header is known in whole or in part."""
    if not isinstance(frame, FrameHeader):
        return Miss(frame.camera, frame.session, frame.seq, frame.seq, cause)
    lines = None if frame.line is None else (frame.line, frame.line + frame.shape[0])
    return Miss(
        frame.camera,
        frame.session,
        frame.seq,
        frame.seq,
        cause,
        frame.strip,
        lines,
        frame.t_ns,
        frame.end,
    )


def add_miss(entries: list[Entry], miss: Miss) -> None:
    """Append a miss to entries, or lengthen the camera's last entry where it continues it."""
    for index in range(len(entries) - 1, -1, -1):
        last = entries[index]
        camera = last.camera if isinstance(last, Miss) else last.header.camera
        if camera != miss.camera:
            continue
        if isinstance(last, Miss) and _continues(last, miss):
            lines = None
            if last.lines and miss.lines:
                lines = (last.lines[0], miss.lines[1])
            entries[index] = replace(
                last, last_seq=miss.last_seq, lines=lines, t_ns=miss.t_ns, end=miss.end
            )
            return
        break
    entries.append(miss)


def _continues(last: Miss, miss: Miss) -> bool:
    return (
        last.session == miss.session
        and last.last_seq + 1 == miss.first_seq
        and last.cause == miss.cause
        and last.strip == miss.strip
        and not last.end
    )


class SequenceTracker:
    """Follows the frame numbers of one camera as its messages arrive."""

    def __init__(self) -> None:
        self._session: str | None = None
        self._last_seq = -1
        self._strip: str | None = None
        self._line_end: int | None = None
        self._past: deque[str] = deque(maxlen=PAST_SESSIONS_MAX)

    def is_late(self, frame: FrameId) -> bool:
        """Whether this frame was counted before, or belongs to a session that has ended."""
        if frame.session == self._session:
            return frame.seq <= self._last_seq
        return frame.session in self._past

    def accept(self, frame: FrameHeader | FrameId) -> Miss | None:
        """Accept a frame that is not late; return the frames lost before it, if any.

        A camera's first session counts from the first frame seen, since the daemon may have
        started later; every later session counts from 0.
        """
        first_of_all = self._session is None
        if frame.session != self._session:
            if self._session is not None:
                self._past.append(self._session)
            self._session = frame.session
            self._last_seq = frame.seq - 1 if first_of_all else -1
            self._strip = self._line_end = None
        lost = None
        if frame.seq > self._last_seq + 1:
            lost = self._lost_before(frame)
        self._last_seq = frame.seq
        if isinstance(frame, FrameHeader):
            self._strip = frame.strip
            self._line_end = None if frame.line is None else frame.line + frame.shape[0]
        else:
            self._line_end = None
        return lost

    def _lost_before(self, frame: FrameHeader | FrameId) -> Miss:
        first, last = self._last_seq + 1, frame.seq - 1
        miss = Miss(frame.camera, frame.session, first, last, Cause.LOST)
        if not isinstance(frame, FrameHeader) or frame.strip != self._strip:
            return miss  # lost between two strips: they may belong to either
        lines = None
        if self._line_end is not None and frame.line is not None and frame.line >= self._line_end:
            lines = (self._line_end, frame.line)
        return replace(miss, strip=frame.strip, lines=lines, t_ns=frame.t_ns)


@dataclass(slots=True)
class Account:
    """Counts of the frames of one camera's present session."""

    session: str
    first_seq: int
    last_seq: int
    inspected: int = 0
    missed: Counter[Cause] = field(default_factory=Counter)
    sessions: int = 1  # seen so far


class Ledger:
    """Books every frame that comes out of the pipeline, by camera."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self.inspected = 0  # since the start, all cameras
        self.missed: Counter[tuple[str, Cause]] = Counter()  # since the start

    def book_row(self, header: FrameHeader) -> None:
        """Book one inspected frame."""
        account = self._advance(header.camera, header.session, header.seq, header.seq)
        account.inspected += 1
        self.inspected += 1

    def book_miss(self, miss: Miss) -> None:
        """Book frames that were not inspected."""
        account = self._advance(miss.camera, miss.session, miss.first_seq, miss.last_seq)
        account.missed[miss.cause] += miss.count
        self.missed[miss.camera, miss.cause] += miss.count

    def statuses(self) -> dict[str, CameraStatus]:
        """The state of every camera seen, as published in `status`."""
        return {
            camera: CameraStatus(
                session=account.session,
                first_frame_seq=account.first_seq,
                last_frame_seq=account.last_seq,
                inspected=account.inspected,
                missed=dict(account.missed),
                sessions=account.sessions,
            )
            for camera, account in self._accounts.items()
        }

    def _advance(self, camera: str, session: str, first_seq: int, last_seq: int) -> Account:
        account = self._accounts.get(camera)
        if account is None:
            account = Account(session, first_seq, last_seq)
        elif account.session != session:
            account = Account(session, first_seq, last_seq, sessions=account.sessions + 1)
        else:
            # The coverage identity, kept by construction: frames come out without a hole.
            assert first_seq == account.last_seq + 1, (camera, session, first_seq, account.last_seq)
            account.last_seq = last_seq
        self._accounts[camera] = account
        return account


def misses_of_rows(entries: Sequence[Entry], cause: Cause) -> list[Entry]:
    """The entries of a slot that was not inspected: each row becomes a miss for `cause`."""
    misses: list[Entry] = []
    for entry in entries:
        add_miss(misses, entry if isinstance(entry, Miss) else miss_of(entry.header, cause))
    return misses
