"""The network interface through which a camera is reached, and its speed."""

from __future__ import annotations

import ipaddress
import struct
from contextlib import suppress
from pathlib import Path

ROUTES = Path("/proc/net/route")
INTERFACES = Path("/sys/class/net")


class NetworkLink:
    """The interface behind a camera's address."""

    def __init__(self, address: str, routes: Path = ROUTES, interfaces: Path = INTERFACES) -> None:
        """Find it by the system's routes; an address that is none has no interface."""
        self._interfaces = interfaces
        self.interface = _interface_of(address, routes)

    def mbit_s(self) -> int | None:
        """The speed that it has negotiated; None: it has none, as loopback, or is down."""
        if not self.interface:
            return None
        with suppress(OSError, ValueError):
            speed = int((self._interfaces / self.interface / "speed").read_text())
            return speed if speed > 0 else None
        return None


def _interface_of(address: str, routes: Path) -> str:
    """The interface of the narrowest route to an IPv4 address; "" if none is known."""
    try:
        parsed = ipaddress.IPv4Address(address)
        wanted = int(parsed)
        lines = routes.read_text().splitlines()[1:]
    except (ValueError, OSError):
        return ""
    if parsed.is_loopback:
        return "lo"  # which is in no table of routes
    best, found = -1, ""
    for line in lines:
        columns = line.split()
        network, mask = (_host_order(columns[index]) for index in (1, 7))
        if wanted & mask == network and mask.bit_count() > best:
            best, found = mask.bit_count(), columns[0]
    return found


def _host_order(text: str) -> int:
    """A number of /proc/net/route, which is in the byte order of the machine: proc(5)."""
    number: int = struct.unpack(">I", struct.pack("=I", int(text, 16)))[0]
    return number
