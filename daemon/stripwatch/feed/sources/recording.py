"""A recording as frames, read as far as it is intact."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import zstandard
from mcap.exceptions import EndOfFile, InvalidMagic, McapError
from mcap.reader import make_reader
from mcap.records import Chunk, McapRecord, Message
from mcap.stream_reader import StreamReader, breakup_chunk

from stripwatch.errors import ConfigError, StorageError
from stripwatch.feed.sources.frame import Source, SourceFrame
from stripwatch.wire.frame import FrameHeader

RECORD_BYTES_MAX = 1024 * 1024 * 1024  # a record that claims to be longer is damage
_DAMAGE = (McapError, struct.error, ValueError, KeyError, zstandard.ZstdError)


@dataclass(slots=True)
class Reading:
    """Counts and faults of one pass through a recording."""

    frames: int = 0
    foreign_messages: int = 0  # messages that are not frames of ours
    damaged_chunks: int = 0
    cut_off: bool = False  # the end is missing: the recorder was killed or the file truncated

    def remark(self) -> str:
        """One sentence about what could not be read, or an empty text."""
        faults = []
        if self.cut_off:
            faults.append("is cut off")
        if self.damaged_chunks:
            faults.append(f"has {self.damaged_chunks} damaged chunks, which were left out")
        if self.foreign_messages:
            faults.append(f"has {self.foreign_messages} messages that are not frames of stripwatch")
        if not faults:
            return ""
        return f"the recording {' and '.join(faults)}; {self.frames} frames were read"


class _Recorded(msgspec.Struct, frozen=True):
    """The part of a recorded message that a replay needs."""

    stripwatch: FrameHeader
    data: bytes


def read_recording(path: Path, reading: Reading) -> Iterator[tuple[FrameHeader, bytes]]:
    """The header and payload of every frame, in the order in which they were recorded.

    Damaged chunks are left out and a cut-off file ends early; `reading` counts both.

    Raises:
        StorageError: the file cannot be read, or is not an MCAP file.
    """
    decoder = msgspec.json.Decoder(_Recorded)
    for message in _messages(path, reading):
        try:
            recorded = decoder.decode(message.data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            reading.foreign_messages += 1
            continue
        reading.frames += 1
        yield recorded.stripwatch, recorded.data


def recording_source(path: Path, cameras: tuple[str, ...] = ()) -> Source:
    """A recording's frames; of the cameras named, or of all.

    Raises:
        ConfigError: it holds no frames, or none of a camera named.
        StorageError: the file cannot be read, or is no MCAP file.
    """
    counts, reading = _count(path)
    for camera in cameras or ():
        if camera not in counts:
            raise ConfigError(
                f"{path} holds no frames of camera {camera!r}; it holds: {', '.join(counts)}"
            )
    chosen = cameras or tuple(counts)
    if not chosen:
        raise ConfigError(
            f"{path} holds no frames that stripwatch recorded; {reading.remark() or 'it is empty'}"
        )

    latest = [reading]

    def frames() -> Iterator[SourceFrame]:
        latest[0] = Reading()
        for header, payload in read_recording(path, latest[0]):
            if header.camera in chosen:
                yield SourceFrame(
                    payload=payload,
                    shape=header.shape,
                    codec=header.codec,
                    t_ns=header.t_ns,
                    recorded=header,
                )

    def remark() -> str:
        return latest[0].remark()

    return Source(
        name=path.stem,
        frames=frames,
        count=sum(counts[camera] for camera in chosen),
        cameras=chosen,
        timed=True,
        remark=remark,
    )


def _count(path: Path) -> tuple[dict[str, int], Reading]:
    """Frames by camera: from the index, or without one by reading the whole file."""
    try:
        with path.open("rb") as file:
            summary = make_reader(file).get_summary()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    except _DAMAGE:
        summary = None
    counts: dict[str, int] = {}
    if summary is not None and summary.statistics is not None:
        for number, channel in summary.channels.items():
            camera = channel.metadata.get("camera")
            if camera is not None:
                frames = summary.statistics.channel_message_counts.get(number, 0)
                counts[camera] = counts.get(camera, 0) + frames
        return counts, Reading(frames=sum(counts.values()))
    reading = Reading()
    for header, _ in read_recording(path, reading):
        counts[header.camera] = counts.get(header.camera, 0) + 1
    return counts, reading


def _messages(path: Path, reading: Reading) -> Iterator[Message]:
    try:
        with path.open("rb") as file:
            reader = StreamReader(file, emit_chunks=True, record_size_limit=RECORD_BYTES_MAX)
            for record in _records(path, reader, reading):
                if isinstance(record, Chunk):
                    yield from _messages_of_chunk(record, reading)
                elif isinstance(record, Message):
                    yield record
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error


def _records(path: Path, reader: StreamReader, reading: Reading) -> Iterator[McapRecord]:
    """The records up to the file's end, or up to the first that cannot be read."""
    records = reader.records
    first = True
    while True:
        try:
            record = next(records, None)
        except (InvalidMagic, EndOfFile, *_DAMAGE) as error:
            if first:
                raise StorageError(f"{path} is not an MCAP recording: {error}") from error
            reading.cut_off = True
            return
        if record is None:
            return
        first = False
        yield record


def _messages_of_chunk(chunk: Chunk, reading: Reading) -> list[Message]:
    try:
        claimed = zstandard.frame_content_size(chunk.data) if chunk.compression == "zstd" else 0
        if max(claimed, chunk.uncompressed_size) > RECORD_BYTES_MAX:
            raise ValueError("chunk claims to be too long")
        records = breakup_chunk(chunk, validate_crc=True)
    except _DAMAGE:
        reading.damaged_chunks += 1
        return []
    return [record for record in records if isinstance(record, Message)]
