"""Who reads the events: libzmq asks for a key once, and a revoked one must be cut off later."""

from __future__ import annotations

import zmq

from stripwatch.net.connections import cut, peer_of, sender_of
from stripwatch.net.door import Door


class Readers:
    """The connections over which subscriptions came; belongs to the thread of their socket."""

    def __init__(self, door: Door, endpoint: str) -> None:
        self._access = door.access
        self._door = door
        self._endpoint = endpoint
        self._version = door.access.version
        # Name of the key and address by descriptor: as many as were ever open at once.
        self._readers: dict[int, tuple[str | None, str]] = {}

    def note(self, subscription: zmq.Frame) -> None:
        """A subscription has come."""
        name, descriptor = sender_of(subscription)
        if descriptor >= 0:
            self._readers[descriptor] = (name, peer_of(descriptor))

    def cut_refused(self) -> None:
        """Where the allow-list has changed, end the connections of keys that may read no more."""
        if self._version == self._access.version:
            return
        self._version = self._access.version
        for descriptor, (name, peer) in list(self._readers.items()):
            refusal = self._access.refusal(name, "events")
            # The number may belong to a later connection by now; one from elsewhere is not cut.
            if refusal is not None and peer_of(descriptor) == peer:
                self._door.reject(refusal, self._endpoint)
                cut(descriptor, self._endpoint)
            if refusal is not None:
                del self._readers[descriptor]
