"""Recordings: the frames of cameras in an MCAP file that Foxglove and similar tools show.

One channel per camera. A message is the JSON object that its schema `foxglove.RawImage` or
`foxglove.CompressedImage` describes, with the frame's exact header as one more property,
`stripwatch`, so that a replay loses nothing.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any, cast

import msgspec
from mcap.data_stream import RecordBuilder
from mcap.records import DataEnd, Footer
from mcap.writer import MCAP0_MAGIC, Writer

from stripwatch._version import __version__
from stripwatch.errors import ConfigError, StorageError
from stripwatch.wire.frame import FrameHeader, frame_topic

CHUNK_BYTES = 1024 * 1024  # uncompressed; a process that is killed loses at most one chunk
_INTEGER = {"type": "integer", "minimum": 0}
_SEQUENCE_MASK = 0xFFFF_FFFF  # MCAP's sequence has 32 bits; the header keeps the whole number


class Timestamp(msgspec.Struct, frozen=True):
    """Foxglove's time: seconds and nanoseconds."""

    sec: int
    nsec: int


class _Image(msgspec.Struct, frozen=True, kw_only=True):
    timestamp: Timestamp
    frame_id: str
    data: bytes  # base64 in JSON
    stripwatch: msgspec.Raw  # the header as sent, with keys of the camera's own


class _RawImage(_Image, frozen=True, kw_only=True):
    width: int
    height: int
    step: int
    encoding: str = "mono8"


class _CompressedImage(_Image, frozen=True, kw_only=True):
    format: str


def image_schema(codec: str) -> tuple[str, bytes]:
    """Name and JSON Schema of the messages that hold frames of a codec."""
    time = {"type": "object", "properties": {"sec": _INTEGER, "nsec": _INTEGER}}
    properties: dict[str, Any] = {
        "timestamp": {**time, "title": "time"},
        "frame_id": {"type": "string"},
        "data": {"type": "string", "contentEncoding": "base64"},
        "stripwatch": {"type": "object", "description": "header of the frame message"},
    }
    if codec == "raw":
        name = "foxglove.RawImage"
        properties |= dict.fromkeys(("width", "height", "step"), _INTEGER)
        properties |= {"encoding": {"type": "string"}}
    else:
        name = "foxglove.CompressedImage"
        properties |= {"format": {"type": "string"}}
    schema = {"title": name, "type": "object", "properties": properties}
    return name, msgspec.json.encode(schema)


