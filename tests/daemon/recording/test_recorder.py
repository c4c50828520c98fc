"""The recorder in this process: which messages it records, and how it counts the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from stripwatch.cli.main import main
from stripwatch.config.sections import Input
from stripwatch.errors import AddressError, ExitCode
from stripwatch.feed.sources.recording import recording_source
from stripwatch.recording.recorder import CAMERAS_MAX, Recorder
from stripwatch.recording.writer import RecordingWriter
from stripwatch.testing import FakeCamera

SHAPE = (8, 32)
STEPS_MAX = 200

MakeRecorder = Callable[..., tuple[Recorder, FakeCamera]]


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[RecordingWriter]:
    writer = RecordingWriter(tmp_path / "a.mcap")
    yield writer
    writer.close()


@pytest.fixture
def make_recorder(endpoint: str) -> Iterator[MakeRecorder]:
    """Makes a recorder on a PULL socket, and the camera that pushes to it."""
    context = zmq.Context()
    push = context.socket(zmq.PUSH)
    recorders: list[Recorder] = []

    def make(**settings: object) -> tuple[Recorder, FakeCamera]:
        entry = Input(endpoint=endpoint, pattern="pull")
        recorders.append(Recorder([entry], **settings))  # type: ignore[arg-type]
        push.connect(endpoint)
        return recorders[0], FakeCamera(push, SHAPE)

    yield make
    for recorder in recorders:
        recorder.close()
    context.destroy(linger=0)


def record(recorder: Recorder, writer: RecordingWriter, messages: int) -> None:
    """Record until so many messages have been taken or rejected."""
    for _ in range(STEPS_MAX):
        if recorder.frames.total() + recorder.rejected.total() >= messages:
            return
        recorder.step(writer, 100)
    raise AssertionError("the messages did not arrive")


def test_lost_and_late_frames_are_counted_and_late_ones_recorded(
    make_recorder: MakeRecorder, writer: RecordingWriter, tmp_path: Path
) -> None:
    """The recording holds what was sent, in the order in which it arrived."""
    recorder, camera = make_recorder()
    for seq in (0, 1, 4, 3):
        camera.send("top", "s", seq)
    record(recorder, writer, 4)
    assert (recorder.frames, recorder.lost) == ({"top": 4}, {"top": 2})
    writer.flush()
    frames = recording_source(tmp_path / "a.mcap").frames()
    assert [frame.recorded.seq for frame in frames if frame.recorded] == [0, 1, 4, 3]


def test_what_is_not_a_frame_of_the_line_is_counted_by_cause(
    make_recorder: MakeRecorder, writer: RecordingWriter
) -> None:
    """Each rejected message names its fault."""
    recorder, camera = make_recorder(cameras=("top",), frame_shape=SHAPE)
    camera.socket.send_multipart([b"frame.top", b"{}"])
    camera.send("side", "s", 0)
    camera.send("top", "s", 0, shape=(9, 32))
    camera.send("top", "s", 1, shape=(7, 32))
    camera.send("top", "s", 2)
    record(recorder, writer, 5)
    assert recorder.frames == {"top": 1}
    assert recorder.rejected == {
        "bad_parts": 1,
        "unknown_camera": 1,
        "bad_shape": 1,
        "bad_length": 1,
    }
    assert set(recorder.last_faults) == set(recorder.rejected)


def test_camera_names_from_the_network_are_limited(
    make_recorder: MakeRecorder, writer: RecordingWriter
) -> None:
    """Without a configuration any name is recorded, up to a limit."""
    recorder, camera = make_recorder()
    for number in range(CAMERAS_MAX + 3):
        camera.send(f"c{number}", "s", 0)
    record(recorder, writer, CAMERAS_MAX + 3)
    assert len(recorder.frames) == CAMERAS_MAX
    assert recorder.rejected == {"unknown_camera": 3}


def test_no_more_frames_are_taken_than_asked_for(
    make_recorder: MakeRecorder, writer: RecordingWriter
) -> None:
    recorder, camera = make_recorder()
    for seq in range(5):
        camera.send("top", "s", seq)
    for _ in range(STEPS_MAX):
        recorder.step(writer, 100, 2 - recorder.frames.total())
        if recorder.frames.total() >= 2:
            break
    assert recorder.frames == {"top": 2}


def test_an_address_that_cannot_be_bound_is_named(tmp_path: Path) -> None:
    with pytest.raises(AddressError, match="missing"):
        Recorder([Input(endpoint=f"ipc://{tmp_path}/missing/in")])


def test_a_recorder_that_cannot_receive_leaves_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command works once the address is free."""
    file = tmp_path / "a.mcap"
    command = ["record", str(file), "--endpoint", f"ipc://{tmp_path}/missing/in"]
    assert main(command) == ExitCode.ADDRESS
    assert "missing" in capsys.readouterr().err
    assert not file.exists()
