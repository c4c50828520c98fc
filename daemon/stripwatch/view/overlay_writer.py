"""Writes an overlay PNG for every frame with defects, as events and images arrive."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import cv2

from stripwatch.client.messages import FrameImage
from stripwatch.errors import StorageError
from stripwatch.files import write_whole
from stripwatch.view.overlay import add_caption, draw_overlay
from stripwatch.wire.causes import WireError
from stripwatch.wire.event import Defect
from stripwatch.wire.frame import FrameHeader

NO_COIL = "no-coil"
FRAME_DIGITS = 9  # so that names sort as frames follow each other, for weeks
FRAMES_MAX = 64  # with defects that wait for their image
DEFECTS_PER_FRAME_MAX = 1000  # drawn; a frame with more is illegible anyway

_Key = tuple[str, str, int]  # camera, session, frame seq


class OverlayWriter:
    """Collects the defects of a frame until its image arrives, which the daemon sends after them.

    A frame is given up when its image has not come and `FRAMES_MAX` later frames have defects.
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder.

        Raises:
            StorageError: it cannot be made.
        """
        self._folder = folder
        self._waiting: OrderedDict[_Key, list[Defect]] = OrderedDict()
        self.written = 0
        self.without_image = 0  # frames with defects that were given up
        self.malformed = 0  # images or masks that could not be decoded
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{folder} cannot be made: {error.strerror}") from error

    @property
    def waiting(self) -> int:
        """Number of frames with defects whose image has not arrived yet."""
        return len(self._waiting)

    def add_defect(self, event: Defect) -> None:
        """Keep a defect until the image of its frame arrives."""
        key = (event.camera, event.session, event.frame_seq)
        defects = self._waiting.setdefault(key, [])
        if len(defects) < DEFECTS_PER_FRAME_MAX:
            defects.append(event)
        if len(self._waiting) > FRAMES_MAX:
            self._waiting.popitem(last=False)
            self.without_image += 1

    def add_image(self, image: FrameImage) -> Path | None:
        """Write the overlay of a frame; None if it has no defects.

        Raises:
            StorageError: the file cannot be written.
        """
        header = image.header
        defects = self._waiting.pop((header.camera, header.session, header.seq), None)
        if not defects:
            return None
        try:
            overlay = draw_overlay(image.pixels(), defects)
        except WireError:
            self.malformed += 1
            return None
        path = self._folder / _file_name(header)
        encoded, png = cv2.imencode(".png", add_caption(overlay, _caption(header, defects)))
        assert encoded
        try:
            write_whole(path, png.tobytes())
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror}") from error
        self.written += 1
        return path


def _file_name(header: FrameHeader) -> str:
    """A name that sorts by coil, camera and frame; the session keeps it from being used twice."""
    coil = re.sub(r"[^A-Za-z0-9.-]", "-", header.strip or NO_COIL).strip(".")
    return f"{coil}_{header.camera}_{header.seq:0{FRAME_DIGITS}d}_{header.session}.png"


def _caption(header: FrameHeader, defects: Sequence[Defect]) -> str:
    """Coil, camera, frame, place of the defects on the strip, and local time."""
    moment = datetime.fromtimestamp(header.t_ns / 1e9).astimezone()
    parts = [
        f"coil {header.strip or '-'}",
        f"camera {header.camera}",
        f"frame {header.seq}",
        _place(defects),
        moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}",
    ]
    return "    ".join(filter(None, parts))


def _place(defects: Sequence[Defect]) -> str:
    places = [entry.position.downweb_mm for entry in defects]
    known = [place / 1000 for place in places if place is not None]
    if not known:
        return ""
    first, last = f"{min(known):.3f}", f"{max(known):.3f}"
    return f"at {first} m" if first == last else f"at {first} to {last} m"