class RecordingWriter:
    """Writes frames into a new MCAP file; every chunk goes to the operating system at once."""

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        """Create the file.

        Raises:
            ConfigError: the file exists and `overwrite` is not set.
            StorageError: it cannot be created.
        """
        self._path = path
        self._channels: dict[tuple[str, str], int] = {}  # by camera and schema
        self._schemas: dict[str, int] = {}
        self.frames: Counter[str] = Counter()  # that the file holds, by camera
        self._added: Counter[str] = Counter()  # with those of the open chunk
        try:
            self._file = _UnbufferedFile(path, overwrite=overwrite)
        except FileExistsError:
            raise ConfigError(
                f"{path} exists; give another name, or --force to replace it"
            ) from None
        except OSError as error:
            raise StorageError(f"{path} cannot be created: {error.strerror}") from error
        self._intact_bytes = 0  # length of the file at the last record boundary
        self._writer = Writer(cast("Any", self._file), chunk_size=CHUNK_BYTES)
        try:
            self._writer.start(profile="", library=f"stripwatch {__version__}")
            self._intact_bytes = self._file.tell()
        except OSError as error:
            raise self._rescue(error) from error

    def add(self, header: FrameHeader, payload: bytes, header_json: bytes | None = None) -> None:
        """Append a frame; `header_json` is the header as it was sent, if known.

        Raises:
            StorageError: the disk is full or failed; the file was closed and stays readable.
        """
        try:
            self._writer.add_message(
                self._channel(header),
                log_time=header.t_ns,
                publish_time=header.t_ns,
                sequence=header.seq & _SEQUENCE_MASK,
                data=_encode(header, payload, header_json or msgspec.json.encode(header)),
            )
        except OSError as error:
            raise self._rescue(error) from error
        self._added[header.camera] += 1
        if self._file.tell() > self._intact_bytes:  # the chunk was full, with this frame in it
            self._all_is_written()

    def flush(self) -> None:
        """Write the open chunk, so that no frame added before can be lost.

        Raises:
            StorageError: as `add`.
        """
        try:
            self._writer.flush()  # type: ignore[no-untyped-call]
            self._all_is_written()
        except OSError as error:
            raise self._rescue(error) from error

    def close(self) -> None:
        """Write the last chunk, the index and the footer.

        Raises:
            StorageError: as `add`.
        """
        if self._file.closed:
            return
        try:
            self._writer.flush()  # type: ignore[no-untyped-call]
            self._all_is_written()
            self._writer.finish()  # type: ignore[no-untyped-call]
            self._all_is_written()
            self._file.close()
        except OSError as error:
            raise self._rescue(error) from error

    def _all_is_written(self) -> None:
        self._intact_bytes = self._file.tell()
        self.frames = Counter(self._added)

    @property
    def bytes_written(self) -> int:
        """Length of the file so far."""
        return self._intact_bytes

    def _channel(self, header: FrameHeader) -> int:
        name, schema = image_schema(header.codec)
        if name not in self._schemas:
            self._schemas[name] = self._writer.register_schema(name, "jsonschema", schema)
        key = (header.camera, name)
        if key not in self._channels:
            topic = frame_topic(header.camera).decode()
            metadata = {"camera": header.camera}
            self._channels[key] = self._writer.register_channel(
                topic, "json", self._schemas[name], metadata
            )
        return self._channels[key]

    def _rescue(self, error: OSError) -> StorageError:
        """Truncate the half-written chunk and end the file there, without an index."""
        end = RecordBuilder()
        DataEnd(data_section_crc=0).write(end)
        Footer(summary_start=0, summary_offset_start=0, summary_crc=0).write(end)
        state = f"the file ends after {self.frames.total()} frames and can be replayed"
        try:
            self._file.truncate(self._intact_bytes)
            self._file.write(cast("bytes", end.end()) + MCAP0_MAGIC)  # type: ignore[no-untyped-call]
        except OSError:
            state = "the frames written before can still be replayed"
        self._file.close()
        return StorageError(
            f"{self._path} cannot be written: {error.strerror}; free space or record elsewhere; "
            f"{state}"
        )


def _encode(header: FrameHeader, payload: bytes, header_json: bytes) -> bytes:
    lines, pixels = header.shape
    seconds, nanoseconds = divmod(header.t_ns, 1_000_000_000)
    time = Timestamp(seconds, nanoseconds)
    image: _Image
    if header.codec == "raw":
        image = _RawImage(
            timestamp=time,
            frame_id=header.camera,
            data=payload,
            stripwatch=msgspec.Raw(header_json),
            width=pixels,
            height=lines,
            step=pixels,
        )
    else:
        image = _CompressedImage(
            timestamp=time,
            frame_id=header.camera,
            data=payload,
            stripwatch=msgspec.Raw(header_json),
            format=header.codec,
        )
    return msgspec.json.encode(image)


class _UnbufferedFile:
    """An unbuffered file whose `write` writes all of the data, or raises."""

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if overwrite else os.O_EXCL)
        self._descriptor = os.open(path, flags, 0o644)
        self._position = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        while left:
            count = os.write(self._descriptor, left)
            self._position += count
            left = left[count:]
        return len(data)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Does nothing: the file is unbuffered."""

    def truncate(self, length: int) -> None:
        os.ftruncate(self._descriptor, length)
        os.lseek(self._descriptor, length, os.SEEK_SET)
        self._position = length

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            os.close(self._descriptor)
