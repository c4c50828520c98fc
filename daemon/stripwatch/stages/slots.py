"""Slots: the batches of frame memory that move through the pipeline, and their states.

This file alone decides who may touch a slot. A slot's memory belongs to the thread that holds it,
and a slot carries misses in order with its frames (ADR 3). It moves through three queues:

    receive --ready--> engine --done--> deliver --free--> receive

Images are decoded into their rows meanwhile. A closed slot becomes ready when its last image is
decoded and every slot that was closed before it is ready (ADR 16).
"""

from __future__ import annotations

import queue
import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from stripwatch.engines.base import IN_FLIGHT, BatchResult, Frames, page_aligned
from stripwatch.inspect.coverage import Entry
from stripwatch.inspect.model import Model
from stripwatch.stages.follow import Follow


class State(Enum):
    """State of a slot: which thread or queue holds it."""

    FREE = "free"  # in the free queue
    FILLING = "filling"  # with the receive thread
    CLOSED = "closed"  # waits until its images are decoded
    READY = "ready"  # in the ready queue
    RUNNING = "running"  # with the engine thread
    DONE = "done"  # in the done queue, or with the deliver thread


_ALLOWED = {
    (State.FREE, State.FILLING),
    (State.FILLING, State.CLOSED),
    (State.CLOSED, State.READY),
    (State.FILLING, State.FREE),  # the daemon stops and nothing was in it
    (State.READY, State.RUNNING),
    (State.RUNNING, State.DONE),
    (State.DONE, State.FREE),
}


def slot_count() -> int:
    """Number of slots the pipeline needs: one for each place where a slot can be."""
    return sum(
        (
            1,  # FILLING in the receive thread
            1,  # CLOSED or READY, so that the engine never waits for the receiver
            IN_FLIGHT,  # RUNNING
            1,  # DONE, being inspected and published
            1,  # DONE, waiting while the one before it is published
        )
    )


@dataclass(slots=True)
class Slot:
    """One batch: frame memory and what is in it. Times are monotonic nanoseconds."""

    index: int
    frames: Frames  # uint8 [rows, lines, pixels]
    state: State = State.FREE
    rows: int = 0
    entries: list[Entry] = field(default_factory=list)
    decoding: int = 0  # images that are still being decoded; guarded by the ring's lock
    opened_ns: int = 0  # first entry
    submitted_ns: int = 0
    done_ns: int = 0
    model: Model | None = None  # that the result is of
    result: BatchResult | None = None  # None: no rows, or the engine failed
    change: Follow | None = None  # alone in its slot: it lies between the frames of two others

    def move(self, state: State) -> None:
        """Change state; an illegal change is a bug."""
        assert (self.state, state) in _ALLOWED, f"slot {self.index}: {self.state} -> {state}"
        self.state = state


_CLOSED = Slot(-1, np.zeros((0, 0, 0), np.uint8))  # in a queue: no slot will follow


class SlotRing:
    """All slots, their memory, and the queues between the threads."""

    def __init__(self, rows: int, frame_shape: tuple[int, int]) -> None:
        self.slots = tuple(
            Slot(index, page_aligned((rows, *frame_shape), np.uint8))
            for index in range(slot_count())
        )
        self.rows = rows
        self._free: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        self.ready_closed = False  # engine thread: no slot will follow
        self.done_closed = False  # deliver thread: no slot will follow
        self._closed: deque[Slot] = deque()  # in order; the first still has images to decode
        self._lock = threading.Lock()  # of `_closed` and the slots' `decoding`
        self._broken = threading.Event()  # no slot will be released any more
        for slot in self.slots:
            self._free.put(slot)

    def states(self) -> dict[State, int]:
        """Number of slots in each state; any thread may ask."""
        counts = Counter(slot.state for slot in self.slots)
        return {state: counts[state] for state in State}

    def open(self, timeout_s: float = 0) -> Slot | None:
        """Receive thread: a slot to fill, or None when none is free in time."""
        slot = _get(self._free, timeout_s)
        if slot is not None:
            slot.move(State.FILLING)
        return slot

    def close(self, slot: Slot) -> None:
        """Receive thread: hand a filled slot on; it is ready once its images are decoded."""
        slot.move(State.CLOSED)
        with self._lock:
            self._closed.append(slot)
            self._pass_on()

    def begin_decoding(self, slot: Slot) -> None:
        """Receive thread: an image of this slot is about to be decoded."""
        with self._lock:
            slot.decoding += 1

    def end_decoding(self, slot: Slot) -> None:
        """Decode thread: an image of this slot is decoded, or was found to be bad."""
        with self._lock:
            slot.decoding -= 1
            self._pass_on()

    def _pass_on(self) -> None:
        """Move the closed slots that are complete to the engine, in order; holds the lock."""
        while self._closed and not self._closed[0].decoding:
            slot = self._closed.popleft()
            if slot is not _CLOSED:
                slot.move(State.READY)
            self._ready.put(slot)

    def engine_is_behind(self) -> bool:
        """Receive thread: a slot that was closed before still waits for decoding or the engine."""
        return bool(self._closed) or not self._ready.empty()

    def put_back(self, slot: Slot) -> None:
        """Receive thread: return an open slot in which nothing was put."""
        assert not slot.entries
        slot.move(State.FREE)
        self._free.put(slot)

    def close_ready(self) -> None:
        """Receive thread: no slot will follow."""
        with self._lock:
            self._closed.append(_CLOSED)
            self._pass_on()

    def take_ready(self, timeout_s: float) -> Slot | None:
        """Engine thread: the next slot to run; None when none came in time or none will come."""
        slot = _get(self._ready, timeout_s)
        if slot is _CLOSED:
            self.ready_closed = True
            return None
        if slot is not None:
            slot.move(State.RUNNING)
        return slot

    def finish(self, slot: Slot) -> None:
        """Engine thread: hand a slot with its result to delivery."""
        slot.move(State.DONE)
        self._done.put(slot)

    def close_done(self) -> None:
        """Engine thread: no slot will follow."""
        self._done.put(_CLOSED)

    def take_done(self, timeout_s: float) -> Slot | None:
        """Deliver thread: the next slot to deliver; None when none came or none will come."""
        slot = _get(self._done, timeout_s)
        if slot is _CLOSED:
            self.done_closed = True
            return None
        return slot

    def release(self, slot: Slot) -> None:
        """Deliver thread: the slot may be filled again."""
        slot.rows = slot.opened_ns = 0
        slot.entries.clear()
        slot.model = slot.result = slot.change = None
        slot.move(State.FREE)
        self._free.put(slot)

    def break_off(self) -> None:
        """Deliver thread, on its failure: no slot will be released, so none is to be waited for."""
        self._broken.set()

    @property
    def broken(self) -> bool:
        """Whether waiting for a free slot is in vain."""
        return self._broken.is_set()

    def assert_all_free(self) -> None:
        """After the threads have ended: every slot came back."""
        held = [(slot.index, slot.state) for slot in self.slots if slot.state is not State.FREE]
        assert not held, held


def _get(source: queue.SimpleQueue[Slot], timeout_s: float) -> Slot | None:
    try:
        return source.get(timeout=timeout_s) if timeout_s else source.get_nowait()
    except queue.Empty:
        return None
