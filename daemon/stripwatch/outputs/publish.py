"""The event endpoint: an XPUB socket, and what its subscribers ask for."""

from __future__ import annotations

from collections.abc import Sequence

import zmq

from stripwatch.config.sections import Publish
from stripwatch.net.door import Door
from stripwatch.net.readers import Readers
from stripwatch.net.sockets import Context, open_socket
from stripwatch.wire.frame import image_topic
from stripwatch.wire.names import CameraName

SUBSCRIPTION_BYTES_MAX = 256
SUBSCRIPTIONS_MAX = 10_000
SUBSCRIPTIONS_PER_TURN = 1000  # read between two slots; about 1 ms
_MORE = int(zmq.SNDMORE)


class Publisher:
    """Sends events; belongs to one thread after it was made.

    XPUB drops for a subscriber whose queue is full and never waits, so a subscriber that does not
    read costs at most `queue_events` messages of memory.
    """

    def __init__(
        self,
        context: Context,
        settings: Publish,
        cameras: Sequence[CameraName],
        door: Door | None = None,
    ) -> None:
        """Open the socket; `door` decides who may read, None: it is not encrypted.

        Raises:
            AddressError: the endpoint cannot be bound or connected.
        """
        self._readers = Readers(door, settings.endpoint) if door else None
        self._socket = open_socket(
            context,
            "xpub",
            settings.endpoint,
            attach=settings.attach,
            queue=settings.queue_events,
            message_bytes_max=SUBSCRIPTION_BYTES_MAX,
            curve=door.curve("events") if door else None,
        )
        if door:
            # A subscription that another has already is passed on as well: it tells who reads.
            self._socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._topics: set[bytes] = set()
        self._image_topics = {camera: image_topic(camera) for camera in cameras}
        self._cameras_changed = False
        # Cameras whose images are wanted; replaced as a whole, so that any thread may read it.
        self.image_cameras: frozenset[str] = frozenset()

    def follow(self, cameras: Sequence[CameraName]) -> None:
        """Any thread: there are other cameras, whose images may be wanted."""
        self._image_topics = {camera: image_topic(camera) for camera in cameras}
        self._cameras_changed = True

    def send(self, message: Sequence[bytes]) -> None:
        """Send the parts of one message."""
        # As send_multipart, in half of its time: a plain number spares it the enum's arithmetic.
        *parts, last = message
        for part in parts:
            self._socket.send(part, _MORE)
        self._socket.send(last)

    @property
    def subscriptions(self) -> int:
        """Number of distinct topics that subscribers have asked for."""
        return len(self._topics)

    def read_subscriptions(self) -> bool:
        """Take in what subscribers ask for, at most `SUBSCRIPTIONS_PER_TURN` messages.

        Returns whether more may wait.

        Must be called now and then: libzmq keeps unread subscriptions without a limit. A peer that
        sends more than is read must not keep the caller from its work.
        """
        if self._readers is not None:
            self._readers.cut_refused()
        concerns_images, self._cameras_changed = self._cameras_changed, False
        image_topics = self._image_topics
        for _ in range(SUBSCRIPTIONS_PER_TURN):
            try:
                message = self._receive()
            except zmq.Again:
                more_waits = False
                break
            kind, topic = message[:1], message[1:]
            if kind == b"\x01" and len(self._topics) < SUBSCRIPTIONS_MAX:
                self._topics.add(topic)
            elif kind == b"\x00":
                self._topics.discard(topic)
            concerns_images |= any(image.startswith(topic) for image in image_topics.values())
        else:
            more_waits = True
        if concerns_images:
            self.image_cameras = frozenset(
                camera
                for camera, image in image_topics.items()
                if any(image.startswith(topic) for topic in self._topics)
            )
        return more_waits

    def _receive(self) -> bytes:
        if self._readers is None:
            return self._socket.recv(zmq.NOBLOCK)
        part = self._socket.recv(zmq.NOBLOCK, copy=False)
        self._readers.note(part)
        return part.bytes

    def close(self, linger_ms: int) -> None:
        """Close the socket; messages under way have `linger_ms` to leave."""
        self._socket.close(linger_ms)
