"""The life of `stripwatch camera NAME`: from the buffers of one camera to frame messages.

    camera -> buffer -> number -> place on the strip -> grey -> light -> header -> daemon

Nothing that the camera or the network loses is hidden: it leaves a number out, or begins a new
session. A camera that stops ends the process; a new one connects it again.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import asdict

import msgspec
import structlog

from stripwatch.camera.base import Buffer, BufferStatus, OpenCamera
from stripwatch.camera.network_link import NetworkLink
from stripwatch.camera.numbering import Losses, SessionNumbers
from stripwatch.camera.parts import Parts
from stripwatch.camera.silence import Silence, Verdict
from stripwatch.config.cameras import CameraSource
from stripwatch.config.sections import Camera, Geometry
from stripwatch.errors import CameraError
from stripwatch.feed.frame_sender import FrameSender
from stripwatch.service.sdnotify import Notifier
from stripwatch.wire.frame import FrameHeader
from stripwatch.wire.light import LightFaults

POP_S = 0.25  # longest wait for a buffer, so that a stop is seen
REPORT_S = 1.0
LOSSES_S = 10.0  # between two lines of the log about losses that go on


class CameraProcess:
    """One run; all work is done in the thread that calls `run`."""

    def __init__(
        self,
        camera: Camera,
        geometry: Geometry,
        opened: OpenCamera,
        parts: Parts,
        sender: FrameSender,
        notifier: Notifier,
        link: NetworkLink,
    ) -> None:
        assert camera.source is not None
        self._camera = camera
        self._source: CameraSource = camera.source
        self._geometry = geometry
        self._opened = opened
        self._parts = parts
        self._sender = sender
        self._notifier = notifier
        self._log = structlog.get_logger().bind(camera=camera.name)
        self._numbers = SessionNumbers(opened.frame_id_period)
        self._link = link
        self._link_mbit_s: int | None = None
        self._silence = Silence(
            by_encoder=self._source.trigger == "encoder",
            frame_timeout_s=self._source.frame_timeout_ms / 1e3,
            now_s=time.monotonic(),
        )
        self._light_faults: LightFaults = ()
        self._sent = self._reported_sent = 0
        self._reported_s = 0.0
        self._reported_losses = Losses()
        self._losses_s = -math.inf

    def run(self, stop: threading.Event) -> None:
        """Send frames until `stop`.

        Raises:
            CameraError: the camera stopped, or does not answer.
            ConfigError: the camera refuses a chunk.
        """
        self._opened.start(self._source.buffers, self._source.chunks)
        self._log.info(
            "camera started",
            make=self._opened.identity.make,
            model=self._opened.identity.model,
            serial=self._opened.identity.serial,
            session=self._numbers.session,
            interface=self._link.interface,
        )
        self._notifier.ready()
        try:
            while not stop.is_set():
                self._turn()
        finally:
            losses = asdict(self._numbers.losses)
            self._log.info("camera stopped", sent=self._sent, **losses)
        self._notifier.stopping()
        self._sender.finish()

    def _turn(self) -> None:
        """Wait for a buffer, for `POP_S` at most, and do what is due."""
        buffer = self._opened.next_buffer(POP_S)
        now_s = time.monotonic()
        if buffer is None:
            self._judge_silence(now_s)
        else:
            try:
                self._take(buffer, now_s)
            finally:
                self._opened.release(buffer)
        if now_s - self._reported_s >= REPORT_S:
            self._report(now_s)

    def _take(self, buffer: Buffer, now_s: float) -> None:
        """Send a buffer, if it is whole.

        Raises:
            CameraError: for too long none was.
        """
        is_whole = buffer.status is BufferStatus.COMPLETE and buffer.pixels.shape[0] > 0
        was_whole_s = self._silence.whole_s(now_s)
        if self._silence.is_asking:
            silent_s = self._silence.silent_s(now_s)
            self._log.info("lines are triggered again", silent_s=round(silent_s, 1))
        self._silence.frame_came(now_s, is_whole=is_whole)
        if is_whole:
            self._pass_on(buffer)
            return
        self._numbers.losses.incomplete += 1
        if self._silence.is_none_whole(now_s):
            raise CameraError(
                f"frames come, and for {was_whole_s:.1f} s none was whole: {buffer.detail}; check "
                "the network (docs/cameras.md)"
            )

    def _pass_on(self, buffer: Buffer) -> None:
        """Send a buffer that is whole."""
        seq = self._numbers.number_of(buffer.frame_id)
        place = self._parts.place(buffer)
        lost_chunk = self._source.lines_lost_chunk
        lines_lost = max(0, int(buffer.chunks.get(lost_chunk, 0))) if lost_chunk else 0
        lines, pixels = buffer.pixels.shape
        seq = self._numbers.follow_line(seq, place, lines, lines_lost)
        grey = self._parts.to_grey(buffer.pixels)
        light = self._parts.watch(grey)
        if light.faults is not None and light.faults != self._light_faults:
            self._light_faults = light.faults
            self._log.warning("light changed", faults=msgspec.to_builtins(light.faults))
        header = FrameHeader(
            v=1,
            camera=self._camera.name,
            session=self._numbers.session,
            seq=seq,
            t_ns=self._parts.captured_ns(buffer),
            shape=(lines, pixels),
            dtype="u8",
            codec="raw",
            strip=place.strip,
            line=place.line,
            end=place.end,
            line_reversed=place.line_reversed,
            lines_lost=lines_lost,
            light=light.mean,
            light_faults=light.faults,
            clock=self._parts.clock(),
        )
        # Without a subscriber a publisher takes every frame, and nobody has it.
        is_heard = self._sender.has_receiver()
        if self._sender.try_send(header, grey.data.cast("B")) and is_heard:
            self._sent += 1
        else:
            self._numbers.losses.not_taken += 1

    def _judge_silence(self, now_s: float) -> None:
        """Ask the camera, where it has been silent for too long.

        Raises:
            CameraError: it has stopped.
        """
        if not self._silence.is_due(now_s):
            return
        silent_s = self._silence.silent_s(now_s)
        try:
            self._opened.check_alive()
            feature = self._source.line.feature if self._source.line else None
            count = int(self._opened.read(feature)) if feature else None
        except CameraError as error:
            raise CameraError(f"no frame for {silent_s:.1f} s, and no answer: {error}") from None
        per_line = self._source.line.counts_per_line if self._source.line else 1.0
        was_idle = self._silence.is_asking
        verdict = self._silence.judge(now_s, count, self._geometry.frame_lines * per_line)
        if verdict is Verdict.STOPPED:
            what = "its lines run free" if count is None else "the encoder turns"
            raise CameraError(
                f"no frame for {silent_s:.1f} s although the camera answers and {what}"
            )
        if not was_idle:
            self._log.info("no line is triggered; the strip stands", silent_s=round(silent_s, 1))

    def _report(self, now_s: float) -> None:
        """Feed the watchdog, and tell the log and systemd how it goes."""
        self._notifier.watchdog()  # a library that hangs does not come here
        losses = self._numbers.losses
        elapsed_s = now_s - self._reported_s if self._reported_s else REPORT_S
        rate = (self._sent - self._reported_sent) / elapsed_s
        self._reported_s, self._reported_sent = now_s, self._sent
        if losses != self._reported_losses and now_s - self._losses_s >= LOSSES_S:
            self._losses_s = now_s
            self._log.warning(
                "frames lost",
                session=self._numbers.session,
                **asdict(losses),
            )
            self._reported_losses = Losses(**asdict(losses))
        self._check_link()
        state = "the strip stands" if self._silence.is_asking else f"{rate:.1f} frames/s"
        lost = losses.frames + losses.not_taken + losses.jumps
        figures = "".join(f", {name} {value}" for name, value in self._parts.status().items())
        light = f", {len(self._light_faults)} light faults" if self._light_faults else ""
        self._notifier.status(
            f"{state}, {self._sent} sent, {lost} lost, {losses.lines} lines lost{figures}{light}"
        )

    def _check_link(self) -> None:
        """Report a network link that has become slower, or is slower than it must be."""
        speed = self._link.mbit_s()
        if speed == self._link_mbit_s:
            return
        self._link_mbit_s = speed
        if speed is not None and speed < self._source.link_mbit_s_min:
            self._log.error(
                "network link of the camera is too slow; frames will be lost: check cable and "
                "switch",
                interface=self._link.interface,
                mbit_s=speed,
                mbit_s_min=self._source.link_mbit_s_min,
            )
        elif speed is not None:
            self._log.info("network link", interface=self._link.interface, mbit_s=speed)
