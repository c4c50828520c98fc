"""The pictures thread: what each defect looks like, kept beside its event.

It works as the images thread does: from copies of bounded size, in a share of the time. What there
is no room for is dropped and counted; events never wait for pictures.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import structlog
from numpy.typing import NDArray

from stripwatch.config.sections import PicturesSection
from stripwatch.errors import StorageError
from stripwatch.journal.pictures import Picture, PictureStore
from stripwatch.outputs.images import JPEG_QUALITY
from stripwatch.outputs.room import FINISH_S_MAX, IDLE_S, REST, Room
from stripwatch.wire.event import Defect
from stripwatch.wire.rle import decode_severstal

HELD_BYTES_MAX = 4 * 1024 * 1024  # of copies, with their events
EVENT_BYTES = 4096  # of a defect, about: many small ones must not take memory without a limit
GROUP_MAX = 50  # pictures of so many defects are written together
PNG_SETTINGS = (cv2.IMWRITE_PNG_COMPRESSION, 1)  # three times as fast as the default, 5 % larger


@dataclass(frozen=True, slots=True)
class View:
    """Copies of what is around a defect."""

    defect: Defect
    place_px: tuple[int, int]  # x and y of the crop in the frame
    crop: NDArray[np.uint8]  # [lines, pixels]
    frame: NDArray[np.uint8] | None  # the whole frame, where its class asks for it

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return _size(self.crop, self.frame)


class Pictures:
    """Views of defects on their way to the pictures thread."""

    def __init__(self, settings: PicturesSection, folder: Path) -> None:
        """Open the file of pictures in the journal's folder, if any are wanted.

        Raises:
            StorageError: it cannot be opened.
        """
        self._settings = settings
        self._store = PictureStore(folder) if settings.crops or settings.frames_of else None
        self._views: queue.SimpleQueue[tuple[str, int, View] | None] = queue.SimpleQueue()
        self._room = Room(HELD_BYTES_MAX)
        self._over = threading.Event()
        self._closing = threading.Event()
        self._log = structlog.get_logger()
        self._fault = ""
        self.dropped = 0  # views since the start; written by the deliver thread
        self.failed = 0  # views since the start that could not be written

    def view(self, defect: Defect, pixels: NDArray[np.uint8]) -> View | None:
        """Deliver thread: copies of what is around a defect.

        None where none are wanted, or there is no room.

        Args:
            defect: without a number yet.
            pixels: uint8 [lines, pixels], the frame that it is in.
        """
        whole = defect.class_name in self._settings.frames_of
        if self._store is None or not (self._settings.crops or whole):
            return None
        x, y, width, height = defect.bbox_px
        margin = self._settings.margin_px
        left, top = max(0, x - margin), max(0, y - margin)
        crop = pixels[top : y + height + margin, left : x + width + margin]
        if not self._room.take(_size(crop, pixels if whole else None)):
            self.dropped += 1
            return None
        return View(defect, (left, top), crop.copy(), pixels.copy() if whole else None)

    @property
    def waiting(self) -> int:
        """Defects whose pictures are not kept yet."""
        return self._views.qsize()

    def put(self, stream: str, seq: int, view: View) -> None:
        """Outbox thread: keep pictures of a defect, now that its event is published."""
        self._views.put((stream, seq, view))

    def finish(self) -> None:
        """Outbox thread: no view will follow; waits for the pictures of those under way."""
        self._closing.set()
        self._views.put(None)
        self._over.wait(FINISH_S_MAX)

    def run(self, beat: Callable[[], None]) -> None:
        """Make and keep pictures until the outbox thread is done."""
        try:
            is_over = False
            while not is_over:
                beat()
                group, is_over = self._take()
                if group and self._store is not None:
                    started_s = time.monotonic()
                    self._keep(self._store, group)
                    self._closing.wait(REST * (time.monotonic() - started_s))
        finally:
            self._over.set()
            if self._store is not None:
                self._store.close()

    def _take(self) -> tuple[list[tuple[str, int, View]], bool]:
        """The views that wait, up to `GROUP_MAX`, and whether none will follow."""
        group: list[tuple[str, int, View]] = []
        try:
            entry = self._views.get(timeout=IDLE_S)
            while entry is not None:
                group.append(entry)
                if len(group) == GROUP_MAX:
                    return group, False
                entry = self._views.get_nowait()
        except queue.Empty:
            return group, False
        return group, True

    def _keep(self, store: PictureStore, group: Sequence[tuple[str, int, View]]) -> None:
        pictures = [
            picture
            for stream, seq, view in group
            for picture in _pictures(stream, seq, view, crops=self._settings.crops)
        ]
        try:
            store.add(pictures)
            store.keep(self._settings.gigabytes_max * 1e9)
            self._fault = ""
        except StorageError as error:
            self.failed += len(group)
            if str(error) != self._fault:
                self._fault = str(error)
                self._log.warning("pictures cannot be kept", error=self._fault)
        self._room.give_back(sum(view.size for _, _, view in group))


def _size(crop: NDArray[np.uint8], frame: NDArray[np.uint8] | None) -> int:
    return EVENT_BYTES + crop.nbytes + (0 if frame is None else frame.nbytes)


def _pictures(stream: str, seq: int, view: View, *, crops: bool) -> list[Picture]:
    """The pictures of a view, encoded."""
    made: list[Picture] = []
    if crops:
        x, y = view.place_px
        lines, pixels = view.crop.shape
        mask = decode_severstal(view.defect.rle, view.defect.frame_shape)
        part = mask[y : y + lines, x : x + pixels] * np.uint8(255)
        bilevel = (*PNG_SETTINGS, cv2.IMWRITE_PNG_BILEVEL, 1)
        made.append(Picture(stream, seq, "crop", (x, y), _encode(".png", view.crop, PNG_SETTINGS)))
        made.append(Picture(stream, seq, "mask", (x, y), _encode(".png", part, bilevel)))
    if view.frame is not None:
        quality = (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)
        made.append(Picture(stream, seq, "frame", (0, 0), _encode(".jpg", view.frame, quality)))
    return made


def _encode(suffix: str, pixels: NDArray[np.uint8], settings: Sequence[int]) -> bytes:
    _, image = cv2.imencode(suffix, pixels, settings)
    return image.tobytes()
