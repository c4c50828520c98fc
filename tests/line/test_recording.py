"""`stripwatch record` as a process: however it ends, its file can be replayed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import zmq

from stripwatch.feed.sources.frame import SourceFrame
from stripwatch.feed.sources.recording import recording_source
from stripwatch.testing import FakeCamera

SHAPE = (64, 512)


def noise(seed: int) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, SHAPE, np.uint8).tobytes()


def read(path: Path) -> tuple[list[SourceFrame], str]:
    source = recording_source(path)
    return list(source.frames()), source.remark()


@pytest.fixture
def recorder(tmp_path: Path) -> subprocess.Popen[bytes]:
    """A running `stripwatch record`."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "stripwatch", "record", str(tmp_path / "a.mcap")),
            *("--endpoint", f"ipc://{tmp_path}/in", "--pattern", "pull", "--attach", "bind"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def send_to(folder: Path, frames: int) -> None:
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.setsockopt(zmq.LINGER, 20_000)
        push.connect(f"ipc://{folder}/in")
        camera = FakeCamera(push, SHAPE)
        for seq in range(frames):
            pixels = np.frombuffer(noise(seq), np.uint8).reshape(SHAPE)
            camera.send("top", "s", seq, pixels)


def wait_for_size(path: Path, size: int) -> None:
    """Noise does not get smaller on its way into the file."""
    until_s = time.monotonic() + 30
    while not path.exists() or path.stat().st_size < size:
        assert time.monotonic() < until_s
        time.sleep(0.05)


@pytest.mark.slow
def test_a_recording_ended_by_sigterm_is_whole(
    tmp_path: Path, recorder: subprocess.Popen[bytes]
) -> None:
    """Footer and index are there, and the summary names the camera and the bad messages."""
    send_to(tmp_path, 50)
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.setsockopt(zmq.LINGER, 20_000)
        push.connect(f"ipc://{tmp_path}/in")
        push.send_multipart([b"frame.top", b"{}", b""])
    wait_for_size(tmp_path / "a.mcap", 50 * SHAPE[0] * SHAPE[1])
    time.sleep(1.5)  # for the bad message, which comes over another connection
    recorder.terminate()
    out, _ = recorder.communicate(timeout=30)
    assert recorder.returncode == 0, out
    assert b"50 frames" in out
    assert b"bad_header" in out
    frames, remark = read(tmp_path / "a.mcap")
    assert (len(frames), remark) == (50, "")


def test_a_recording_ended_by_kill_9_is_replayable(
    tmp_path: Path, recorder: subprocess.Popen[bytes]
) -> None:
    """Up to the last whole chunk, of which one is written at least every second."""
    send_to(tmp_path, 150)
    path = tmp_path / "a.mcap"
    wait_for_size(path, 1_000_000)
    recorder.send_signal(signal.SIGKILL)
    recorder.communicate(timeout=30)
    frames, remark = read(path)
    assert frames
    assert "is cut off" in remark
    assert [bytes(frame.payload) for frame in frames] == [noise(seq) for seq in range(len(frames))]
