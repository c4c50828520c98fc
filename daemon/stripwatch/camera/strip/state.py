"""What a source says of the strip, and how it says it."""

from __future__ import annotations

import msgspec

from stripwatch.errors import SinkError
from stripwatch.wire.names import StripId

ANSWER_BYTES_MAX = 4096


class StripState(msgspec.Struct, frozen=True):
    """The strip that is under the camera now."""

    strip: StripId | None = None  # None: no strip, or it is not known which
    end: bool = False  # it has ended
    fault: str = ""  # why nothing is known


class _Told(msgspec.Struct, frozen=True):
    strip: StripId | None = None
    end: bool = False


class SourceFault(SinkError):
    """A source of the coil id does not answer, or what it says cannot be read."""


def parse_strip(answer: bytes) -> StripState:
    """What a source has answered: a coil id as plain text, or {"strip": "C-7", "end": false}.

    An empty answer is no strip.

    Raises:
        SourceFault: it is neither.
    """
    if len(answer) > ANSWER_BYTES_MAX:
        raise SourceFault(f"the answer has more than {ANSWER_BYTES_MAX} bytes")
    text = answer.strip()
    if not text:
        return StripState()
    try:
        if text.startswith(b"{"):
            told = msgspec.json.decode(text, type=_Told)
            return StripState(told.strip, told.end)
        return StripState(msgspec.convert(text.decode(), StripId))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SourceFault(f"{text[:60]!r} is no coil id: {error}") from None
