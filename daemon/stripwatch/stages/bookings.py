"""What the journal is told about frames and strips with the next transaction."""

from __future__ import annotations

from collections.abc import Sequence

from stripwatch.inspect.coverage import Account, Entry, Ledger, Miss
from stripwatch.journal.records import CoverageRecord, Transaction
from stripwatch.journal.store import Past
from stripwatch.stages.batches import Batch


class Bookings:
    """Books frames ahead of the journal; belongs to the outbox thread."""

    def __init__(self, past: Past) -> None:
        """Continue where the daemon before this one stopped."""
        self._ledger = Ledger()
        # Of each camera, as the journal has it: the latest session, and the strip that is open.
        self._coverage = {record.camera: record for record in past.coverage}
        self._open_strips: dict[str, bytes | None] = dict(past.open_strips)
        for record in past.coverage:
            self._ledger.restore(record.camera, record.account)

    def transaction(self, batches: Sequence[Batch]) -> Transaction:
        """Book these batches: their coverage and open strips; their events are still missing."""
        transaction = Transaction()
        places: dict[tuple[str, str], tuple[str | None, int | None]] = {}
        for batch in batches:
            book(self._ledger, batch.entries)
            places |= (_place(entry) for entry in batch.entries)
            transaction.open_strips |= batch.open_strips
        for (camera, session), (strip, line_end) in places.items():
            account = self._ledger.account(camera, session)
            transaction.coverage[camera, session] = CoverageRecord(camera, account, strip, line_end)
        return transaction

    def begin_anew(self, batches: Sequence[Batch]) -> Transaction:
        """Book batches that were booked once more, for a new journal that knows nothing yet.

        Its counts begin where those of the lost one ended, so that its own events explain them.
        """
        self._ledger = Ledger()
        before = Transaction(open_strips=self._open_strips)
        for camera, record in self._coverage.items():
            session, last_seq = record.account.session, record.account.last_seq
            self._ledger.restore(camera, Account(session, last_seq + 1, last_seq))
            account = self._ledger.account(camera, session)
            place = CoverageRecord(camera, account, record.strip, record.line_end)
            before.coverage[camera, session] = place
        transaction = self.transaction(batches)
        transaction.coverage = before.coverage | transaction.coverage
        transaction.open_strips = before.open_strips | transaction.open_strips
        return transaction

    def written(self, transaction: Transaction) -> None:
        """Note that the journal has a transaction."""
        self._coverage |= {record.camera: record for record in transaction.coverage.values()}
        self._open_strips |= transaction.open_strips


def book(ledger: Ledger, entries: Sequence[Entry]) -> None:
    """Book frames and misses in order."""
    for entry in entries:
        if isinstance(entry, Miss):
            ledger.book_miss(entry)
        else:
            ledger.book_row(entry.header)


def _place(entry: Entry) -> tuple[tuple[str, str], tuple[str | None, int | None]]:
    """Camera and session of an entry; strip, and the `line` that follows, where it is known."""
    frame = entry if isinstance(entry, Miss) else entry.header
    return (frame.camera, frame.session), (frame.strip, frame.next_line)
