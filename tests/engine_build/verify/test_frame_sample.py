"""Frames to calibrate and to verify on have exactly the pixels that the daemon inspects."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
from PIL import Image

from stripwatch.errors import ConfigError
from stripwatch.feed.sources import SourceFrame, video
from stripwatch.recording.writer import RecordingWriter
from stripwatch.wire.frame import FrameHeader, decode_image
from stripwatch_engine.settings import SYNTHETIC
from stripwatch_engine.verify.frame_sample import PATTERN, _spread, sample_frames

SHAPE = (32, 80)
Codec = Literal["raw", "png", "jpeg"]


def header_of(codec: Codec) -> FrameHeader:
    """The header of a camera's first frame."""
    return FrameHeader(
        camera="top", session="s", seq=0, v=1, t_ns=0, shape=SHAPE, dtype="u8", codec=codec
    )


def colour_image(codec: Codec) -> bytes:
    """A noisy colour image, as a colour camera sends it."""
    pixels = np.random.default_rng(5).integers(0, 256, (*SHAPE, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, codec.upper())
    return file.getvalue()


def record(path: Path, codec: Codec, payload: bytes) -> Path:
    """A recording of one frame."""
    writer = RecordingWriter(path)
    writer.add(header_of(codec), payload)
    writer.close()
    return path


@pytest.mark.parametrize("codec", ["jpeg", "png"])
def test_a_coded_frame_is_decoded_as_the_daemon_decodes_it(tmp_path: Path, codec: Codec) -> None:
    """Libraries differ in the luma of a colour image, and these pixels decide about an engine."""
    payload = colour_image(codec)
    inspected = decode_image(header_of(codec), payload)
    sample = sample_frames(str(record(tmp_path / "x.mcap", codec, payload)), SHAPE, 1, seed=0)
    assert np.array_equal(sample.frames, inspected[None])
    other = cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert other is not None
    assert not np.array_equal(other, inspected), "this image cannot tell the decoders apart"


@pytest.mark.parametrize("codec", ["jpeg", "png"])
def test_an_image_of_a_folder_has_the_same_pixels_as_the_frame(
    tmp_path: Path, codec: Codec
) -> None:
    """An engine is verified alike on a recording and on its images."""
    payload = colour_image(codec)
    (tmp_path / f"frame.{codec}").write_bytes(payload)
    sample = sample_frames(str(tmp_path), SHAPE, 1, seed=0)
    assert np.array_equal(sample.frames, decode_image(header_of(codec), payload)[None])


@pytest.mark.parametrize("codec", ["jpeg", "png", "raw"])
def test_a_recorded_frame_that_the_daemon_refuses_is_refused_here(
    tmp_path: Path, codec: Codec
) -> None:
    """One that is cut off; the sentence says what to do."""
    payload = bytes(SHAPE[0] * SHAPE[1]) if codec == "raw" else colour_image(codec)
    path = record(tmp_path / "x.mcap", codec, payload[: len(payload) // 2])
    with pytest.raises(ConfigError, match=r"a frame cannot be decoded .*; remove it"):
        sample_frames(str(path), SHAPE, 1, seed=0)


def test_frames_with_fewer_lines_repeat_their_last_line(tmp_path: Path) -> None:
    """As the daemon pads the last frame of a strip."""
    pixels = np.random.default_rng(6).integers(0, 256, (20, 80)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "frame.png")
    (found,) = sample_frames(str(tmp_path), SHAPE, 1, seed=0).frames
    assert np.array_equal(found[:20], pixels)
    assert (found[20:] == pixels[-1]).all()


def test_a_video_of_unknown_length_is_sampled_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not at its beginning alone, where a coil begins."""
    path = tmp_path / "strip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, SHAPE[::-1])
    for level in (0, 40, 80, 120, 160, 200, 240):
        writer.write(np.full((*SHAPE, 3), level, np.uint8))
    writer.release()
    monkeypatch.setattr(video, "PICTURES_MAX", 0)  # no header is believed
    found = sample_frames(str(path), SHAPE, 2, seed=0).frames
    assert [round(float(frame.mean()) / 40) for frame in found] == [0, 4]


@pytest.mark.parametrize("count", [1, 2, 7, 8])
def test_frames_of_an_unknown_number_are_spread_evenly(count: int) -> None:
    """As many as asked for where there are as many, none twice, with gaps that differ little."""
    for length in range(60):
        frames = (SourceFrame(payload=b"", shape=SHAPE, t_ns=number) for number in range(length))
        places = [frame.t_ns or 0 for frame in _spread(frames, count, None)]
        assert len(places) == min(length, count), length
        assert places == sorted(set(places)), length
        if length >= count:
            gaps = np.diff([*places, length])
            assert places[0] == 0
            assert gaps.max() <= 2 * length / count + 1, (length, places)


def test_images_that_were_left_out_are_named(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.bmp"), np.zeros(SHAPE, np.uint8))
    (tmp_path / "b.webp").write_bytes(b"RIFF")
    sample = sample_frames(str(tmp_path), SHAPE, 1, seed=0)
    assert len(sample.frames) == 1
    assert "left out 1 file of kind .webp" in sample.remark("verified", "--verify-frames")


@pytest.mark.parametrize("source", [PATTERN, SYNTHETIC])
def test_generated_frames_of_two_seeds_share_none(source: str) -> None:
    """So calibration and verification on one such source use different frames."""
    one, other = (sample_frames(source, SHAPE, 4, seed=seed) for seed in (1, 101))
    assert one.is_generated
    assert not any(np.array_equal(a, b) for a in one.frames for b in other.frames)
