"""Which events a journal no longer keeps, removed in turns that do not stall its writer."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import structlog
from structlog.typing import FilteringBoundLogger

from stripwatch.config.sections import JournalSection
from stripwatch.errors import StorageError
from stripwatch.journal import positions
from stripwatch.journal.positions import Position, Positions
from stripwatch.journal.store import Extent, Journal

PERIOD_S = 1.0  # between two looks for old events
ROWS_PER_TURN = 1000  # removed in one transaction; some 5 ms
TURN_PERIOD_S = 0.05  # between two of them: twice as fast as 10,000 events/s come
POSITIONS_PERIOD_S = 1.0  # between two looks at the readers' positions
COVERAGE_PERIOD_S = 60.0  # between two looks for coverage of sessions long gone
CLOCK_STEP_S_MAX = 3600.0  # a clock that is set by more is not trusted at once
CLOCK_TRUST_S = 86400.0  # until then nobody has noticed that it is wrong
LOSS_PERIOD_S = 60.0  # between two log lines about what one reader has lost


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a journal keeps."""

    bytes_max: float
    age_ns_max: float
    unread_bytes_max: float  # where a reader has not acknowledged what is beyond the others


def limits_of(section: JournalSection) -> Limits:
    """The limits that a configuration gives."""
    return Limits(
        section.gigabytes_max * 1e9,
        section.days_max * 86400e9,
        section.unread_gigabytes_max * 1e9,
    )


@dataclass(slots=True)
class _Loss:
    """Unread events that were removed and are not in the log yet."""

    first_seq: int = 0  # 0: none
    last_seq: int = 0
    next_line_s: float = field(default=-math.inf)


class Retention:
    """Removes the oldest events of a journal; belongs to the thread that writes the journal.

    The newest event always stays, so that numbers go on. What a reader has not acknowledged stays
    until the journal is larger than `unread_bytes_max`; the reader's name and what it has lost are
    logged. Pictures have a limit of their own (ADR 25).
    """

    def __init__(
        self, journal: Journal, limits: Limits, log: FilteringBoundLogger | None = None
    ) -> None:
        self._journal = journal
        self._limits = limits
        self._log = log or structlog.get_logger()
        self._readers: Sequence[Position] | None = ()  # None: they cannot be read
        self._next_positions_s = -math.inf
        self._next_coverage_s = -math.inf
        self._held: frozenset[str] = frozenset()  # readers that removal waits for
        self._losses: dict[str, _Loss] = {}
        self._clock_offset_s = time.time() - time.monotonic()
        self._clock_trusted_s = -math.inf
        self._positions_fault = ""
        self._next_turn_s = -math.inf
        self._fault = ""

    def keep_up(self) -> None:
        """Take a turn where one is due. A fault of it is logged: events must leave all the same."""
        now_s = time.monotonic()
        if now_s < self._next_turn_s:
            return
        more_is_due = False
        try:
            more_is_due = self.turn()
            self._fault = ""
        except StorageError as error:
            if str(error) != self._fault:
                self._fault = str(error)
                self._log.error("old events cannot be removed", error=self._fault)
        self._next_turn_s = now_s + (TURN_PERIOD_S if more_is_due else PERIOD_S)

    def turn(self) -> bool:
        """Remove at most `ROWS_PER_TURN` events; returns whether more may be due at once.

        Raises:
            StorageError: nothing was removed.
        """
        self._report_losses(time.monotonic())
        extent = self._journal.extent()
        if extent.events < 2:
            return False
        due_seq = max(self._beyond(extent, self._limits.bytes_max), self._too_old(extent))
        if due_seq < extent.first_seq:
            self._note_held(())
            return False
        behind = self._behind(due_seq)
        through_seq = min([due_seq, *behind.values()])
        if through_seq >= extent.first_seq:
            self._remove(through_seq)
            return True
        self._note_held(behind)
        through_seq = self._beyond(extent, self._limits.unread_bytes_max)
        if through_seq < extent.first_seq:
            return False
        self._remove(through_seq)
        for reader, seq in behind.items():
            if seq < through_seq:
                self._note_loss(reader, max(seq + 1, extent.first_seq), through_seq)
        return True

    def finish(self) -> None:
        """Log what the readers have lost since the last line."""
        self._report_losses(math.inf)

    def _beyond(self, extent: Extent, bytes_max: float) -> int:
        """Up to which number events are beyond a size, as far as one turn goes; 0: none."""
        excess_bytes = extent.used_bytes - bytes_max
        if excess_bytes <= 0:
            return 0
        rows = math.ceil(excess_bytes / (extent.used_bytes / extent.events))
        return self._within_turn(extent, rows)

    def _too_old(self, extent: Extent) -> int:
        """Up to which number events are too old, as far as one turn goes; 0: none."""
        oldest_ns = time.time_ns() - self._limits.age_ns_max
        if not self._clock_is_trusted() or extent.first_t_ns >= oldest_ns:
            return 0
        return self._journal.before(int(oldest_ns), self._within_turn(extent, ROWS_PER_TURN))

    def _clock_is_trusted(self) -> bool:
        """Whether a day has passed since the clock was set: a wrong one makes all events old."""
        now_s = time.monotonic()
        offset_s = time.time() - now_s
        if abs(offset_s - self._clock_offset_s) > CLOCK_STEP_S_MAX:
            self._clock_offset_s = offset_s
            self._clock_trusted_s = now_s + CLOCK_TRUST_S
            self._log.warning("the clock was set; for a day no event is removed for its age")
        return now_s >= self._clock_trusted_s

    @staticmethod
    def _within_turn(extent: Extent, rows: int) -> int:
        return min(extent.first_seq + min(rows, ROWS_PER_TURN), extent.last_seq) - 1

    def _remove(self, through_seq: int) -> None:
        self._journal.remove(through_seq)
        now_s = time.monotonic()
        if now_s >= self._next_coverage_s:
            self._next_coverage_s = now_s + COVERAGE_PERIOD_S
            self._journal.remove_coverage(self._journal.extent().first_t_ns)

    def _behind(self, due_seq: int) -> dict[str, int]:
        """The readers that have not read up to a number, and up to which they have."""
        now_s = time.monotonic()
        if now_s >= self._next_positions_s:
            self._next_positions_s = now_s + POSITIONS_PERIOD_S
            self._read_positions()
        if self._readers is None:
            return {"": 0}
        stream = self._journal.stream
        return {
            one.reader: one.seq
            for one in self._readers
            if one.stream == stream and one.seq < due_seq
        }

    def _read_positions(self) -> None:
        """Opened for each look: another process may have removed the file and made it again."""
        folder = self._journal.path.parent
        try:
            if not (folder / positions.FILE).exists():
                self._readers = ()
                return
            with closing(Positions(folder)) as file:
                self._readers = file.all()
            self._positions_fault = ""
        except StorageError as error:
            self._readers = None
            if str(error) != self._positions_fault:
                self._positions_fault = str(error)
                self._log.error(
                    "positions of readers cannot be read; old events stay up to "
                    "journal.unread_gigabytes_max",
                    error=self._positions_fault,
                )

    def _note_held(self, readers: Iterable[str]) -> None:
        """Log a reader once when removal begins to wait for it."""
        held = frozenset(readers)
        for reader in sorted(held - self._held - {""}):
            self._log.warning(
                "old events stay until this reader has read them; a reader that is gone for good "
                "is removed with: stripwatch journal forget READER",
                reader=reader,
            )
        self._held = held

    def _note_loss(self, reader: str, first_seq: int, last_seq: int) -> None:
        loss = self._losses.setdefault(reader, _Loss())
        if loss.first_seq and first_seq != loss.last_seq + 1:  # it has read what is between
            loss.next_line_s = -math.inf
            self._report_losses(time.monotonic())
        loss.first_seq = loss.first_seq or first_seq
        loss.last_seq = last_seq
        self._report_losses(time.monotonic())

    def _report_losses(self, now_s: float) -> None:
        for reader, loss in self._losses.items():
            if loss.first_seq and now_s >= loss.next_line_s:
                self._log.error(
                    "lost: removed before this reader has read it; journal.unread_gigabytes_max "
                    "was reached",
                    reader=reader or "unknown",
                    first_seq=loss.first_seq,
                    last_seq=loss.last_seq,
                )
                loss.first_seq, loss.next_line_s = 0, now_s + LOSS_PERIOD_S
