"""Frame message, version 1: what a camera sends.

    [b"frame.<camera>", header, payload]

The header is one JSON object, the payload the frame's pixels: a row is one scan line (across the
strip), in C order, or a PNG or JPEG file of the same. Every limit is checked before use.
"""

from __future__ import annotations

import io
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from stripwatch.wire.causes import Cause, WireError
from stripwatch.wire.clock import CameraClock
from stripwatch.wire.image_file import pixel_parts
from stripwatch.wire.light import LIGHT_FAULTS_MAX, LightFaults, MeanGrey
from stripwatch.wire.names import CameraName, Count, SessionId, Side, StripId

HEADER_BYTES_MAX = 4096
TOPIC_BYTES_MAX = 6 + 32  # "frame." and a camera name
CODED_SLACK_BYTES = 65536  # a PNG of noise is longer than its pixels, by less than this


class FrameId(msgspec.Struct, frozen=True):
    """The part of a header that identifies the frame."""

    camera: CameraName
    session: SessionId  # random id, new at each start of the sender
    seq: Count  # from 0, +1 per frame


class FrameHeader(FrameId, frozen=True, kw_only=True, omit_defaults=True):
    """The header of a frame message. Unknown keys are ignored: a camera may add its own."""

    v: Literal[1]
    t_ns: Annotated[int, Meta(ge=0, le=2**63 - 1)]  # time of capture, Unix nanoseconds
    shape: tuple[Side, Side]  # lines, pixels
    dtype: Literal["u8"]
    codec: Literal["raw", "png", "jpeg"]
    strip: StripId | None = None  # coil id
    line: Count | None = None  # index of the first line since the strip's start
    end: bool = False  # the strip's last frame
    line_reversed: bool = False  # the strip ran backwards: `line` falls from row to row
    lines_lost: Count = 0  # that passed within the frame and were skipped by the camera
    light: MeanGrey | None = None  # mean grey of the strip after flat field
    light_faults: LightFaults | None = None  # of the light now; None: nobody watches it
    clock: CameraClock | None = None  # of the camera, against its computer's

    @property
    def next_line(self) -> int | None:
        """The `line` of a frame that follows without a loss; None if unknown."""
        if self.line is None:
            return None
        passed = self.shape[0] + self.lines_lost
        return self.line - passed if self.line_reversed else self.line + passed

    @property
    def lines_passed(self) -> tuple[int, int] | None:
        """First, and one past the last line of the strip under the frame; None if unknown."""
        if self.line is None:
            return None
        return lines_between(self.line, self.line_reversed, self.shape[0] + self.lines_lost)


class BadFrame(WireError):
    """A frame message that breaks the protocol.

    `frame` identifies the frame, where that much could be read, so that it can be reported as not
    inspected.
    """

    def __init__(self, cause: Cause, detail: str, frame: FrameHeader | FrameId | None) -> None:
        super().__init__(cause, detail)
        self.frame = frame


_header_decoder = msgspec.json.Decoder(FrameHeader)
_CAUSE_OF_KEY = {  # keys that have a cause of their own; of the others it is BAD_HEADER
    "v": Cause.BAD_VERSION,
    "shape": Cause.BAD_SHAPE,
    "dtype": Cause.BAD_DTYPE,
    "codec": Cause.BAD_CODEC,
}
_HEADER_KEYS = msgspec.structs.fields(FrameHeader)
_OPTION_WORDS = {  # what the optional keys allow, for readers of the log
    "strip": "1 to 64 printable ASCII characters, or no such key",
    "line": "a whole number from 0",
    "end": "true or false",
    "line_reversed": "true or false",
    "lines_lost": "a whole number from 0",
    "light": "a number from 0 to 255",
    "clock": "an object with source, difference_ms and drift_ppm, see docs/wire-formats.md",
    "light_faults": f"a list of at most {LIGHT_FAULTS_MAX} faults, see docs/wire-formats.md",
}
_KEY_NAMES = frozenset(key.name for key in _HEADER_KEYS)


def lines_between(line: int, line_reversed: bool, count: int) -> tuple[int, int]:
    """First, and one past the last, of `count` lines of the strip that begin with `line`."""
    return (line - count + 1, line + 1) if line_reversed else (line, line + count)


def frame_topic(camera: str) -> bytes:
    """The topic of a camera's frame messages."""
    return b"frame." + camera.encode()


def image_topic(camera: str) -> bytes:
    """The topic under which the daemon publishes a camera's defective frames."""
    return b"image." + camera.encode()


def payload_bytes_max(frame_shape: tuple[int, int]) -> int:
    """The longest payload that a frame of at most `frame_shape` [lines, pixels] may have."""
    return frame_shape[0] * frame_shape[1] + CODED_SLACK_BYTES


def parse_header(topic: bytes, header: bytes) -> FrameHeader:
    """The header of a frame message; see `read_header`.

    Raises:
        BadFrame: the topic or header breaks the protocol.
    """
    return read_header(topic, header)[0]


