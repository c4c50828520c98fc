"""Recordings: all frames come back, and damage costs only the damaged part."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import msgspec
import numpy as np
import pytest
from mcap.reader import make_reader

from stripwatch.errors import ConfigError, StorageError
from stripwatch.feed.sources.frame import SourceFrame
from stripwatch.feed.sources.recording import recording_source
from stripwatch.recording.writer import RecordingWriter
from stripwatch.wire.frame import FrameHeader

SHAPE = (64, 512)


def header(seq: int, camera: str = "top", codec: str = "raw") -> FrameHeader:
    return FrameHeader(
        v=1,
        camera=camera,
        session="s",
        seq=seq,
        t_ns=1_790_000_000_000_000_000 + seq * 10_000_000,
        shape=SHAPE,
        dtype="u8",
        codec=codec,  # type: ignore[arg-type]
        strip="coil",
        line=seq * SHAPE[0],
        end=seq == 99,
    )


def noise(seed: int) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, SHAPE, np.uint8).tobytes()


def write(path: Path, frames: int) -> None:
    writer = RecordingWriter(path)
    for seq in range(frames):
        writer.add(header(seq, ("top", "bottom")[seq % 2]), noise(seq))
    writer.close()


def add_frames(writer: RecordingWriter, frames: int) -> None:
    for seq in range(frames):
        writer.add(header(seq), noise(seq))


def read(path: Path) -> tuple[list[SourceFrame], str]:
    source = recording_source(path)
    return list(source.frames()), source.remark()


def test_headers_and_payloads_come_back_as_they_were_sent(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    write(path, 100)
    frames, remark = read(path)
    assert remark == ""
    assert [frame.recorded for frame in frames] == [
        header(seq, ("top", "bottom")[seq % 2]) for seq in range(100)
    ]
    assert [bytes(frame.payload) for frame in frames] == [noise(seq) for seq in range(100)]
    only_top = recording_source(path, ("top",))
    assert (only_top.count, only_top.cameras) == (50, ("top",))
    assert {frame.recorded.camera for frame in only_top.frames() if frame.recorded} == {"top"}


def test_other_tools_find_images_with_an_index(tmp_path: Path) -> None:
    """One channel per camera, Foxglove's schemas, times and sequence in the index."""
    path = tmp_path / "a.mcap"
    writer = RecordingWriter(path)
    writer.add(header(0), noise(0))
    writer.add(header(1, "bottom", "jpeg"), b"\xff\xd8 a JPEG")
    writer.close()
    with path.open("rb") as file:
        reader = make_reader(file)
        summary = reader.get_summary()
        messages = list(reader.iter_messages())
    assert summary is not None
    assert summary.chunk_indexes
    assert {index.compression for index in summary.chunk_indexes} == {"zstd"}
    found = {channel.topic: schema.name for schema, channel, _ in messages if schema}
    assert found == {
        "frame.top": "foxglove.RawImage",
        "frame.bottom": "foxglove.CompressedImage",
    }
    _, _, first = messages[0]
    assert (first.sequence, first.log_time, first.publish_time) == (0, *[header(0).t_ns] * 2)
    image = msgspec.json.decode(first.data)
    assert (image["width"], image["height"], image["encoding"]) == (512, 64, "mono8")
    assert image["timestamp"] == {"sec": 1_790_000_000, "nsec": 0}


def test_an_existing_file_is_not_replaced_unless_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    write(path, 4)
    with pytest.raises(ConfigError, match="--force"):
        RecordingWriter(path)
    assert len(read(path)[0]) == 4
    RecordingWriter(path, overwrite=True).close()
    with pytest.raises(ConfigError, match="holds no frames"):
        recording_source(path)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.8, 0.97, 0.999])
def test_a_file_cut_off_anywhere_replays_up_to_its_last_whole_chunk(
    tmp_path: Path, share: float
) -> None:
    path = tmp_path / "a.mcap"
    write(path, 200)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    if share < 0.1:
        with pytest.raises(ConfigError, match="is cut off"):
            recording_source(path)
        return
    frames, remark = read(path)
    assert [frame.recorded.seq for frame in frames if frame.recorded] == list(range(len(frames)))
    assert len(frames) > 200 * share - 60  # a chunk holds some 23 of these frames
    assert [bytes(frame.payload) for frame in frames] == [noise(seq) for seq in range(len(frames))]
    assert share > 0.98 or "is cut off" in remark


def test_a_damaged_chunk_is_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    write(path, 200)
    data = bytearray(path.read_bytes())
    for position in range(len(data) // 2, len(data) // 2 + 64):
        data[position] ^= 0xFF
    path.write_bytes(data)
    frames, remark = read(path)
    assert 100 < len(frames) < 200
    assert "1 damaged chunks" in remark
    for frame in frames:
        assert frame.recorded
        assert bytes(frame.payload) == noise(frame.recorded.seq)


@pytest.mark.parametrize("data", [b"", b"not a recording", b"\x89MCAP0\r\n" + bytes(100)])
def test_what_is_no_recording_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.mcap"
    path.write_bytes(data)
    with pytest.raises((StorageError, ConfigError), match=r"a\.mcap"):
        recording_source(path)


def test_a_full_disk_ends_the_file_so_that_it_can_be_replayed(tmp_path: Path) -> None:
    """The limit on a file's size stands in for a disk's."""
    path = tmp_path / "a.mcap"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, before[1]))
    try:
        writer = RecordingWriter(path)
        with pytest.raises(StorageError, match=r"free space.*can (still )?be replayed") as failure:
            add_frames(writer, 400)
        writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    frames, _ = read(path)
    assert 20 < len(frames) < 400
    assert writer.frames.total() == len(frames)  # what is said is what the file holds
    assert f"after {len(frames)} frames" in str(failure.value)
    assert [bytes(frame.payload) for frame in frames] == [noise(seq) for seq in range(len(frames))]
