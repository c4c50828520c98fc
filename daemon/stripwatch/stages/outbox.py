"""The outbox thread: the one place where events are numbered, journalled and published.

It takes whatever batches wait, writes them in one transaction, publishes them, books their frames,
and takes the next: while the disk is busy the next group gathers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from stripwatch.errors import StorageError
from stripwatch.inspect.coverage import Entry, Ledger, Miss, Row
from stripwatch.inspect.inspector import DefectiveFrame
from stripwatch.journal.records import CoverageRecord, Transaction, event_record
from stripwatch.journal.store import Journal, Past
from stripwatch.outputs.images import Images
from stripwatch.outputs.pictures import Pictures, View
from stripwatch.outputs.publish import Publisher
from stripwatch.stages.batches import Batch, BatchQueue
from stripwatch.stages.heartbeat import Heartbeat
from stripwatch.stages.latency import LatencyWindow
from stripwatch.wire.event import (
    NO_SEQ,
    NO_STREAM,
    DaemonStart,
    DaemonStop,
    FrameResult,
    Status,
    build_event,
    with_number,
)

STATUS_PERIOD_S = 1.0
POLL_S = 0.05  # longest wait for a batch, so that subscriptions are read
RETRY_S_MIN = 0.1  # after a fault of the journal, growing
RETRY_S_MAX = 2.0


@dataclass(frozen=True, slots=True)
class _NumberedView:
    seq: int  # of its defect
    view: View


Message = list[bytes] | DefectiveFrame | _NumberedView


class Outbox:
    """Owns the journal, the event socket and the ledger; belongs to one thread after it was made.

    Nothing is published that was not journalled. While the journal cannot be written, the outbox
    holds what it has, tries again, and says so in `fault`; the queue before it fills meanwhile.
    """

    def __init__(
        self,
        journal: Journal,
        past: Past,
        publisher: Publisher,
        images: Images,
        pictures: Pictures,
        heartbeat: Heartbeat,
    ) -> None:
        self._journal = journal
        self._publisher = publisher
        self._images = images
        self._pictures = pictures
        self._heartbeat = heartbeat
        self._log = structlog.get_logger()
        self._queue = BatchQueue()
        self._booked = Ledger()  # what the journal says with the next transaction
        self._coverage: dict[str, CoverageRecord] = {}  # the latest of each camera
        self._open_strips: dict[str, bytes | None] = {}
        self._tick: Callable[[], None] = lambda: None
        self._next_tick_s = 0.0
        self.ledger = Ledger()  # what was published
        self.latency = LatencyWindow()
        self.stream = journal.stream
        self.last_seq = journal.last_seq  # of the event published last
        self.fault = ""  # why the journal cannot be written; read by other threads
        self._is_after_crash = past.is_unclean
        for record in past.coverage:
            self._booked.restore(record.camera, record.account)
            account = self._booked.account(record.camera, record.account.session)
            self.ledger.restore(record.camera, account)

    def put(self, batch: Batch, beat: Callable[[], None]) -> None:
        """Deliver thread: hand over a batch; waits while too much waits already."""
        self._queue.put(batch, beat)

    def close(self) -> None:
        """Deliver thread: nothing will follow."""
        self._queue.close()

    def wake(self) -> None:
        """Images thread: an image is ready to be published."""
        self._queue.wake()

    @property
    def pictures_dropped(self) -> int:
        """Defects since the start whose pictures were dropped, or could not be written."""
        return self._pictures.dropped + self._pictures.failed

    @property
    def images_dropped(self) -> int:
        """Images since the start for which there was no room."""
        return self._images.dropped

    def run(
        self, start: DaemonStart, stop: Callable[[], DaemonStop], tick: Callable[[], None]
    ) -> None:
        """Send batches until deliver closes the queue; call `tick` once a second.

        Args:
            start: the first event.
            stop: makes the last event.
            tick: publishes the status with `send_status`.
        """
        self._tick = tick
        self._next_tick_s = time.monotonic() + STATUS_PERIOD_S
        try:
            if self._is_after_crash:
                self._send([Batch([_unclean_stop(start.t_ns)])])
            self._send([Batch([start])])
            while not self._queue.over:
                more_waits = self._keep_up()
                batches = self._queue.take(0 if more_waits else POLL_S)
                if batches:
                    self._send(batches)
            self._publish(self._images.finish())
            self._pictures.finish()
            self._send([Batch([stop()])])
            tick()
        finally:
            self._queue.break_off()

    def send_status(self, status: Status) -> None:
        """Publish a status: the one message that also leaves while the journal has a fault."""
        self._publisher.send(build_event(status))

    def _keep_up(self) -> bool:
        """What is due at any time; returns whether more subscriptions may wait."""
        self._heartbeat.beat()
        now_s = time.monotonic()
        if now_s >= self._next_tick_s:
            self._tick()
            # After a stop of the process no more than one is due.
            self._next_tick_s = max(self._next_tick_s + STATUS_PERIOD_S, now_s)
        self._publish(self._images.take())
        return self._publisher.read_subscriptions()

    def _publish(self, images: Sequence[list[bytes]]) -> None:
        for message in images:
            self._publisher.send(message)

    def _send(self, batches: Sequence[Batch]) -> None:
        """Number, journal and publish the events of these batches, and book their frames."""
        transaction = self._to_write(batches)
        messages = self._commit(batches, transaction)
        for message in messages:
            if isinstance(message, DefectiveFrame):
                self._images.put(message)
            elif isinstance(message, _NumberedView):
                self._pictures.put(self._journal.stream, message.seq, message.view)
            else:
                self._publisher.send(message)
        self.stream, self.last_seq = self._journal.stream, self._journal.last_seq
        published_ns = time.monotonic_ns()
        for batch in batches:
            _book(self.ledger, batch.entries)
            for entry in batch.entries:
                if isinstance(entry, Row):
                    self.latency.add(_latency_ms(entry, batch, published_ns))

    def _to_write(self, batches: Sequence[Batch]) -> Transaction:
        """Coverage and open strips of these batches; their events follow with their numbers."""
        transaction = Transaction()
        places: dict[tuple[str, str], tuple[str | None, int | None]] = {}
        for batch in batches:
            _book(self._booked, batch.entries)
            places |= (_place(entry) for entry in batch.entries)
            transaction.open_strips |= batch.open_strips
        for (camera, session), (strip, line_end) in places.items():
            account = self._booked.account(camera, session)
            record = CoverageRecord(camera, account, strip, line_end)
            transaction.coverage[camera, session] = self._coverage[camera] = record
        self._open_strips |= transaction.open_strips
        return transaction

    def _commit(self, batches: Sequence[Batch], transaction: Transaction) -> list[Message]:
        """Write a transaction with the events of these batches, however long that takes.

        Returns what is to be published, in order.
        """
        retry_s = RETRY_S_MIN
        while True:
            messages = self._number(batches, transaction)
            try:
                if transaction:
                    self._journal.append(transaction)
            except StorageError as error:
                self._hold(error, retry_s)
                retry_s = min(2 * retry_s, RETRY_S_MAX)
                self._reopen(transaction)
                continue
            if self.fault:
                self._log.info("journal can be written again")
                self.fault = ""
            return messages

    def _number(self, batches: Sequence[Batch], transaction: Transaction) -> list[Message]:
        """Number the events of these batches; fills in `transaction.events`."""
        stream, seq = self._journal.stream, self._journal.last_seq
        t_ns = time.time_ns()
        messages: list[Message] = []
        transaction.events.clear()
        for batch in batches:
            for output in batch.outputs:
                match output:
                    case DefectiveFrame():
                        messages.append(output)
                    case View():  # of the defect before it
                        messages.append(_NumberedView(seq, output))
                    case Status() | FrameResult():
                        messages.append(build_event(output))
                    case _:
                        seq += 1
                        event = with_number(output, stream, seq)
                        topic, payload = message = build_event(event)
                        messages.append(message)
                        transaction.events.append(event_record(event, topic, payload, t_ns))
        return messages

    def _hold(self, error: StorageError, wait_s: float) -> None:
        """Wait before the next try, and be of service meanwhile."""
        if str(error) != self.fault:
            self._log.error("journal cannot be written; events are held", error=str(error))
        self.fault = str(error)
        until_s = time.monotonic() + wait_s
        while time.monotonic() < until_s:
            self._keep_up()
            time.sleep(min(POLL_S, wait_s))

    def _reopen(self, transaction: Transaction) -> None:
        """Open the journal anew; a file that was removed is made again and begins a new stream."""
        before = self._journal.stream
        try:
            self._journal.reopen()
        except StorageError as error:
            self.fault = str(error)
            return
        if self._journal.stream != before:
            self._log.error("the journal is gone; a new stream begins", stream=self._journal.stream)
            for camera, record in self._coverage.items():
                transaction.coverage[camera, record.account.session] = record
            transaction.open_strips |= self._open_strips


def _unclean_stop(t_ns: int) -> DaemonStop:
    return DaemonStop(stream=NO_STREAM, seq=NO_SEQ, t_ns=t_ns, reason="unclean", detail="")


def _book(ledger: Ledger, entries: Sequence[Entry]) -> None:
    for entry in entries:
        if isinstance(entry, Miss):
            ledger.book_miss(entry)
        else:
            ledger.book_row(entry.header)


def _place(entry: Entry) -> tuple[tuple[str, str], tuple[str | None, int | None]]:
    """Camera and session of an entry; strip, and the `line` that follows, where it is known."""
    frame = entry if isinstance(entry, Miss) else entry.header
    return (frame.camera, frame.session), (frame.strip, frame.next_line)


def _latency_ms(row: Row, batch: Batch, published_ns: int) -> tuple[float, ...]:
    """Latency of one frame in every stage, in the order of `Stage`; NaN where it is unknown."""
    receive_ms = math.nan if row.receive_ms is None else row.receive_ms
    return (
        receive_ms,
        (batch.submitted_ns - row.received_ns) / 1e6,
        (batch.done_ns - batch.submitted_ns) / 1e6,
        (batch.inspected_ns - batch.done_ns) / 1e6,
        (published_ns - batch.inspected_ns) / 1e6,
        receive_ms + (published_ns - row.received_ns) / 1e6,
    )
