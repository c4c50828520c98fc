"""Coverage: every frame of a session is either inspected or missed for a named cause.

Per camera and session: inspected + missed by cause = last seq - first seq + 1.

`SequenceTracker` (sequence.py, in the receive thread) follows the numbers of the frames that arrive
and finds those that are lost. `Ledger` (in the deliver thread) books what became of every frame
and asserts that the two agree. Misses travel in the slots, in order with the frames (ADR 3).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from stripwatch.wire.causes import Cause
from stripwatch.wire.event import CameraStatus
from stripwatch.wire.frame import FrameHeader, FrameId
from stripwatch.wire.names import COUNT_MAX

SESSIONS_MAX = 64  # of a camera whose counts are kept; `inspect/sequence.py` remembers fewer


@dataclass(frozen=True, slots=True)
class Row:
    """A frame in a slot. Times are monotonic nanoseconds."""

    header: FrameHeader
    row: int
    received_ns: int
    receive_ms: float | None  # from capture to receipt, by the wall clock; None: cannot be known


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
    line_reversed: bool = False  # the strip ran backwards

    @property
    def count(self) -> int:
        """Number of frames."""
        return self.last_seq - self.first_seq + 1

    @property
    def next_line(self) -> int | None:
        """The `line` of a frame that follows; None if unknown."""
        if self.lines is None:
            return None
        return self.lines[0] - 1 if self.line_reversed else self.lines[1]


Entry = Row | Miss  # what a slot carries, in the order in which it happened


def miss_of(frame: FrameHeader | FrameId, cause: Cause) -> Miss:
    """The miss of one frame whose header is known in whole or in part."""
    if not isinstance(frame, FrameHeader):
        return Miss(frame.camera, frame.session, frame.seq, frame.seq, cause)
    return Miss(
        frame.camera,
        frame.session,
        frame.seq,
        frame.seq,
        cause,
        frame.strip,
        frame.lines_passed,
        frame.t_ns,
        frame.end,
        frame.line_reversed,
    )


def add_miss(entries: list[Entry], miss: Miss) -> None:
    """Append a miss to entries, or lengthen the session's last entry where it continues it."""
    for index in range(len(entries) - 1, -1, -1):
        last = entries[index]
        frame = last if isinstance(last, Miss) else last.header
        if frame.camera != miss.camera or frame.session != miss.session:
            continue
        if isinstance(last, Miss) and _continues(last, miss):
            lines = None
            if last.lines and miss.lines:
                lines = (min(last.lines[0], miss.lines[0]), max(last.lines[1], miss.lines[1]))
            entries[index] = replace(
                last, last_seq=miss.last_seq, lines=lines, t_ns=miss.t_ns, end=miss.end
            )
            return
        break
    entries.append(miss)


def _continues(last: Miss, miss: Miss) -> bool:
    return (
        last.last_seq + 1 == miss.first_seq
        and last.cause == miss.cause
        and last.strip == miss.strip
        and last.line_reversed == miss.line_reversed
        and not last.end
    )


@dataclass(slots=True)
class Account:
    """Counts of the frames of one session of a camera."""

    session: str
    first_seq: int
    last_seq: int
    inspected: int = 0
    missed: Counter[Cause] = field(default_factory=Counter)


class Ledger:
    """Books every frame that comes out of the pipeline, by camera."""

    def __init__(self) -> None:
        self._accounts: dict[str, dict[str, Account]] = {}  # by camera and session
        self._present: dict[str, str] = {}  # session of each camera's latest frame
        self._sessions: Counter[str] = Counter()  # begun so far, by camera
        self.inspected = 0  # since the start, all cameras
        self.inspected_of: Counter[str] = Counter()  # by camera
        self.missed: Counter[tuple[str, Cause]] = Counter()  # since the start

    def book_row(self, header: FrameHeader) -> None:
        """Book one inspected frame."""
        account = self._advance(header.camera, header.session, header.seq, header.seq)
        account.inspected += 1
        self.inspected += 1
        self.inspected_of[header.camera] += 1

    def book_miss(self, miss: Miss) -> None:
        """Book frames that were not inspected."""
        account = self._advance(miss.camera, miss.session, miss.first_seq, miss.last_seq)
        account.missed[miss.cause] += miss.count
        self.missed[miss.camera, miss.cause] += miss.count

    def restore(self, camera: str, account: Account) -> None:
        """Continue a session whose frames were booked before the daemon started."""
        self._accounts.setdefault(camera, {})[account.session] = account

    def account(self, camera: str, session: str) -> Account:
        """A copy of the counts of a session of which a frame was booked."""
        account = self._accounts[camera][session]
        return replace(account, missed=account.missed.copy())

    def last_seq(self, camera: str, session: str) -> int | None:
        """Number of the last frame booked in a session; None if there is none."""
        account = self._accounts.get(camera, {}).get(session)
        return None if account is None else account.last_seq

    def cameras(self) -> frozenset[str]:
        """The cameras of which a frame was booked."""
        return frozenset(self._present)

    def present(self) -> dict[str, tuple[str, int]]:
        """The latest session of each camera, and the number of the last frame booked in it."""
        return {
            camera: (session, self._accounts[camera][session].last_seq)
            for camera, session in self._present.items()
        }

    def statuses(self) -> dict[str, CameraStatus]:
        """The counts of every camera's latest session, as published in `status`."""
        return {
            camera: CameraStatus(
                session=session,
                first_frame_seq=account.first_seq,
                last_frame_seq=account.last_seq,
                inspected=account.inspected,
                missed=saturated(account.missed),
                sessions=self._sessions[camera],
            )
            for camera, session in self._present.items()
            for account in (self._accounts[camera][session],)
        }

    def _advance(self, camera: str, session: str, first_seq: int, last_seq: int) -> Account:
        accounts = self._accounts.setdefault(camera, {})
        account = accounts.get(session)
        if account is not None and self._present.get(camera) != session:
            accounts[session] = accounts.pop(session)  # the longest unused comes first
        self._present[camera] = session
        if account is not None and first_seq > 0:
            # The coverage identity, kept by construction: frames come out without a hole.
            assert first_seq == account.last_seq + 1, (camera, session, first_seq, account.last_seq)
            account.last_seq = last_seq
            if not self._sessions[camera]:
                self._sessions[camera] = 1  # one from before the start
            return account
        # Number 0 in a session seen before: so old that the tracker has forgotten it.
        if account is None and len(accounts) == SESSIONS_MAX:
            del accounts[next(iter(accounts))]
        accounts[session] = account = Account(session, first_seq, last_seq)
        self._sessions[camera] += 1
        return account


def saturated(counts: Mapping[Cause, int]) -> dict[Cause, int]:
    """Counts as they are published: at most `COUNT_MAX`, as the schema of events says."""
    return {cause: min(count, COUNT_MAX) for cause, count in counts.items()}


def joined(entries: Sequence[Entry]) -> list[Entry]:
    """The same entries, with consecutive misses of one cause as one."""
    together: list[Entry] = []
    for entry in entries:
        if isinstance(entry, Miss):
            add_miss(together, entry)
        else:
            together.append(entry)
    return together


def misses_of_rows(entries: Sequence[Entry], cause: Cause) -> list[Entry]:
    """The entries of a slot that was not inspected: each row becomes a miss for `cause`."""
    misses: list[Entry] = []
    for entry in entries:
        add_miss(misses, entry if isinstance(entry, Miss) else miss_of(entry.header, cause))
    return misses
