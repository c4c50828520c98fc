"""Names, numbers and limits that every message shares."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

# Python's "$" also matches before a last line break, JSON Schema's does not: hence the "(?!\\n)".
NAME_PATTERN = "^[a-z0-9_-]{1,32}$(?!\\n)"
SESSION_PATTERN = "^[A-Za-z0-9_-]{1,64}$(?!\\n)"
STRIP_PATTERN = "^[ -~]{1,64}$(?!\\n)"  # printable ASCII: coil ids are printed and filed
CLASS_PATTERN = "^[a-z0-9_]{1,32}$(?!\\n)"
CURVE_KEY_PATTERN = r"^[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}$(?!\n)"  # Z85: ZeroMQ RFC 32
COUNT_MAX = 2**53 - 1  # the largest integer that every JSON reader keeps exactly
SIDE_MAX = 65536  # lines or pixels; the limit of JPEG
CLASSES_MAX = 8  # one bit per class in the uint8 mask

Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
StripSide = Literal["top", "bottom"]
Side = Annotated[int, Meta(ge=1, le=SIDE_MAX)]
ReaderName = Annotated[str, Meta(pattern=NAME_PATTERN)]  # of a reader of the journal
CameraName = Annotated[str, Meta(pattern=NAME_PATTERN)]
SessionId = Annotated[str, Meta(pattern=SESSION_PATTERN)]
StripId = Annotated[str, Meta(pattern=STRIP_PATTERN)]
ClassName = Annotated[str, Meta(pattern=CLASS_PATTERN)]
KeyName = Annotated[str, Meta(pattern=NAME_PATTERN)]  # of a CURVE key
CurveKey = Annotated[str, Meta(pattern=CURVE_KEY_PATTERN)]
RollName = Annotated[str, Meta(pattern=STRIP_PATTERN)]


def class_bit(class_id: int) -> int:
    """The bit of a class in a uint8 mask: class c sets bit c-1."""
    return 1 << (class_id - 1)
