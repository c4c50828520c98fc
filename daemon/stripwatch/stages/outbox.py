"""The outbox thread: the one place where events are numbered, journalled and published.

It takes whatever batches wait, writes them in one transaction, publishes them, books their frames,
and takes the next: while the disk is busy the next group gathers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from stripwatch.errors import StorageError
from stripwatch.inspect.coverage import Ledger
from stripwatch.inspect.inspector import DefectiveFrame
from stripwatch.journal.faults import JournalReplaced
from stripwatch.journal.records import Transaction
from stripwatch.journal.retention import Limits, Retention
from stripwatch.journal.store import Journal, Past
from stripwatch.outputs.images import Images
from stripwatch.outputs.pictures import Pictures
from stripwatch.outputs.publish import Publisher
from stripwatch.stages.batches import Batch, BatchQueue, Ticket
from stripwatch.stages.bookings import Bookings, book
from stripwatch.stages.heartbeat import Heartbeat
from stripwatch.stages.histogram import Histogram
from stripwatch.stages.latency import LatencyWindow
from stripwatch.stages.numbering import Message, NumberedView, number_events
from stripwatch.wire.event import (
    NO_SEQ,
    NO_STREAM,
    DaemonReload,
    DaemonStart,
    DaemonStop,
    NumberedEvent,
    Status,
    build_event,
)

STATUS_PERIOD_S = 1.0
POLL_S = 0.05  # longest wait for a batch, so that subscriptions are read
BOOK_S = 0.1  # clean frames wait so long for events, to share a commit with them
RETRY_S_MIN = 0.1  # after a fault of the journal, growing
RETRY_S_MAX = 2.0


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
        limits: Limits,
        heartbeat: Heartbeat,
    ) -> None:
        self._journal = journal
        self._retention = Retention(journal, limits)
        self._publisher = publisher
        self._images = images
        self._pictures = pictures
        self._heartbeat = heartbeat
        self._log = structlog.get_logger()
        self._queue = BatchQueue()
        self._bookings = Bookings(past)
        self._clean: list[Batch] = []  # without events, still to be booked
        self._book_at_s = 0.0
        self._tick: Callable[[], None] = lambda: None
        self._next_tick_s = 0.0
        self.ledger = Ledger()  # what was published
        self.latency = LatencyWindow()
        self.stream = journal.stream
        self.last_seq = journal.last_seq  # of the event published last
        self.commit_s = Histogram()
        self._writing_ns = 0  # when the oldest batch that is being written was inspected
        self.fault = ""  # why the journal cannot be written; read by other threads
        self._is_after_crash = past.is_unclean
        for camera, account in ((record.camera, record.account) for record in past.coverage):
            self.ledger.restore(camera, replace(account, missed=account.missed.copy()))

    def put(self, batch: Batch, beat: Callable[[], None]) -> None:
        """Deliver thread: hand over a batch; waits while too much waits already."""
        self._queue.put(batch, beat)

    def tell(self, event: DaemonReload) -> None:
        """Any thread: journal and publish an event of the daemon itself."""
        self._queue.add(Batch([event]))

    def offer(self, event: NumberedEvent) -> Ticket:
        """Any thread: hand over an event that is not of frames.

        Raises:
            StorageError: the journal cannot be written, or too much waits for it.
        """
        ticket = Ticket()
        if self.fault:
            raise StorageError(self.fault)
        if not self._queue.offer(Batch([event], ticket=ticket)):
            raise StorageError("too many events wait for the journal; try again")
        return ticket

    def close(self) -> None:
        """Deliver thread: nothing will follow."""
        self._queue.close()

    def wake(self) -> None:
        """Images thread: an image is ready to be published."""
        self._queue.wake()

    @property
    def waiting(self) -> int:
        """Events and frames that wait to be written."""
        return self._queue.size

    @property
    def lag_s(self) -> float:
        """How long the oldest events that are not journalled have waited; any thread reads it."""
        oldest_ns = self._writing_ns or self._queue.oldest_ns
        return (time.monotonic_ns() - oldest_ns) / 1e9 if oldest_ns else 0.0

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
                self._take(self._queue.take(0 if more_waits else POLL_S))
                self._retention.keep_up()
            self._send(self._clean)
            self._publish(self._images.finish())
            self._pictures.finish()
            self._send([Batch([stop()])])
            tick()
            self._retention.finish()
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

    def _take(self, batches: Sequence[Batch]) -> None:
        """Send these batches; clean ones may wait for `BOOK_S`, since a commit is costly.

        A daemon that is killed meanwhile has inspected a few frames more than it has booked: they
        are part of the gap that the next one tells of.
        """
        now_ns = time.monotonic_ns()
        for batch in batches:
            if not batch.outputs:  # nothing is to be published
                self.latency.add_all(batch.latencies_ms(now_ns))
        if not self._clean:
            self._book_at_s = now_ns / 1e9 + BOOK_S
        self._clean += batches
        if any(batch.outputs for batch in batches) or now_ns / 1e9 >= self._book_at_s:
            gathered, self._clean = self._clean, []
            self._send(gathered)

    def _publish(self, images: Sequence[list[bytes]]) -> None:
        for message in images:
            self._publisher.send(message)

    def _send(self, batches: Sequence[Batch]) -> None:
        """Number, journal and publish the events of these batches, and book their frames."""
        self._writing_ns = batches[0].inspected_ns if batches else 0
        messages = self._commit(batches)
        self._writing_ns = 0
        for message in messages:
            if isinstance(message, DefectiveFrame):
                self._images.put(message)
            elif isinstance(message, NumberedView):
                self._pictures.put(self._journal.stream, message.seq, message.view)
            else:
                self._publisher.send(message)
        self.stream, self.last_seq = self._journal.stream, self._journal.last_seq
        published_ns = time.monotonic_ns()
        for batch in batches:
            if batch.ticket:
                batch.ticket.written.set()
            book(self.ledger, batch.entries)
            if batch.outputs:
                self.latency.add_all(batch.latencies_ms(published_ns))

    def _commit(self, batches: Sequence[Batch]) -> list[Message]:
        """Journal the events and the coverage of these batches, however long that takes.

        Returns what is to be published, in order.

        Raises:
            JournalReplaced: the journal is another one now.
        """
        transaction = self._bookings.transaction(batches)
        end = self._journal.end
        messages = number_events(batches, transaction, end)
        wait_s = RETRY_S_MIN
        while transaction:
            try:
                if self.fault:
                    self._journal.reopen()
                    if self._has(transaction, end):
                        self._journal.settle()
                        break
                    if self._journal.end != end:
                        transaction = self._begin_anew(batches)
                        end = self._journal.end
                        messages = number_events(batches, transaction, end)
                begun_s = time.monotonic()
                self._journal.append(transaction)
                self.commit_s.add(time.monotonic() - begun_s)
                break
            except JournalReplaced:
                raise
            except StorageError as error:
                self._hold(error, wait_s)
                wait_s = min(2 * wait_s, RETRY_S_MAX)
        if self.fault:
            self._log.info("journal can be written again")
            self.fault = ""
        self._bookings.written(transaction)
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

    def _has(self, transaction: Transaction, end: tuple[str, int]) -> bool:
        """Whether a journal that ended so has the transaction after all.

        The disk may have it all, and fail when it is to say so.
        """
        stream, last_seq = end
        count = len(transaction.events)
        return count > 0 and self._journal.end == (stream, last_seq + count)

    def _begin_anew(self, batches: Sequence[Batch]) -> Transaction:
        """The first transaction of the journal that was made in place of one that is gone.

        Raises:
            JournalReplaced: it is no new one.
        """
        journal = self._journal
        if journal.last_seq or journal.past().coverage:
            raise JournalReplaced(
                f"journal {journal.path}: another journal is in its place, of stream "
                f"{journal.stream} and event {journal.last_seq}; the next start goes on with it"
            )
        self._log.error("the journal is gone; a new stream begins", stream=journal.stream)
        return self._bookings.begin_anew(batches)


def _unclean_stop(t_ns: int) -> DaemonStop:
    return DaemonStop(stream=NO_STREAM, seq=NO_SEQ, t_ns=t_ns, reason="unclean", detail="")
