"""Messages of the event endpoint, parsed: events, and images of frames."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from stripwatch.client.position import Lost, Renumbered
from stripwatch.wire.causes import Cause, WireError
from stripwatch.wire.event import Event, parse_event
from stripwatch.wire.frame import (
    FrameHeader,
    decode_image,
    frame_topic,
    image_topic,
    parse_header,
)


class FrameImage(msgspec.Struct, frozen=True):
    """A frame with defects, as the daemon publishes it under the topic `image.<camera>`."""

    header: FrameHeader
    payload: bytes  # a JPEG of header.shape

    def pixels(self) -> NDArray[np.uint8]:
        """The decoded frame, uint8 [lines, pixels].

        Raises:
            BadFrame: the payload is not such an image of the header's shape.
        """
        return decode_image(self.header, self.payload)


Item = Event | FrameImage | Lost | Renumbered


class Received(msgspec.Struct, frozen=True):
    """An event and its bytes as published."""

    event: Item
    payload: bytes  # the event's JSON; of an image the JPEG


def parse_message(parts: list[bytes]) -> tuple[Event | FrameImage, bytes]:
    """Parse and check one message; returns the event and its payload.

    Raises:
        WireError: it is no event of version 1, and no image.
    """
    if parts[0].startswith(b"image."):
        return _parse_image(parts)
    if len(parts) != 2:
        raise WireError(Cause.BAD_PARTS, f"{len(parts)} parts, an event has 2")
    return parse_event(parts[0], parts[1]), parts[1]


def _parse_image(parts: list[bytes]) -> tuple[FrameImage, bytes]:
    if len(parts) != 3:
        raise WireError(Cause.BAD_PARTS, f"{len(parts)} parts, an image has 3")
    topic, header_part, payload = parts
    # A frame message but for its topic: the parser of frames reads it.
    camera = topic.removeprefix(image_topic("")).decode("ascii", "replace")
    header = parse_header(frame_topic(camera), header_part)
    if header.codec == "raw":
        raise WireError(Cause.BAD_CODEC, "an image must be coded")
    return FrameImage(header, payload), payload
