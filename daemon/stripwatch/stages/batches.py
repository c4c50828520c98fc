"""What deliver hands to the outbox: the events of a slot, in a queue of bounded size."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from stripwatch.inspect.coverage import Entry, Row
from stripwatch.inspect.inspector import Output
from stripwatch.outputs.pictures import View

WAITING_MAX = 10_000  # events and frames: some 10 MB, and 10 s of a clean strip at 800 frames/s
GROUP_EVENTS_MAX = 2000  # written in one transaction, so that its first does not wait for long
BEAT_S = 0.2


class Ticket:
    """What the thread that handed over an event by itself waits for."""

    def __init__(self) -> None:
        self.seq = 0  # of the event
        self.written = threading.Event()  # it is in the journal


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything that a slot has come to. Times are monotonic nanoseconds."""

    outputs: Sequence[Output | View]  # without numbers, in order; a view follows its defect
    entries: Sequence[Entry] = ()  # to book once they are journalled and published
    open_strips: dict[str, bytes | None] = field(default_factory=dict)  # by camera, at its end
    submitted_ns: int = 0
    done_ns: int = 0
    inspected_ns: int = 0
    ticket: Ticket | None = None  # for the last event

    @property
    def size(self) -> int:
        """What it counts for in the queue."""
        return len(self.outputs) + len(self.entries) + 1

    def latencies_ms(self, published_ns: int) -> Iterator[tuple[float, ...]]:
        """Latency of each frame in every stage, in the order of `Stage`; NaN: unknown."""
        for entry in self.entries:
            if isinstance(entry, Row):
                receive_ms = math.nan if entry.receive_ms is None else entry.receive_ms
                yield (
                    receive_ms,
                    (self.submitted_ns - entry.received_ns) / 1e6,
                    (self.done_ns - self.submitted_ns) / 1e6,
                    (self.inspected_ns - self.done_ns) / 1e6,
                    (published_ns - self.inspected_ns) / 1e6,
                    receive_ms + (published_ns - entry.received_ns) / 1e6,
                )


class BatchQueue:
    """Batches from the deliver thread to the outbox thread, at most `WAITING_MAX` in size.

    While storage is slow the queue is full and the deliver thread waits. It keeps its slot
    meanwhile, so frames are dropped at the door in the end, where they are counted.
    """

    def __init__(self) -> None:
        self._batches: deque[Batch] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._woken = False  # images thread: the outbox thread has something else to do
        self._closed = False  # deliver thread: nothing will follow
        self._broken = False  # outbox thread: nothing will be taken

    @property
    def size(self) -> int:
        """Events and frames that wait."""
        return self._size

    @property
    def oldest_ns(self) -> int:
        """When the oldest batch that waits was inspected; 0: none waits."""
        with self._changed:
            return self._batches[0].inspected_ns if self._batches else 0

    @property
    def over(self) -> bool:
        """Outbox thread: nothing waits, and nothing will follow."""
        return self._closed and not self._batches

    def put(self, batch: Batch, beat: Callable[[], None]) -> None:
        """Deliver thread: hand over a batch; call `beat` while there is no room."""
        with self._changed:
            while self._batches and self._size + batch.size > WAITING_MAX and not self._broken:
                beat()
                self._changed.wait(BEAT_S)
            self._append(batch)

    def add(self, batch: Batch) -> None:
        """Any thread: a batch of few events, for which there is always room."""
        with self._changed:
            self._append(batch)

    def offer(self, batch: Batch) -> bool:
        """Any thread: hand over a batch, if there is room."""
        with self._changed:
            if self._closed or self._broken or self._size + batch.size > WAITING_MAX:
                return False
            self._append(batch)
            return True

    def _append(self, batch: Batch) -> None:
        self._batches.append(batch)
        self._size += batch.size
        self._changed.notify_all()

    def take(self, timeout_s: float) -> list[Batch]:
        """Outbox thread: what waits, up to `GROUP_EVENTS_MAX`; waits for the first."""
        until_s = time.monotonic() + timeout_s
        with self._changed:
            while not self._batches and not self._closed and not self._woken:
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    return []
                self._changed.wait(left_s)
            self._woken = False
            taken: list[Batch] = []
            events = 0
            while self._batches and events < GROUP_EVENTS_MAX:
                batch = self._batches.popleft()
                taken.append(batch)
                events += len(batch.outputs)
                self._size -= batch.size
            self._changed.notify_all()
        return taken

    def wake(self) -> None:
        """Any thread: let `take` return soon, though nothing waits."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def close(self) -> None:
        """Deliver thread: nothing will follow."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def break_off(self) -> None:
        """Outbox thread, at its end: nobody shall wait for room."""
        with self._changed:
            self._broken = True
            self._changed.notify_all()
