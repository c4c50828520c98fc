"""Damaged recordings: what can be read is read, and what cannot is said; nothing else happens."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zstandard
from mcap.reader import make_reader
from mcap.writer import Writer

from stripwatch.errors import ConfigError, StorageError
from stripwatch.feed.sources.mcap_file import MAGIC
from stripwatch.feed.sources.recording import Reading, read_recording, recording_source
from stripwatch.recording.writer import RecordingWriter
from stripwatch.wire.frame import FrameHeader

FRAMES = 40
SHAPE = (4, 16)
Frames = list[tuple[str, int, bytes]]  # camera, number, pixels


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A recording of two cameras in four chunks."""
    path = tmp_path_factory.mktemp("recording") / "good.mcap"
    writer = RecordingWriter(path)
    noise = np.random.default_rng(1).integers(0, 256, (FRAMES, *SHAPE), np.uint8)
    for number in range(FRAMES):
        header = FrameHeader(
            v=1,
            camera=("top", "bottom")[number % 2],
            session="s",
            seq=number // 2,
            t_ns=10**18 + number,
            shape=SHAPE,
            dtype="u8",
            codec="raw",
        )
        writer.add(header, noise[number].tobytes())
        if number % 10 == 9:
            writer.flush()
    writer.close()
    return path.read_bytes()


def read(path: Path, content: bytes) -> tuple[Frames, str]:
    """The frames of a recording with this content, and what is said of it."""
    path.write_bytes(content)
    try:
        source = recording_source(path)
        frames = [
            (frame.recorded.camera, frame.recorded.seq, bytes(frame.payload))
            for frame in source.frames()
            if frame.recorded
        ]
    except (ConfigError, StorageError) as error:
        return [], str(error)
    return frames, source.remark()


def records(data: bytes) -> Iterator[tuple[int, int]]:
    """Position and opcode of every record outside chunks."""
    position = len(MAGIC)
    while position < len(data) - len(MAGIC):
        opcode, length = struct.unpack_from("<BQ", data, position)
        yield position, opcode
        position += 9 + length


def check(path: Path, good: Frames, content: bytes, name: object) -> None:
    """Only frames that were recorded come out, in their order, and a loss is said."""
    frames, said = read(path, content)
    rest = iter(good)
    assert all(frame in rest for frame in frames), name
    assert len(frames) == len(good) or said, name


@pytest.mark.slow
def test_every_flipped_bit_of_heads_index_and_end(tmp_path: Path, data: bytes) -> None:
    """Opcodes, lengths, compression, counts, camera names: no exception, and no silent loss."""
    path = tmp_path / "a.mcap"
    good, said = read(path, data)
    assert (len(good), said) == (FRAMES, "")
    positions = set(range(110)) | set(range(len(data) - 200, len(data)))
    for position, _ in records(data):
        positions |= set(range(position, position + 50))
    for position in sorted(positions & set(range(len(data)))):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            check(path, good, bytes(damaged), (position, bit))


@pytest.mark.parametrize("seed", range(3))
def test_blocks_cut_doubled_or_overwritten(tmp_path: Path, data: bytes, seed: int) -> None:
    generator = random.Random(seed)
    path = tmp_path / "a.mcap"
    good, _ = read(path, data)
    for _ in range(100):
        at, length = generator.randrange(8, len(data)), generator.choice([1, 4, 8, 100, 1000])
        check(path, good, data[:at], ("cut", at))
        for name, content in (
            ("zeros", data[:at] + bytes(length) + data[at + length :]),
            ("ones", data[:at] + b"\xff" * length + data[at + length :]),
            ("noise", data[:at] + generator.randbytes(length) + data[at + length :]),
            ("removed", data[:at] + data[at + length :]),
        ):
            check(path, good, content, (name, at, length))


def test_frames_behind_a_damaged_chunk_are_read(tmp_path: Path, data: bytes) -> None:
    """A length of rubbish inside the chunk reserves no memory and costs that chunk alone."""
    chunks = [position for position, opcode in records(data) if opcode == 6]
    field = chunks[1] + 9 + 28
    field += 4 + struct.unpack_from("<I", data, field)[0]
    content = data[:field] + b"\xff" * 8 + data[field + 8 :]
    frames, said = read(tmp_path / "a.mcap", content)
    assert len(frames) == FRAMES - 10
    assert "1 damaged chunks" in said


def chunk(records_: bytes) -> bytes:
    packed = zstandard.compress(records_)
    body = struct.pack("<QQQI", 0, 0, len(records_), zlib.crc32(records_))
    body += struct.pack("<I", 4) + b"zstd" + struct.pack("<Q", len(packed)) + packed
    return struct.pack("<BQ", 6, len(body)) + body


def test_a_chunk_of_endless_empty_records_is_left_out(tmp_path: Path, data: bytes) -> None:
    """A few kilobytes that would be read for minutes."""
    first = next(position for position, opcode in records(data) if opcode == 6)
    content = data[:first] + chunk(bytes(9_000_000)) + data[first:]
    frames, said = read(tmp_path / "a.mcap", content)
    assert len(frames) == FRAMES
    assert "1 damaged chunks" in said


def test_an_index_need_not_name_the_channels(tmp_path: Path, data: bytes) -> None:
    """Other tools leave them out, and put channels of their own beside ours."""
    good, again = tmp_path / "good.mcap", tmp_path / "again.mcap"
    good.write_bytes(data)
    with again.open("wb") as file, good.open("rb") as source:
        writer = Writer(file, repeat_channels=False, repeat_schemas=False)
        writer.start()
        other = writer.register_channel("/log", "json", 0)
        numbers: dict[str, int] = {}
        for schema, channel, message in make_reader(source).iter_messages():
            assert schema is not None
            if channel.topic not in numbers:
                number = writer.register_schema(schema.name, schema.encoding, schema.data)
                numbers[channel.topic] = writer.register_channel(
                    channel.topic, "json", number, channel.metadata
                )
            time_ns = message.log_time
            writer.add_message(numbers[channel.topic], time_ns, message.data, time_ns)
            writer.add_message(other, time_ns, b'{"level":1}', time_ns)
        writer.finish()  # type: ignore[no-untyped-call]
    source_of = recording_source(again, ("top",))
    assert (source_of.count, sum(1 for _ in source_of.frames())) == (20, 20)


def test_a_frame_is_replayed_whatever_else_its_header_holds(tmp_path: Path) -> None:
    """Keys of a camera's own, nested, and faults for which the daemon does not drop it."""
    path = tmp_path / "a.mcap"
    writer = RecordingWriter(path)
    start = b'{"v":1,"camera":"top","session":"s","t_ns":1,"shape":[1,2],"dtype":"u8","codec":"raw"'
    extras = [b"", b',"strip":""', b',"x":' + b"[" * 900 + b"]" * 900, b',"line":3.0', b',"end":0']
    for seq, extra in enumerate(extras):
        header = FrameHeader(
            v=1, camera="top", session="s", seq=seq, t_ns=1, shape=(1, 2), dtype="u8", codec="raw"
        )
        writer.add(header, b"ab", start + b',"seq":%d' % seq + extra + b"}")
    writer.close()
    reading = Reading()
    seqs = [header.seq for header, _ in read_recording(path, reading)]
    assert set(seqs) >= {0, 1, 3, 4}
    assert len(seqs) + reading.foreign_messages == len(extras)
