"""Sockets of the frame inputs, as the daemon and `stripwatch record` open them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import zmq

from stripwatch.config.sections import Input
from stripwatch.net.access import Refusal
from stripwatch.net.connections import cut, sender_of
from stripwatch.net.door import Door
from stripwatch.net.sockets import Context, Socket, discard_rest, has_more, open_socket, reopen
from stripwatch.wire.causes import Cause
from stripwatch.wire.frame import BadFrame

FRAME_TOPICS = b"frame."  # of every camera: frames of an unknown one are counted, too
FRAME_PARTS = 3


class FrameInput:
    """An open socket on which frames arrive, and the endpoint that errors name."""

    def __init__(
        self, context: Context, settings: Input, message_bytes_max: int, door: Door | None = None
    ) -> None:
        """Open the socket; a SUB socket subscribes to the frames of all cameras.

        Args:
            context: owns the socket; the caller closes it.
            settings: where frames arrive.
            message_bytes_max: longest message part; a longer one drops its sender's connection.
            door: decides who may send; None: the socket is not encrypted.

        Raises:
            AddressError: the endpoint cannot be bound or connected.
        """
        self._door = door
        self._sender: str | None = None  # name of the key that sent the message being read
        self._context = context
        self._settings = settings
        self._message_bytes_max = message_bytes_max
        self.endpoint = settings.endpoint
        self.waits = settings.pattern == "pull"  # unread frames stay with the camera, not lost
        self.queue_frames = settings.queue_frames
        self.socket = self._open()

    def _open(self) -> Socket:
        socket = open_socket(
            self._context,
            self._settings.pattern,
            self.endpoint,
            attach=self._settings.attach,
            queue=self.queue_frames,
            message_bytes_max=self._message_bytes_max,
            curve=self._door.curve("frames") if self._door else None,
        )
        if self._settings.pattern == "sub":
            socket.subscribe(FRAME_TOPICS)
        return socket

    def receive_topic(self) -> bytes:
        """The first part of the next message.

        Raises:
            zmq.Again: there is none.
        """
        if self._door is None:
            return self.socket.recv(zmq.NOBLOCK)
        part = self.socket.recv(zmq.NOBLOCK, copy=False)
        self._sender, descriptor = sender_of(part)
        if self._door.access.refusal(self._sender, "frames") is not None:
            cut(descriptor, self.endpoint)  # it was let in before its key was revoked
        return part.bytes

    def refusal(self, camera: str) -> Refusal | None:
        """Why the sender of the message being read may not send as this camera; None: it may."""
        if self._door is None or self._door.access.may_send(self._sender, camera):
            return None
        refusal = self._door.access.refusal(self._sender, "frames")
        return refusal or Refusal(Cause.NOT_GRANTED, f"key {self._sender} sends as {camera!r}")

    def has_more(self) -> bool:
        """Whether the message being read has another part."""
        return has_more(self.socket)

    def receive_header(self) -> bytes:
        """The second part of the message being read.

        Raises:
            BadFrame: there is none.
        """
        if not self.has_more():
            raise BadFrame(Cause.BAD_PARTS, "one part; expected topic, header, payload", None)
        return self.socket.recv()

    def discard_rest(self) -> bool:
        """Discard the rest of a message; False: it has so many parts that `reopen` is due."""
        return discard_rest(self.socket)

    def reopen(self, beat: Callable[[], None]) -> None:
        """Close the socket with everything in it, and open it again; every sender reconnects.

        Nothing else gets rid of a message of millions of parts in bounded time, or of its sender.

        Args:
            beat: called while waiting for the address.

        Raises:
            AddressError: the address did not become free in time.
        """
        self.socket.close(0)
        self.socket = reopen(self._open, beat)


def open_inputs(
    context: Context, inputs: Sequence[Input], message_bytes_max: int, door: Door | None = None
) -> tuple[FrameInput, ...]:
    """Open one socket per input, in order; the caller closes them with `close_inputs`.

    Args:
        context: owns the sockets.
        inputs: where frames arrive.
        message_bytes_max: longest message part; a longer one drops its sender's connection.
        door: decides who may send; None: nothing is encrypted.

    Raises:
        AddressError: an endpoint cannot be bound or connected; no socket stays open.
    """
    opened: list[FrameInput] = []
    try:
        for entry in inputs:
            opened.append(FrameInput(context, entry, message_bytes_max, door))  # noqa: PERF401 - closed
    except Exception:
        close_inputs(opened)
        raise
    return tuple(opened)


def close_inputs(inputs: Sequence[FrameInput]) -> None:
    """Close the sockets; frames that still queue in them are discarded."""
    for entry in inputs:
        entry.socket.close()
