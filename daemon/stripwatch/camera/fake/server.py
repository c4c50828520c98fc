"""The fake camera: answers commands and streams frames, in one thread.

It is a camera with an encoder, a largest line rate, a frame timeout and values in chunks. Where
the computer is too slow for it, its strip slows down: no frame is lost here that was not asked to
be.
"""

from __future__ import annotations

import ipaddress
import random
import selectors
import socket
import struct
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from stripwatch.camera.fake import wire
from stripwatch.camera.fake.control import Control
from stripwatch.camera.fake.description import CHUNKS, IMAGE_CHUNK
from stripwatch.camera.fake.motion import Exposure, LineTaker, Motion, StripLines
from stripwatch.camera.fake.registers import (
    FIRE_TEST_PACKET,
    PACKET_SIZE,
    STREAM_ADDRESS,
    STREAM_PORT,
    Registers,
)
from stripwatch.errors import AddressError
from stripwatch.feed.sources.frame import Source

STEP_S = 0.002  # between two looks at the encoder
BEHIND_S_MAX = 0.05  # then the strip waits for the computer
FRAMES_KEPT = 8  # for packets that are asked for again
BROADCASTS = ("255.255.255.255", "127.255.255.255")  # at which programs search for cameras
SEND_BUFFER_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeOptions:
    """What the fake camera does."""

    address: str = "127.0.0.1"
    serial: str = "F001"
    motion: Motion
    lost_per_1000: float = 0.0  # packets of the stream that are not sent
    can_resend: bool = True  # packets that are asked for again
    seed: int = 0  # of the loss
    first_frame_id: int = 1
    embeds_count: bool = False  # the encoder's count over the first 4 pixels of a frame
    heartbeat_ms: int = 3000  # without a command, after which control is free again


