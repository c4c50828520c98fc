"""Sockets of the frame inputs, as the daemon and `stripwatch record` open them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stripwatch.config import Input
from stripwatch.net.sockets import Context, Socket, open_socket

FRAME_TOPICS = b"frame."  # of every camera: frames of an unknown one are counted, too


@dataclass(frozen=True, slots=True)
class FrameInput:
    """An open socket on which frames arrive, and the endpoint that errors name."""

    endpoint: str
    socket: Socket
    waits: bool  # PULL: unread frames stay with the camera and are not lost


def open_inputs(
    context: Context, inputs: Sequence[Input], message_bytes_max: int
) -> tuple[FrameInput, ...]:
    """Open one socket per input, in order; SUB sockets subscribe to the frames of all cameras.

    Args:
        context: owns the sockets; the caller closes them with `close_inputs`.
        inputs: where frames arrive.
        message_bytes_max: longest message part; a longer one drops its sender's connection.

    Raises:
        AddressError: an endpoint cannot be bound or connected; no socket stays open.
    """
    opened: list[FrameInput] = []
    try:
        for entry in inputs:
            socket = open_socket(
                context,
                entry.pattern,
                entry.endpoint,
                attach=entry.attach,
                queue=entry.queue_frames,
                message_bytes_max=message_bytes_max,
            )
            opened.append(FrameInput(entry.endpoint, socket, entry.pattern == "pull"))
            if entry.pattern == "sub":
                socket.subscribe(FRAME_TOPICS)
    except Exception:
        close_inputs(opened)
        raise
    return tuple(opened)


def close_inputs(inputs: Sequence[FrameInput]) -> None:
    """Close the sockets; frames that still queue in them are discarded."""
    for entry in inputs:
        entry.socket.close()
