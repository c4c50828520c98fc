"""The messages of an MCAP file, read as far as it is intact, with bounded cost.

Source: the MCAP format specification. A length or size in the file is believed only as far as the
file, or a limit, allows; a damaged chunk is left out, and everything behind it is read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO

import lz4.frame
import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Footer, Message, Statistics

from stripwatch.errors import StorageError

RECORD_BYTES_MAX = 1024 * 1024 * 1024  # also of a chunk when it is unpacked
OTHER_RECORDS_MAX = 10_000  # of a chunk, that are neither messages nor their channels
MAGIC = b"\x89MCAP0\r\n"
_HEAD = struct.Struct("<BQ")  # opcode and length of a record
_FOOTER_BYTES = _HEAD.size + 20
# What mcap and its codecs raise on damaged bytes; the last three on lengths of rubbish.
DAMAGE = (
    McapError,
    struct.error,
    ValueError,
    KeyError,
    EOFError,
    RuntimeError,
    zstandard.ZstdError,
    MemoryError,
    OverflowError,
    RecursionError,
)
_KNOWN = {int(value) for name, value in vars(Opcode).items() if name.isupper()}


@dataclass(slots=True)
class Faults:
    """What could not be read."""

    damaged_chunks: int = 0
    damaged_records: int = 0  # outside chunks
    cut_off: bool = False  # the end is missing: the recorder was killed or the file truncated
    messages: int = 0  # read
    stated: int = 0  # messages that the file says it holds; 0 = it does not say


def read_messages(path: Path, faults: Faults) -> Iterator[Message]:
    """The messages in the order in which they were written; `faults` counts what is damaged.

    Raises:
        StorageError: the file cannot be read, or is not an MCAP file.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise StorageError(f"{path} is not an MCAP recording; give a file of the recorder")
            for message in _messages(file, path.stat().st_size, faults):
                faults.messages += 1
                yield message
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error


def read_counts(path: Path) -> tuple[int, dict[int, int], dict[int, Channel]] | None:
    """Messages in all, messages by channel, and the channels, from the index at the file's end.

    None where there is no index, or its checksum is missing or wrong.

    Raises:
        StorageError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            file.seek(max(0, size - len(MAGIC) - _FOOTER_BYTES))
            tail = file.read()
            if len(tail) != len(MAGIC) + _FOOTER_BYTES or not tail.endswith(MAGIC):
                return None
            opcode, _ = _HEAD.unpack_from(tail)
            footer = Footer.read(ReadDataStream(BytesIO(tail[_HEAD.size :])))
            index_bytes = size - len(tail) - footer.summary_start
            is_there = footer.summary_start and 0 < index_bytes <= RECORD_BYTES_MAX
            if opcode != Opcode.FOOTER or not footer.summary_crc or not is_there:
                return None
            file.seek(footer.summary_start)
            index = file.read(index_bytes)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    if zlib.crc32(index + tail[: _FOOTER_BYTES - 4]) != footer.summary_crc:
        return None
    return _counts_of(index)


def _counts_of(index: bytes) -> tuple[int, dict[int, int], dict[int, Channel]] | None:
    statistics = None
    channels: dict[int, Channel] = {}
    try:
        for opcode, content in _records_of(index):
            if opcode == Opcode.STATISTICS:
                statistics = Statistics.read(ReadDataStream(BytesIO(content)))
            elif opcode == Opcode.CHANNEL:
                channel = Channel.read(ReadDataStream(BytesIO(content)))
                channels[channel.id] = channel
    except DAMAGE:
        return None
    if statistics is None:
        return None
    return statistics.message_count, dict(statistics.channel_message_counts), channels


def _messages(file: IO[bytes], size: int, faults: Faults) -> Iterator[Message]:
    position = len(MAGIC)
    while True:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            faults.cut_off = True  # a whole file ends with a footer
            return
        opcode, length = _HEAD.unpack(head)
        position += _HEAD.size
        if length > min(RECORD_BYTES_MAX, size - position):
            faults.cut_off = True
            return
        content = file.read(length)
        position += length
        if opcode == Opcode.FOOTER and position + len(MAGIC) == size:
            return
        try:
            if opcode == Opcode.CHUNK:
                yield from _messages_of_chunk(content, faults)
            elif opcode == Opcode.MESSAGE:
                yield Message.read(ReadDataStream(BytesIO(content)), length)
            elif opcode == Opcode.STATISTICS:
                faults.stated = Statistics.read(ReadDataStream(BytesIO(content))).message_count
            elif opcode not in _KNOWN or opcode == Opcode.FOOTER:
                faults.damaged_records += 1
        except DAMAGE:
            faults.damaged_records += 1


def _messages_of_chunk(content: bytes, faults: Faults) -> Iterator[Message]:
    """The messages of a chunk; of a damaged one, none."""
    try:
        data = _unpacked(Chunk.read(ReadDataStream(BytesIO(content))))
        others = sum(
            opcode not in (Opcode.MESSAGE, Opcode.CHANNEL, Opcode.SCHEMA)
            for opcode, _ in _records_of(data, OTHER_RECORDS_MAX)
        )
    except DAMAGE:
        faults.damaged_chunks += 1
        return
    faults.damaged_records += others
    for opcode, record in _records_of(data):
        if opcode == Opcode.MESSAGE:
            try:
                message = Message.read(ReadDataStream(BytesIO(record)), len(record))
            except DAMAGE:
                faults.damaged_records += 1
            else:
                yield message


def _unpacked(chunk: Chunk) -> bytes:
    """The records of a chunk, whose size and checksum are right.

    Raises:
        ValueError: they are not, or the chunk would become too large.
    """
    size = chunk.uncompressed_size
    if size > RECORD_BYTES_MAX:
        raise ValueError("the chunk claims to be too long")
    if chunk.compression == "zstd":
        with zstandard.ZstdDecompressor().stream_reader(chunk.data) as stream:
            data = stream.read(size + 1)
    elif chunk.compression == "lz4":
        data = lz4.frame.LZ4FrameDecompressor().decompress(chunk.data, max_length=size + 1)
    else:
        data = chunk.data
    if len(data) != size or (chunk.uncompressed_crc and zlib.crc32(data) != chunk.uncompressed_crc):
        raise ValueError("the chunk's size or checksum is wrong")
    return data


def _records_of(data: bytes, others_max: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Opcode and content of each record.

    Raises:
        ValueError: a record is longer than the data, or more than `others_max` are of no use.
    """
    position = others = 0
    while position < len(data):
        opcode, length = _HEAD.unpack_from(data, position)
        position += _HEAD.size
        if length > len(data) - position:
            raise ValueError("a record is longer than its chunk")
        if opcode not in (Opcode.MESSAGE, Opcode.CHANNEL, Opcode.SCHEMA):
            others += 1
            if others_max is not None and others > others_max:
                raise ValueError("the chunk holds records of no use")
        yield opcode, data[position : position + length]
        position += length
