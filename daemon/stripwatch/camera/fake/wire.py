"""GVCP and GVSP as a camera speaks them: bytes to values and back; no sockets.

GVCP is the control channel (UDP port 3956), GVSP the stream. Layouts: GigE Vision 1.2, as Aravis
0.8.26 (src/arvgvcpprivate.h, src/arvgvspprivate.h) writes and reads them. All big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

GVCP_PORT = 3956
GVCP_BYTES_MAX = 8 + 540  # longest command: header, address and 536 bytes (GigE Vision 1.2)
COMMAND_KEY = 0x42

DISCOVERY, RESEND = 0x0002, 0x0040
READ_REGISTERS, WRITE_REGISTERS = 0x0080, 0x0082
READ_MEMORY, WRITE_MEMORY = 0x0084, 0x0086

NOT_IMPLEMENTED, BAD_PARAMETER, BAD_ADDRESS = 0x8001, 0x8002, 0x8003
WRITE_PROTECTED, ACCESS_DENIED = 0x8004, 0x8006

LEADER, TRAILER, PAYLOAD = 1, 2, 3
PACKET_OVERHEAD = 20 + 8 + 8  # headers of IP, UDP and GVSP, which the packet size includes
IMAGE, IMAGE_WITH_CHUNKS = 0x0001, 0x4001
MONO8 = 0x01080001


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the controlling program."""

    code: int
    request_id: int
    data: bytes


def parse_command(message: bytes) -> Command | None:
    """A GVCP command; None: it is none."""
    if len(message) < 8 or message[0] != COMMAND_KEY:
        return None
    code, size, request_id = struct.unpack_from(">HHH", message, 2)
    if len(message) < 8 + size:
        return None
    return Command(code, request_id, message[8 : 8 + size])


def answer(command: Command, data: bytes, status: int = 0) -> bytes:
    """The acknowledgement of a command: its code is one higher."""
    head = struct.pack(">HHHH", status, command.code + 1, len(data), command.request_id)
    return head + data


def words(data: bytes) -> tuple[int, ...]:
    """The numbers of 32 bits in the data of a command; what is left over is ignored."""
    return struct.unpack(f">{len(data) // 4}I", data[: len(data) // 4 * 4])


@dataclass(frozen=True, slots=True)
class StreamFrame:
    """A frame as it leaves the camera."""

    frame_id: int  # 1..65535
    t_ns: int  # on the camera's clock
    shape: tuple[int, int]  # lines as configured, pixels; the trailer tells the lines that came
    lines: int
    payload: memoryview  # the pixels that came, then the chunks
    has_chunks: bool


def packets(frame: StreamFrame, packet_bytes: int) -> list[tuple[bytes, memoryview]]:
    """Header and data of every packet of a frame, by number from 0."""
    found = [(_head(frame, LEADER, 0) + _leader(frame), memoryview(b""))]
    step = packet_bytes - PACKET_OVERHEAD
    for number, data in enumerate(_slices(frame.payload, step), 1):
        found.append((_head(frame, PAYLOAD, number), data))
    trailer = struct.pack(">HHI", 0, _kind(frame), frame.lines)
    found.append((_head(frame, TRAILER, len(found)) + trailer, memoryview(b"")))
    return found


def chunk(identifier: int, data: bytes) -> bytes:
    """A chunk with its description, which stands behind it."""
    return data + chunk_end(identifier, len(data))


def chunk_end(identifier: int, length: int) -> bytes:
    """The description behind `length` bytes of a chunk."""
    return struct.pack(">II", identifier, length)


def _slices(data: memoryview, step: int) -> Iterator[memoryview]:
    return (data[start : start + step] for start in range(0, len(data), step))


def _head(frame: StreamFrame, kind: int, number: int) -> bytes:
    return struct.pack(">HHI", 0, frame.frame_id, kind << 24 | number)


def _kind(frame: StreamFrame) -> int:
    return IMAGE_WITH_CHUNKS if frame.has_chunks else IMAGE


def _leader(frame: StreamFrame) -> bytes:
    lines, pixels = frame.shape
    image = (MONO8, pixels, lines, 0, 0, 0, 0)
    return struct.pack(">HHQIIIIIHH", 0, _kind(frame), frame.t_ns, *image)