def read_header(topic: bytes, header: bytes) -> tuple[FrameHeader, str]:
    """Parse and check the first two parts of a frame message.

    A whole number may be written with a decimal point (64.0), as MATLAB, R and Lua do. An optional
    key that breaks its rule is ignored: it must not cost the frame.

    Returns:
        The header, and the optional keys that were ignored with what is wrong about them, as
        text; "" = none.

    Raises:
        BadFrame: the topic or header breaks the protocol.
    """
    if len(topic) > TOPIC_BYTES_MAX:
        raise BadFrame(Cause.BAD_TOPIC, f"{len(topic)} bytes, at most {TOPIC_BYTES_MAX}", None)
    if len(header) > HEADER_BYTES_MAX:
        detail = f"{len(header)} bytes, at most {HEADER_BYTES_MAX}"
        raise BadFrame(Cause.BAD_HEADER, detail, None)
    ignored = ""
    try:
        parsed = _header_decoder.decode(header)
    except msgspec.ValidationError as error:
        parsed, ignored = _parse_leniently(topic, header, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrame(Cause.BAD_HEADER, str(error), None) from None
    if topic != frame_topic(parsed.camera):
        detail = f"{topic!r} carries a frame of camera {parsed.camera!r}"
        raise BadFrame(Cause.BAD_TOPIC, detail, None)
    return parsed, ignored


def check_shape(header: FrameHeader, frame_shape: tuple[int, int]) -> None:
    """Check a frame against the line's geometry: equal width, and no more lines.

    Raises:
        BadFrame: the frame has another shape.
    """
    lines, pixels = header.shape
    if pixels != frame_shape[1] or lines > frame_shape[0]:
        detail = f"{lines}x{pixels}, this line takes {frame_shape[0]}x{frame_shape[1]}"
        raise BadFrame(Cause.BAD_SHAPE, detail, header)


def check_raw_length(header: FrameHeader, length: int) -> None:
    """Check the length in bytes of a raw payload.

    Raises:
        BadFrame: it is not the length of the header's shape.
    """
    expected = header.shape[0] * header.shape[1]
    if length != expected:
        raise BadFrame(Cause.BAD_LENGTH, f"{length} bytes, shape says {expected}", header)


def decode_image(header: FrameHeader, payload: bytes) -> NDArray[np.uint8]:
    """Decode a png or jpeg payload to grey pixels, uint8 [lines, pixels].

    Size, number of parts and number of scans are checked before a pixel is decoded, so that a
    small file cannot cost much (ADR 16).

    Raises:
        BadFrame: the payload is not such an image of the header's shape.
    """
    try:
        return _decode(header, payload)
    except BadFrame:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a decoder raises, the frame is bad
        raise BadFrame(Cause.BAD_CODEC, f"{header.codec}: {error}", header) from None


def frame_pixels(header: FrameHeader, payload: bytes | memoryview) -> NDArray[np.uint8]:
    """The pixels of a payload of any codec, uint8 [lines, pixels]; of `raw` a view of its bytes.

    Raises:
        BadFrame: the payload is not such a frame of the header's shape.
    """
    if header.codec != "raw":
        return decode_image(header, bytes(payload))
    check_raw_length(header, len(payload))
    return np.frombuffer(payload, np.uint8).reshape(header.shape)


def _decode(header: FrameHeader, payload: bytes) -> NDArray[np.uint8]:
    assert header.codec != "raw"
    kind = PngImageFile if header.codec == "png" else JpegImageFile
    # Not `Image.open`: its limit on the size of images is not ours.
    with kind(io.BytesIO(pixel_parts(header.codec, payload))) as image:
        if image.size != (header.shape[1], header.shape[0]):
            detail = f"{header.codec} of {image.size[1]}x{image.size[0]}, header {header.shape}"
            raise BadFrame(Cause.BAD_SHAPE, detail, header)
        if image.mode not in ("L", "RGB"):
            detail = f"{header.codec} of mode {image.mode}, expected 8 bit grey or RGB"
            raise BadFrame(Cause.BAD_DTYPE, detail, header)
        return np.asarray(image.convert("L"))


def build_frame(header: FrameHeader, payload: bytes | memoryview) -> list[bytes | memoryview]:
    """The three parts of a frame message."""
    return [frame_topic(header.camera), msgspec.json.encode(header), payload]


def _parse_leniently(topic: bytes, header: bytes, fault: str) -> tuple[FrameHeader, str]:
    """The header as `read_header` returns it, of one that strict parsing refuses."""
    try:
        table = msgspec.json.decode(header, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadFrame(Cause.BAD_HEADER, fault, None) from None
    table = {key: _whole(value) for key, value in table.items() if key in _KEY_NAMES}
    ignored = []
    for key in _HEADER_KEYS:
        if not key.required and key.name in table:
            try:
                msgspec.convert(table[key.name], key.type)
            except msgspec.ValidationError:
                value, allowed = table[key.name], _OPTION_WORDS[key.name]
                ignored.append(f"{key.name} {value!r:.40} ignored: expected {allowed}")
                del table[key.name]
    try:
        return msgspec.convert(table, FrameHeader), "; ".join(ignored)
    except msgspec.ValidationError as error:
        raise BadFrame(_cause_of(table), str(error), _id_of(topic, table)) from None


def _whole(value: Any) -> Any:  # noqa: ANN401 - any value of a JSON object
    """A number like 64.0 as the int that it is; of a list or object, each entry."""
    if isinstance(value, list):
        return [_whole(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _whole(entry) for key, entry in value.items()}
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _cause_of(table: dict[str, Any]) -> Cause:
    """The cause of a header that breaks a rule: that of its first wrong key, in their order.

    The keys are checked one by one, because the wording of msgspec's errors may change.
    """
    for key in _HEADER_KEYS:
        try:
            if key.required or key.name in table:
                msgspec.convert(table[key.name], key.type)
        except (KeyError, msgspec.ValidationError):
            return _CAUSE_OF_KEY.get(key.name, Cause.BAD_HEADER)
    return Cause.BAD_HEADER


def _id_of(topic: bytes, table: dict[str, Any]) -> FrameId | None:
    try:
        frame = msgspec.convert(table, FrameId)
    except msgspec.ValidationError:
        return None
    return frame if topic == frame_topic(frame.camera) else None
