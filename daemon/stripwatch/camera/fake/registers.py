"""The memory of the fake camera: GigE Vision's own registers, the description, the features."""

from __future__ import annotations

import ipaddress
import struct

from stripwatch.camera.fake.description import (
    BY_ADDRESS,
    BY_NAME,
    ENTRIES,
    MAKE,
    MODEL,
    VERSION,
    Entry,
    description_xml,
)

DISCOVERY_BYTES = 0xF8
HEARTBEAT_MS, CONTROL = 0x938, 0xA00
STREAM_PORT, PACKET_SIZE, STREAM_ADDRESS = 0xD00, 0xD04, 0xD18
FIRE_TEST_PACKET = 1 << 31
_XML = 0x10000
_PACKET_RESEND, _WRITE_MEMORY = 1 << 2, 1 << 1
_SERIAL, _USER_NAME = 1 << 30, 1 << 31


class Registers:
    """Bytes by address."""

    def __init__(self, address: str, serial: str, heartbeat_ms: int, *, can_resend: bool) -> None:
        xml = description_xml()
        self._memory = bytearray(_XML + len(xml) + 3 & ~3)
        self._memory[_XML : _XML + len(xml)] = xml
        number = int(ipaddress.IPv4Address(address))
        numbers = {
            0x000: 0x00010002,  # version 1.2
            0x004: 1 << 31 | 1,  # big-endian, UTF-8
            0x008: 0x0253,  # a MAC address of the locally administered ones
            0x00C: number,
            0x010: 1,
            0x014: 1,
            0x024: number,
            0x600: 1,  # network interfaces
            0x904: 1,  # stream channels
            0x934: _WRITE_MEMORY | _SERIAL | _USER_NAME | (_PACKET_RESEND if can_resend else 0),
            HEARTBEAT_MS: heartbeat_ms,
            0x940: 1_000_000_000,  # ticks of the clock a second
            PACKET_SIZE: 1400,
        }
        for place, value in numbers.items():
            self.set_word(place, value)
        texts = {0x48: MAKE, 0x68: MODEL, 0x88: VERSION, 0xD8: serial, 0xE8: ""}
        texts[0x200] = f"Local:camera.xml;{_XML:x};{len(xml):x}"
        for place, text in texts.items():
            self._memory[place : place + len(text)] = text.encode()
        for entry in ENTRIES:
            self.set(entry.name, entry.value)

    def word(self, address: int) -> int:
        """A number of 32 bits."""
        value: int = struct.unpack_from(">I", self._memory, address)[0]
        return value

    def set_word(self, address: int, value: int) -> None:
        """Set a number of 32 bits."""
        struct.pack_into(">I", self._memory, address, value)

    def read(self, address: int, count: int) -> bytes | None:
        """Bytes; None: there are none."""
        if address + count > len(self._memory):
            return None
        return bytes(self._memory[address : address + count])

    def write(self, address: int, data: bytes) -> bool:
        """Write bytes, if they are no part of what cannot be changed, and in range."""
        entry = BY_ADDRESS.get(address)
        if address + len(data) > _XML or (entry and not _is_allowed(entry, data)):
            return False
        if entry is None and not HEARTBEAT_MS <= address < _XML:
            return False
        self._memory[address : address + len(data)] = data
        return True

    def get(self, name: str) -> float:
        """The value of a feature."""
        entry = BY_NAME[name]
        value: float = struct.unpack_from(_layout(entry), self._memory, entry.address)[0]
        return value

    def set(self, name: str, value: float) -> None:
        """Set the value of a feature."""
        entry = BY_NAME[name]
        number = value if entry.is_float else int(value)
        struct.pack_into(_layout(entry), self._memory, entry.address, number)


def _layout(entry: Entry) -> str:
    return ">d" if entry.is_float else ">I"


def _is_allowed(entry: Entry, data: bytes) -> bool:
    if not entry.is_writable or len(data) != struct.calcsize(_layout(entry)):
        return False
    value = struct.unpack(_layout(entry), data)[0]
    if entry.choices == ("bool",):
        return value in (0, 1)
    if entry.choices:
        first = int(entry.value) if entry.name == "PixelFormat" else 0
        return bool(first <= value < first + len(entry.choices))
    return bool(entry.low <= value <= entry.high)
