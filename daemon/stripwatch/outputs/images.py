"""The images thread: defective frames as JPEGs, for subscribers to `image.<camera>`.

To make a JPEG takes longer than to inspect a frame. So a thread of its own makes them, in a share
of the time, from copies of bounded size; what there is no room for is dropped and counted.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from stripwatch.inspect.inspector import DefectiveFrame
from stripwatch.outputs.room import FINISH_S_MAX, IDLE_S, REST, Room
from stripwatch.wire.frame import FrameHeader, image_topic

HELD_BYTES_MAX = 16 * 1024 * 1024  # of copies: 40 frames of 256x1600
JPEG_QUALITY = 90

Message = list[bytes]


class Images:
    """Copies of defective frames on their way to the images thread, and its messages back."""

    def __init__(self) -> None:
        self._frames: queue.SimpleQueue[DefectiveFrame | None] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._room = Room(HELD_BYTES_MAX)  # for copies that are not images yet
        self._closing = threading.Event()
        self._over = threading.Event()
        self.dropped = 0  # images, since the start; written by the deliver thread

    def copy(self, frame: DefectiveFrame) -> DefectiveFrame | None:
        """Deliver thread: a copy that outlives the slot; None: there is no room, it is dropped."""
        if not self._room.take(frame.pixels.nbytes):
            self.dropped += 1
            return None
        return DefectiveFrame(frame.header, frame.pixels.copy())

    @property
    def waiting(self) -> int:
        """Frames of which no image was made yet."""
        return self._frames.qsize()

    def put(self, frame: DefectiveFrame) -> None:
        """Outbox thread: make an image of a copy, now that the defects before it are published."""
        self._frames.put(frame)

    def take(self) -> list[Message]:
        """Outbox thread: the images that are ready, to be published."""
        return [self._ready.get_nowait() for _ in range(self._ready.qsize())]

    def finish(self) -> list[Message]:
        """Outbox thread: no frame will follow; waits for the images of those under way."""
        self._closing.set()
        self._frames.put(None)
        self._over.wait(FINISH_S_MAX)
        return self.take()

    def run(self, beat: Callable[[], None], on_ready: Callable[[], None]) -> None:
        """Make images until the outbox thread is done; `on_ready` is called after each."""
        try:
            while True:
                beat()
                try:
                    frame = self._frames.get(timeout=IDLE_S)
                except queue.Empty:
                    continue
                if frame is None:
                    return
                started_s = time.monotonic()
                self._ready.put(build_image(frame.header, frame.pixels))
                self._room.give_back(frame.pixels.nbytes)
                on_ready()
                self._closing.wait(REST * (time.monotonic() - started_s))
        finally:
            self._over.set()


def build_image(header: FrameHeader, pixels: NDArray[np.uint8]) -> Message:
    """A frame as a message of version 1 with a JPEG, under the topic `image.<camera>`."""
    _, jpeg = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
    coded = msgspec.structs.replace(header, codec="jpeg", shape=pixels.shape)
    return [image_topic(header.camera), msgspec.json.encode(coded), jpeg.tobytes()]
