"""The control channel of the fake camera: commands to answers, and who is in control."""

from __future__ import annotations

import struct
from collections.abc import Callable

from stripwatch.camera.fake import wire
from stripwatch.camera.fake.description import ACQUISITION_COMMAND, BY_NAME, CHUNKS
from stripwatch.camera.fake.registers import (
    CONTROL,
    DISCOVERY_BYTES,
    FIRE_TEST_PACKET,
    HEARTBEAT_MS,
    PACKET_SIZE,
    Registers,
)

MEMORY_BYTES_MAX = 536  # of one command
_CHUNK_ENABLE = BY_NAME["ChunkEnable"].address
_CHUNK_SELECTOR = BY_NAME["ChunkSelector"].address

Peer = tuple[str, int]


class Control:
    """Answers commands; one program at a time may write."""

    def __init__(
        self,
        registers: Registers,
        fire_test_packet: Callable[[], None],
        resend: Callable[[int, int, int], None],
    ) -> None:
        self._registers = registers
        self._fire_test_packet = fire_test_packet
        self._resend = resend
        self._controller: Peer | None = None
        self._heard_s = 0.0
        self._chunks: set[str] = set()
        self.is_streaming = False
        self._update_payload()

    def chunks(self) -> list[str]:
        """The values that go with each frame, in their order."""
        is_active = self._registers.get("ChunkModeActive")
        return [name for name in CHUNKS if name in self._chunks] if is_active else []

    def check_heartbeat(self, now_s: float) -> None:
        """Free the camera of a program that is silent."""
        limit_s = self._registers.word(HEARTBEAT_MS) / 1e3
        if self._controller is not None and now_s - self._heard_s > limit_s:
            self._release()

    def answer(self, command: wire.Command, sender: Peer, now_s: float) -> bytes | None:
        """The answer to a command; None: it has none."""
        if sender == self._controller:
            self._heard_s = now_s
        match command.code:
            case wire.DISCOVERY:
                reply = wire.answer(command, self._registers.read(0, DISCOVERY_BYTES) or b"")
            case wire.RESEND if len(command.data) >= 12:
                frame_id, first, last = struct.unpack_from(">III", command.data)
                self._resend(frame_id & 0xFFFF, first & 0xFFFFFF, last & 0xFFFFFF)
                return None
            case wire.READ_REGISTERS:
                reply = self._read_registers(command)
            case wire.READ_MEMORY if len(command.data) == 8:
                reply = self._read_memory(command)
            case wire.WRITE_REGISTERS | wire.WRITE_MEMORY if len(command.data) > 4:
                (address,) = wire.words(command.data[:4])
                status = self._write(address, command.data[4:], sender, now_s)
                reply = wire.answer(command, struct.pack(">HH", 0, 0 if status else 1), status)
            case _:
                reply = wire.answer(command, b"", wire.NOT_IMPLEMENTED)
        return reply

    def _read_memory(self, command: wire.Command) -> bytes:
        address, count = struct.unpack(">IxxH", command.data)
        read = self._registers.read(address, min(count, MEMORY_BYTES_MAX))
        if read is None:
            return wire.answer(command, b"", wire.BAD_ADDRESS)
        return wire.answer(command, command.data[:4] + self._selected(address, read))

    def _read_registers(self, command: wire.Command) -> bytes:
        found = []
        for address in wire.words(command.data):
            read = self._registers.read(address, 4)
            if read is None:
                return wire.answer(command, b"", wire.BAD_ADDRESS)
            found.append(self._selected(address, read))
        return wire.answer(command, b"".join(found))

    def _selected(self, address: int, read: bytes) -> bytes:
        """What was read; of a switch that belongs to a selector, that of the selected value."""
        if address != _CHUNK_ENABLE:
            return read
        return struct.pack(">I", self._selected_chunk() in self._chunks)

    def _selected_chunk(self) -> str:
        return list(CHUNKS)[self._registers.word(_CHUNK_SELECTOR)]

    def _write(self, address: int, data: bytes, sender: Peer, now_s: float) -> int:
        """Write; returns a status, 0 where it worked."""
        if self._controller not in (None, sender):
            return wire.ACCESS_DENIED
        if address == CONTROL:
            return self._take_control(data, sender, now_s)
        if self._controller is None:
            return wire.ACCESS_DENIED
        if address == ACQUISITION_COMMAND:
            self.is_streaming = any(data)
            return 0
        if not self._registers.write(address, data):
            return wire.BAD_PARAMETER
        if address == PACKET_SIZE and self._registers.word(PACKET_SIZE) & FIRE_TEST_PACKET:
            self._fire_test_packet()
        if address == _CHUNK_ENABLE:
            change = self._chunks.add if any(data) else self._chunks.discard
            change(self._selected_chunk())
        self._update_payload()
        return 0

    def _take_control(self, data: bytes, sender: Peer, now_s: float) -> int:
        if not any(data):
            self._release()
            return 0
        self._registers.set_word(CONTROL, wire.words(data)[0])
        self._controller, self._heard_s = sender, now_s
        return 0

    def _release(self) -> None:
        self._controller, self.is_streaming = None, False
        self._registers.set_word(CONTROL, 0)

    def _update_payload(self) -> None:
        """Keep the size of a whole frame with its chunks in its register."""
        size = int(self._registers.get("Width") * self._registers.get("Height"))
        if self._registers.get("ChunkModeActive"):
            size += 8 + 12 * len(self._chunks)
        self._registers.set("PayloadSize", size)
