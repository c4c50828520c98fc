"""A log that never raises, never waits, and says what it has dropped."""

from __future__ import annotations

import os
import time

import pytest

from stripwatch.service.log_stream import LINES_MAX, LogStream


@pytest.fixture
def pipe() -> tuple[int, int]:
    return os.pipe()


def test_lines_come_out_whole_and_in_order(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    stream = LogStream(writer)
    lines = [f"line {number} {'x' * (number % 700)}\n" for number in range(60)]
    for line in lines:
        stream.write(line)
    stream.close()
    os.close(writer)
    with os.fdopen(reader) as file:
        assert file.readlines() == lines


def test_a_reader_that_does_not_read_delays_nobody(pipe: tuple[int, int]) -> None:
    """What finds no room is dropped, and counted when there is room again."""
    reader, writer = pipe
    stream = LogStream(writer)
    for number in range(3 * LINES_MAX):
        stream.write(f"line {number} {'x' * 100}\n")
    text = ""
    while "dropped" not in text:
        text += os.read(reader, 65536).decode()
        stream.write("another\n")
    stream.close()
    assert "log lines dropped: their reader is too slow" in text
    os.close(writer)
    os.close(reader)


def test_a_reader_that_has_gone_and_a_full_disk_raise_nothing(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    for descriptor in (writer, os.open("/dev/full", os.O_WRONLY)):
        stream = LogStream(descriptor)
        for _ in range(10):
            stream.write("line\n")
        stream.close()
        os.close(descriptor)


def test_the_end_waits_for_a_stuck_reader_no_longer_than_its_limit(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    stream = LogStream(writer)
    for _ in range(2000):
        stream.write("x" * 100 + "\n")
    started_s = time.monotonic()
    stream.close()
    assert time.monotonic() - started_s < 30
    os.close(reader)
    os.close(writer)
