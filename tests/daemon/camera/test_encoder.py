"""The encoder: counts that wrap, fall, and are missing, become lines of the strip."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest

from stripwatch.camera.base import Buffer, BufferStatus, Pixels
from stripwatch.camera.encoder import (
    LineCounter,
    check_embedded,
    embedded_count,
    hide_count,
)
from stripwatch.config.cameras import EmbeddedCount, FeatureValue, LineSource
from stripwatch.errors import ConfigError

SEED = 33


def no_feature(name: str) -> FeatureValue:
    raise AssertionError(name)


def frame(frame_id: int = 0, lines: int = 64, pixels: int = 16, **chunks: float) -> Buffer:
    return Buffer(
        pixels=np.zeros((lines, pixels), np.uint8),
        frame_id=frame_id,
        device_ns=None,
        host_ns=0,
        status=BufferStatus.COMPLETE,
        detail="",
        chunks=chunks,
        token=None,
    )


def lines_of(counter: LineCounter, counts: list[int]) -> list[int | None]:
    return [counter.place(frame(number, Encoder=count))[0] for number, count in enumerate(counts)]


@pytest.mark.parametrize("bits", [16, 32])
def test_a_count_that_begins_again_goes_on(bits: Literal[16, 32]) -> None:
    """16 bits wrap after 65,536 counts, some hundred frames."""
    end = 2**bits
    counts = [(end - 128 + 64 * number) % end for number in range(6)]
    counter = LineCounter(LineSource(chunk="Encoder", bits=bits), no_feature)
    assert lines_of(counter, counts) == [0, 64, 128, 192, 256, 320]


def test_random_steps_come_out_as_they_went_in() -> None:
    """Seeded: any forward step below half the range, over many wraps."""
    generator = np.random.default_rng(SEED)
    print(f"seed {SEED}")
    steps = generator.integers(0, 2**15, 500)
    counts = (np.cumsum(steps) + 12_345) % 2**16
    counter = LineCounter(LineSource(chunk="Encoder", bits=16), no_feature)
    expected = np.cumsum(steps) - steps[0]
    assert lines_of(counter, counts.tolist()) == expected.tolist()


def test_counts_are_turned_into_lines() -> None:
    """An encoder of 2.5 counts a line; rounding does not add up."""
    counter = LineCounter(LineSource(chunk="Encoder", counts_per_line=2.5), no_feature)
    assert lines_of(counter, [160 * number for number in range(5)]) == [0, 64, 128, 192, 256]


def test_a_line_that_runs_back_waits_until_it_is_where_it_was() -> None:
    """`line` never falls unless it is configured: the same steel would count twice."""
    counts = [0, 64, 128, 100, 80, 140, 200]
    counter = LineCounter(LineSource(chunk="Encoder"), no_feature)
    assert lines_of(counter, counts) == [0, 64, 128, 128, 128, 140, 200]
    assert counter.falls == 2


def test_a_camera_that_images_backwards_says_so() -> None:
    """With `may_fall` the frames are marked as reversed, and never lie before the start."""
    counter = LineCounter(LineSource(chunk="Encoder", may_fall=True), no_feature)
    counts = [1000, 1064, 1128, 1064, 900, 964]
    places = [counter.place(frame(number, Encoder=count)) for number, count in enumerate(counts)]
    assert places == [(0, False), (64, False), (128, False), (64, True), (0, True), (0, False)]


def test_a_new_strip_begins_at_line_0() -> None:
    """Whatever the encoder says."""
    counter = LineCounter(LineSource(chunk="Encoder"), no_feature)
    assert lines_of(counter, [500, 564]) == [0, 64]
    counter.restart()
    assert counter.place(frame(2, Encoder=628)) == (0, False)
    assert counter.place(frame(3, Encoder=692)) == (64, False)


def test_a_frame_without_its_count_has_no_line() -> None:
    """It is counted, and the next one is right again."""
    counter = LineCounter(LineSource(chunk="Encoder"), no_feature)
    assert counter.place(frame(0, Encoder=10)) == (0, False)
    assert counter.place(frame(1)) == (None, False)
    assert counter.place(frame(2, Encoder=138)) == (128, False)
    assert counter.missing == 1


def test_a_feature_is_read_for_each_frame() -> None:
    """Where the camera has no chunk."""
    values: Iterator[FeatureValue] = iter([7, 71.0, "unknown"])
    counter = LineCounter(LineSource(feature="EncoderValue"), lambda _: next(values))
    assert [counter.place(frame(number))[0] for number in range(3)] == [0, 64, None]


def test_the_length_is_measured_against_the_encoder() -> None:
    """Frames that follow each other, so that lost ones do not count: 5 % of the lines are lost."""
    counter = LineCounter(LineSource(chunk="Encoder"), no_feature)
    for number in range(3000):
        frame_id = number if number < 1500 else number + 10
        counter.place(frame(frame_id, Encoder=round(frame_id * 64 * 1.05)))
    assert counter.lines_per_line == pytest.approx(1.05, abs=0.002)


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize(
    ("place", "count"),
    [
        (EmbeddedCount(), 0x01020304),
        (EmbeddedCount(order="little"), 0x04030201),
        (EmbeddedCount(first_px=1, bytes=2), 0x0203),
        (EmbeddedCount(row=1, bytes=2, order="little"), 0x0605),
    ],
)
def test_a_count_is_read_from_pixels(bits: int, place: EmbeddedCount, count: int) -> None:
    """One byte a pixel, of whatever depth."""
    greys = [[1, 2, 3, 4], [5, 6, 7, 8]]
    pixels: Pixels = np.array(greys, np.uint8) if bits == 8 else np.array(greys, np.uint16)
    assert embedded_count(pixels, place) == count


def test_a_count_in_pixels_places_the_frames_and_is_hidden() -> None:
    """It would look like a defect in the first line."""
    place = EmbeddedCount(order="little")
    counter = LineCounter(LineSource(embedded=place), no_feature)
    for number, line in enumerate((0, 64, 128)):
        buffer = frame(number)
        buffer.pixels[:] = 90
        buffer.pixels[0, :4] = list((70_000 + 64 * number).to_bytes(4, "little"))
        assert counter.place(buffer) == (line, False)
        hide_count(buffer.pixels, place)
        assert (buffer.pixels == 90).all()


def test_the_last_line_is_hidden_by_the_one_above() -> None:
    """And a frame of one line stays as it is."""
    pixels = np.array([[9, 9, 9], [1, 2, 9]], np.uint8)
    hide_count(pixels, EmbeddedCount(row=1, bytes=2))
    assert pixels.tolist() == [[9, 9, 9], [9, 9, 9]]
    one = np.array([[1, 2, 9]], np.uint8)
    hide_count(one, EmbeddedCount(bytes=2))
    assert one.tolist() == [[1, 2, 9]]


def test_a_count_outside_the_frame_is_refused() -> None:
    """At the start, not at the first frame."""
    check_embedded("top", EmbeddedCount(row=63, first_px=12), (64, 16))
    for place in (EmbeddedCount(row=64), EmbeddedCount(first_px=13)):
        with pytest.raises(ConfigError, match="outside the frame of 64x16"):
            check_embedded("top", place, (64, 16))