class FakeCamera:
    """A camera on one address; owns its sockets."""

    def __init__(self, options: FakeOptions, source: Source) -> None:
        """Listen.

        Raises:
            AddressError: the address is not of this computer, or has a camera already.
        """
        self.options = options
        self._source = source
        self.registers = Registers(
            options.address,
            options.serial,
            options.heartbeat_ms,
            can_resend=options.can_resend,
        )
        self.control = Control(self.registers, self._fire_test_packet, self._resend)
        self._chance = random.Random(options.seed)  # noqa: S311 - no secret
        self._frame_id = options.first_frame_id
        self._kept: OrderedDict[int, list[tuple[bytes, memoryview]]] = OrderedDict()
        self._lines: StripLines | None = None
        self._taker: LineTaker | None = None
        self._time_s = 0.0  # of the strip
        self._count = 0  # of the encoder
        self.frames_sent = 0
        self._gvcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._gvsp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._searches = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in BROADCASTS]
        try:
            for one, address in zip(self._searches, BROADCASTS, strict=True):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind((address, wire.GVCP_PORT))
                one.setblocking(False)
            self._gvcp.bind((options.address, wire.GVCP_PORT))
            self._gvsp.bind((options.address, 0))
        except OSError as error:
            self.close()
            raise AddressError(
                f"cannot listen on {options.address} port {wire.GVCP_PORT}: {error.strerror}; give "
                "each fake camera an address of its own: 127.0.0.1, 127.0.0.2 and so on"
            ) from None
        self._gvcp.setblocking(False)
        self._gvsp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the sockets."""
        for one in (self._gvcp, self._gvsp, *self._searches):
            one.close()

    def run(self, stop: threading.Event) -> None:
        """Be a camera until `stop`."""
        with selectors.DefaultSelector() as selector:
            for one in (self._gvcp, *self._searches):
                selector.register(one, selectors.EVENT_READ)
            before_s = time.monotonic()
            while not stop.is_set():
                selector.select(STEP_S)
                for one in (self._gvcp, *self._searches):
                    self._answer_commands(one)
                now_s = time.monotonic()
                self.control.check_heartbeat(now_s)
                self._move(min(now_s - before_s, BEHIND_S_MAX))
                before_s = now_s

    def _answer_commands(self, received: socket.socket) -> None:
        while True:
            try:
                message, sender = received.recvfrom(wire.GVCP_BYTES_MAX)
            except BlockingIOError:
                return
            command = wire.parse_command(message)
            if command is not None:
                reply = self.control.answer(command, sender, time.monotonic())
                if reply:
                    with suppress(OSError):  # a search from another computer, out of our reach
                        self._gvcp.sendto(reply, sender)

    def _move(self, step_s: float) -> None:
        """Let the strip run on, and send the frames that end."""
        self._time_s += step_s
        count = self.options.motion.lines_at(self._time_s)
        passed, first = count - self._count, self._count
        self._count = count
        self.registers.set("EncoderValue", count % 2**32)
        if not self.control.is_streaming:
            self._taker = None
            return
        if self._taker is None:
            self._begin()
        assert self._taker is not None
        if not self.registers.get("TriggerMode"):  # free: the line rate takes the encoder's place
            passed = int(self.registers.get("AcquisitionLineRate") * step_s)
        for exposure in self._taker.advance(first, passed, self._time_s, step_s):
            self._send(exposure)

    def _begin(self) -> None:
        lines, pixels = int(self.registers.get("Height")), int(self.registers.get("Width"))
        if self._lines is None or self._lines.take(1).shape[1] != pixels:
            self._lines = StripLines(self._source, pixels)
        timeout_s = self.registers.get("FrameTimeoutTime") / 1e3
        self._taker = LineTaker(
            lines,
            self.registers.get("AcquisitionLineRate"),
            timeout_s if self.registers.get("FrameTimeoutEnable") else None,
        )

    def _send(self, exposure: Exposure) -> None:
        assert self._lines is not None
        pixels = self._lines.take(exposure.lines)
        self._lines.skip(exposure.skipped)
        if self.options.embeds_count:
            pixels = pixels.copy()
            pixels[0, :4] = np.frombuffer(struct.pack(">I", exposure.first_count % 2**32), np.uint8)
        payload = np.ascontiguousarray(pixels).data.cast("B")
        values = {"EncoderValue": exposure.first_count, "LinesSkipped": exposure.skipped}
        chunks = [
            wire.chunk(CHUNKS[name], struct.pack(">I", values[name] % 2**32))
            for name in self.control.chunks()
        ]
        has_chunks = bool(self.registers.get("ChunkModeActive"))
        if has_chunks:
            ends = wire.chunk_end(IMAGE_CHUNK, len(payload))
            payload = memoryview(b"".join((payload, ends, *chunks)))
        shape = (int(self.registers.get("Height")), int(self.registers.get("Width")))
        frame = wire.StreamFrame(
            self._frame_id, time.time_ns(), shape, exposure.lines, payload, has_chunks
        )
        packets = wire.packets(frame, self.registers.word(PACKET_SIZE) & 0xFFFF)
        self._kept[self._frame_id] = packets
        while len(self._kept) > FRAMES_KEPT:
            self._kept.popitem(last=False)
        for packet in packets:
            self._send_packet(packet)
        self.frames_sent += 1
        self._frame_id = self._frame_id % 65535 + 1  # 0 is left out

    def _send_packet(self, packet: tuple[bytes, memoryview]) -> None:
        if self._chance.random() * 1000 < self.options.lost_per_1000:
            return
        with suppress(OSError):  # nobody listens any more; a camera does not care
            self._gvsp.sendmsg(packet, (), 0, self._destination())

    def _destination(self) -> tuple[str, int]:
        address = ipaddress.IPv4Address(self.registers.word(STREAM_ADDRESS))
        return str(address), self.registers.word(STREAM_PORT) & 0xFFFF

    def _fire_test_packet(self) -> None:
        """Send a packet of the size to be tried; the program sees whether it arrives."""
        size = self.registers.word(PACKET_SIZE)
        self.registers.set_word(PACKET_SIZE, size & ~FIRE_TEST_PACKET)
        data = memoryview(bytes((size & 0xFFFF) - 28))
        with suppress(OSError):  # larger than the network takes
            self._gvsp.sendmsg((data,), (), 0, self._destination())

    def _resend(self, frame_id: int, first: int, last: int) -> None:
        packets = self._kept.get(frame_id, [])
        for packet in packets[first : last + 1] if self.options.can_resend else ():
            self._send_packet(packet)
