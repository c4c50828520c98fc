"""Causes for which a frame is not inspected or a message is dropped, as they are counted."""

from __future__ import annotations

from enum import StrEnum

from stripwatch.errors import StripwatchError


class Cause(StrEnum):
    """Names used in `gap` events, in `status` counters and by `WireError`."""

    # The frame never arrived, or was dropped.
    LOST = "lost"  # its number was skipped
    OVERLOAD = "overload"  # no slot was free
    ENGINE_ERROR = "engine_error"  # the device failed while it was in a batch
    SECOND_SENDER = "second_sender"  # another sender uses the same camera name
    DAEMON_DOWN = "daemon_down"  # it came while no daemon ran, or was in one that ended
    STORAGE_ERROR = "storage_error"  # no slot was free, since the journal could not be written

    # The message breaks the protocol. Where the frame's number could be read it becomes a gap.
    BAD_PARTS = "bad_parts"  # not exactly [topic, header, payload]
    BAD_TOPIC = "bad_topic"
    BAD_HEADER = "bad_header"
    BAD_VERSION = "bad_version"
    BAD_SHAPE = "bad_shape"
    BAD_DTYPE = "bad_dtype"
    BAD_CODEC = "bad_codec"  # unknown codec, or a payload that it cannot decode
    BAD_LENGTH = "bad_length"  # raw payload of another length than the shape says

    # Outside the coverage identity: the frame is not ours, or was counted before.
    UNKNOWN_CAMERA = "unknown_camera"
    LATE = "late"  # number not above the last of its session
    STRAY = "stray"  # number far from its session's others, and no second frame confirmed it

    # The frame is inspected; something about it is wrong.
    BAD_OPTION = "bad_option"  # an optional key was ignored
    LINES_LOST = "lines_lost"  # the camera skipped lines of the strip within the frame
    BAD_CLOCK = "bad_clock"  # time of capture far from this computer's clock

    # With CURVE: a connection was refused, or what came over it.
    NO_CURVE = "no_curve"  # the peer does not encrypt: NULL or PLAIN
    WRONG_DAEMON_KEY = "wrong_daemon_key"  # the peer takes us for another daemon
    UNKNOWN_KEY = "unknown_key"
    REVOKED_KEY = "revoked_key"
    NOT_GRANTED = "not_granted"  # a good key without the right to this socket, or camera
    HANDSHAKE_TIMEOUT = "handshake_timeout"  # connected, and said too little
    BAD_HANDSHAKE = "bad_handshake"  # not ZeroMQ, or gone before the handshake was over
    TOO_MANY_CONNECTIONS = "too_many_connections"

    # Other formats.
    BAD_EVENT = "bad_event"
    BAD_RLE = "bad_rle"
    BAD_REQUEST = "bad_request"


# Causes of gaps, in the order above.
NOT_INSPECTED = (
    *(Cause.LOST, Cause.OVERLOAD, Cause.ENGINE_ERROR),
    *(Cause.SECOND_SENDER, Cause.DAEMON_DOWN, Cause.STORAGE_ERROR),
    *(Cause.BAD_PARTS, Cause.BAD_TOPIC, Cause.BAD_HEADER, Cause.BAD_VERSION),
    *(Cause.BAD_SHAPE, Cause.BAD_DTYPE, Cause.BAD_CODEC, Cause.BAD_LENGTH),
)


class WireError(StripwatchError):
    """A message from a peer breaks the protocol.

    `cause` is the name under which it is counted, for example `bad_header`.
    """

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail
