"""The live picture of a camera: frames with defects, small, with their masks, while somebody looks.

The daemon makes pictures of frames only for those who subscribe to them, so the subscription lasts
from the first look to a few seconds after the last.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import OrderedDict

import cv2
import msgspec

from stripwatch.client.messages import FrameImage
from stripwatch.client.subscriber import Subscriber
from stripwatch.config.sections import Config
from stripwatch.net.curve import ClientCurve
from stripwatch.page.daemon_link import open_subscriber
from stripwatch.view.overlay import draw_masks
from stripwatch.wire.causes import WireError
from stripwatch.wire.event import Defect

PICTURES_PER_S = 4.0
WIDTH_PX_MAX = 800
JPEG_QUALITY = 80
IDLE_S = 5.0  # without a look, after which the subscription ends
LOOK_S = 1.0  # between two notes that somebody still looks
POLL_S = 0.25
FRAMES_KEPT = 64  # whose defects have come and whose picture has not
QUEUE = 200  # messages that wait for us; the daemon drops what is beyond


class LivePicture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture of a camera."""

    number: int
    jpeg: bytes
    strip: str | None
    frame_seq: int
    t_ns: int
    downweb_m: float | None


class LiveCamera:
    """One camera's pictures; `look` belongs to the event loop."""

    def __init__(self, config: Config, camera: str, curve: ClientCurve | None = None) -> None:
        """Nothing is subscribed to yet."""
        self._config = config
        self._curve = curve
        self._camera = camera
        self._pulse = asyncio.Event()  # set with each picture, and made anew
        self._latest: LivePicture | None = None
        self._looked_s = 0.0
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._number = time.time_ns() // 1_000_000  # goes on after a restart

    @property
    def is_subscribed(self) -> bool:
        """Whether the daemon makes pictures for us."""
        return self._thread is not None and self._thread.is_alive()

    async def look(self, after: int, wait_s: float) -> LivePicture | None:
        """The newest picture with a number above `after`; None: there is none in time."""
        self._looked_s = time.monotonic()
        if not self.is_subscribed:
            self._thread = threading.Thread(target=self._run, name="live", daemon=True)
            self._thread.start()
        until_s = time.monotonic() + wait_s
        while self._latest is None or self._latest.number <= after:
            self._looked_s = now_s = time.monotonic()
            if now_s >= until_s or self._stop.is_set():
                return None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._pulse.wait(), min(until_s - now_s, LOOK_S))
        return self._latest

    def let_go(self) -> None:
        """Answer those who look, at once."""
        self._stop.set()
        self._pulse.set()

    async def close(self) -> None:
        """End the subscription."""
        self.let_go()
        if self._thread:
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        subscriber = open_subscriber(
            self._config,
            (f"image.{self._camera}", f"defect.{self._camera}."),
            QUEUE,
            self._curve,
        )
        if subscriber is None:
            return
        with subscriber:
            self._follow(subscriber)

    def _follow(self, subscriber: Subscriber) -> None:
        defects: OrderedDict[tuple[str, int], list[Defect]] = OrderedDict()
        due_s = 0.0
        while not self._stop.is_set() and time.monotonic() - self._looked_s < IDLE_S:
            event = subscriber.receive(POLL_S)
            if isinstance(event, Defect):
                key = (event.session, event.frame_seq)
                defects.setdefault(key, []).append(event)
                if len(defects) > FRAMES_KEPT:
                    defects.popitem(last=False)
            elif isinstance(event, FrameImage):
                header = event.header
                if header.camera != self._camera:
                    continue  # the topic is the beginning of another camera's
                of_frame = defects.pop((header.session, header.seq), [])
                if time.monotonic() < due_s:
                    continue
                due_s = time.monotonic() + 1 / PICTURES_PER_S
                self._show(event, of_frame)

    def _show(self, image: FrameImage, defects: list[Defect]) -> None:
        try:
            jpeg = picture(image, defects)
        except WireError:
            return  # counted by nobody: the next one comes soon
        header = image.header
        downweb = [
            one.position.downweb_mm for one in defects if one.position.downweb_mm is not None
        ]
        self._number += 1
        shown = LivePicture(
            number=self._number,
            jpeg=jpeg,
            strip=header.strip,
            frame_seq=header.seq,
            t_ns=header.t_ns,
            downweb_m=min(downweb) / 1000 if downweb else None,
        )
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._hand_over, shown)

    def _hand_over(self, shown: LivePicture) -> None:
        self._latest = shown
        self._pulse.set()
        self._pulse = asyncio.Event()


def picture(image: FrameImage, defects: list[Defect]) -> bytes:
    """A frame with its masks as a small JPEG.

    Raises:
        WireError: the frame cannot be decoded.
    """
    drawn = draw_masks(image.pixels(), defects)
    lines, pixels = drawn.shape[:2]
    if pixels > WIDTH_PX_MAX:
        size = (WIDTH_PX_MAX, max(1, round(lines * WIDTH_PX_MAX / pixels)))
        drawn = cv2.resize(drawn, size, interpolation=cv2.INTER_AREA).astype("uint8")
    bgr = cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
    return jpeg.tobytes()
