"""The decode threads: PNG and JPEG payloads into their rows, while the receive thread reads on."""

from __future__ import annotations

import queue
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stripwatch.inspect.coverage import Row, miss_of
from stripwatch.stages.heartbeat import Heartbeat
from stripwatch.stages.slots import Slot, SlotRing
from stripwatch.wire.causes import Cause
from stripwatch.wire.frame import BadFrame, decode_image

THREADS = 2  # an image of 256x1600 takes 4 to 13 ms, so two threads decode 150 to 500 a second
IDLE_S = 0.2  # longest wait for an image, so that the heartbeat continues


@dataclass(frozen=True, slots=True)
class CodedFrame:
    """An image that waits to be decoded."""

    slot: Slot
    entry: int  # index of its `Row` in the slot's entries
    payload: bytes
    endpoint: str  # on which it arrived, for the log


class Decoders:
    """The queue of images, and what its threads do.

    A thread writes only the row and the entry of the image that it decodes, before the slot is
    ready. The slots bound the queue: it holds at most one image for each of their rows.
    """

    def __init__(self, ring: SlotRing) -> None:
        self._ring = ring
        self._images: queue.SimpleQueue[CodedFrame | None] = queue.SimpleQueue()
        self.last_faults: dict[Cause, tuple[str, str]] = {}  # endpoint and detail, by cause

    def add(self, image: CodedFrame) -> None:
        """Receive thread: decode an image; its slot is not ready before that is done."""
        self._ring.begin_decoding(image.slot)
        self._images.put(image)

    @property
    def waiting(self) -> int:
        """Images that no thread has begun to decode."""
        return self._images.qsize()

    def close(self) -> None:
        """Receive thread: no image will follow."""
        for _ in range(THREADS):
            self._images.put(None)

    def run(self, heartbeat: Heartbeat) -> None:
        """Decode until the receive thread closes the queue; each thread calls this."""
        while True:
            heartbeat.beat()
            try:
                image = self._images.get(timeout=IDLE_S)
            except queue.Empty:
                continue
            if image is None:
                return
            try:
                self._decode(image)
            finally:
                self._ring.end_decoding(image.slot)

    def _decode(self, image: CodedFrame) -> None:
        """Write an image into its row; a bad one becomes a miss in the place of its row."""
        row = image.slot.entries[image.entry]
        assert isinstance(row, Row)
        pixels: NDArray[np.uint8] = image.slot.frames[row.row]
        try:
            pixels[: row.header.shape[0]] = decode_image(row.header, image.payload)
        except BadFrame as error:
            pixels[:] = 0
            image.slot.entries[image.entry] = miss_of(row.header, error.cause)
            self.last_faults[error.cause] = (image.endpoint, error.detail)
