"""What a receiver of forwarded events must be able to do; one file for each kind of receiver."""

from __future__ import annotations

from typing import Protocol


class Sink(Protocol):
    """A receiver of events. Belongs to one thread; every call returns within seconds.

    A call that raises ends the connection; what was not acknowledged is sent again over the next.
    """

    unheard: int  # acknowledged events that nobody has subscribed to, since the start

    def connect(self) -> int:
        """Begin a connection; returns how many messages may be in flight on it.

        Raises:
            SinkError: the receiver cannot be reached, or refuses us.
        """

    def send(self, topic: str, payload: bytes) -> None:
        """Hand over an event; `topic` has dots between its words.

        Raises:
            SinkError: the connection has ended, or the receiver does not take this message.
        """

    def acknowledged(self, wait_s: float) -> int:
        """How many more of the oldest messages are acknowledged; waits at most `wait_s` for some.

        Raises:
            SinkError: the connection has ended, or the receiver refuses a message.
        """

    def report(self, status: bytes) -> None:
        """Replace the status that receivers see, a JSON object.

        Raises:
            SinkError: the connection has ended.
        """

    def leave(self, status: bytes) -> None:
        """End the connection in order, with a last status.

        Raises:
            SinkError: it had ended before.
        """

    def close(self) -> None:
        """End the connection as a crash would, if there is one."""
