"""systemd's notification protocol: one datagram per message; does nothing without systemd.

Source: sd_notify(3). A leading "@" in the address stands for the abstract namespace.
"""

from __future__ import annotations

import socket
import time

import structlog


class Notifier:
    """Notifies the service manager of the daemon's state."""

    def __init__(self, address: str | None) -> None:
        """Use the value of $NOTIFY_SOCKET; None or "" makes every call do nothing."""
        self._socket: socket.socket | None = None
        self._owed = ""
        self._is_failing = False  # reported once, until a message arrives again
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
            self._address = "\0" + address[1:] if address.startswith("@") else address

    def ready(self) -> None:
        """Report that start-up, or a reload, is complete."""
        self._owed = "READY=1\n"  # where the queue is full it is sent with the next message
        self._send("")

    def reloading(self) -> None:
        """The configuration is read again; `ready` follows when that is complete."""
        # systemd 253 and newer compares the time with that of its request.
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now_us}")

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._send("STATUS=" + " ".join(text.split()))

    def watchdog(self) -> None:
        """Feed the watchdog: every thread makes progress."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Report that the daemon is shutting down."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Close the socket; every later call does nothing."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> None:
        if self._socket is None:
            return
        lines = (self._owed + message).rstrip("\n")
        try:
            self._socket.sendto(lines.encode(errors="replace"), self._address)
        except BlockingIOError:
            return  # its queue is full; inspection does not wait, the next message comes soon
        except OSError as error:
            # Inspection does not depend on the service manager. It may be restarting: READY=1 is
            # still owed, and the next message is tried again.
            if not self._is_failing:
                self._is_failing = True
                log = structlog.get_logger()
                log.warning("cannot notify the service manager", error=str(error))
            return
        self._is_failing = False
        self._owed = ""
