"""`stripwatch camera` with real protocol stacks on loopback: nothing that is lost is silent."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.line.cameras import SHAPE, CameraLine, is_of_one_piece, need_aravis, receiving, wait

from stripwatch.errors import ExitCode


@pytest.fixture
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CameraLine]:
    need_aravis()
    made = CameraLine(
        tmp_path_factory.mktemp("c"), lines_lost_chunk="ChunkLinesSkipped", frame_timeout_ms=200.0
    )
    yield made
    made.close()


def test_frames_arrive_in_order_across_the_wrap_of_their_ids(line: CameraLine) -> None:
    line.start_fake("--first-frame-id", "65500")
    with receiving(line) as next_frame:
        line.start_camera()
        frames = [next_frame() for _ in range(100)]
    assert [header.seq for header, _ in frames] == list(range(100)), line.logs()
    assert len({header.session for header, _ in frames}) == 1
    assert all(is_of_one_piece(pixels) for _, pixels in frames)


def test_a_frame_with_lost_packets_leaves_its_number_out_and_is_never_sent(
    line: CameraLine,
) -> None:
    """12 packets a frame, of which 3 % are lost and none is sent again: two frames in three."""
    line.start_fake("--lose", "30", "--no-resend", "--seed", "5")
    with receiving(line) as next_frame:
        line.start_camera()
        frames = [next_frame() for _ in range(60)]
    numbers = [header.seq for header, _ in frames]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] - numbers[0] + 1 > len(numbers) * 1.1, "nothing was lost"
    assert all(is_of_one_piece(pixels) for _, pixels in frames), "old pixels"
    wait(lambda: b"frames lost" in line.log("camera"), line.logs)


def test_lost_packets_that_are_sent_again_lose_no_frame(line: CameraLine) -> None:
    line.start_fake("--lose", "3", "--seed", "6")
    with receiving(line) as next_frame:
        line.start_camera()
        next_frame()  # a first frame whose leader is lost has nothing to be asked for
        frames = [next_frame() for _ in range(150)]
    numbers = [header.seq for header, _ in frames]
    lost = numbers[-1] - numbers[0] + 1 - len(numbers)
    assert lost <= 5, f"of 151 frames about 5 lose a packet; {lost} are missing: {line.logs()}"
    assert all(is_of_one_piece(pixels) for _, pixels in frames)


def test_a_strip_that_stops_delivers_its_last_frame_and_the_process_waits(
    line: CameraLine,
) -> None:
    """Longer than the silence after which a camera that runs free is given up."""
    line.start_fake(motion="3210x1,0x3.5")
    with receiving(line) as next_frame:
        line.start_camera()
        frames = [next_frame() for _ in range(110)]  # about 50 a leg
    short = [header for header, pixels in frames if len(pixels) < SHAPE[0]]
    assert short, "no frame was left by the frame timeout"
    assert all(is_of_one_piece(pixels) for _, pixels in frames)
    assert [header.seq for header, _ in frames] == list(range(110))
    assert b"the strip stands" in line.log("camera")
    assert line.processes["camera"].poll() is None


def test_lines_that_the_camera_skips_are_told_in_the_header(line: CameraLine) -> None:
    """The encoder gives 16,000 lines a second, the camera takes 8,000."""
    line.config.cameras[0].source.features["AcquisitionLineRate"] = 8000.0  # type: ignore[union-attr]
    from stripwatch.config.toml import config_toml

    line.path.write_text(config_toml(line.config))
    line.start_fake(motion="16000")
    with receiving(line) as next_frame:
        line.start_camera()
        frames = [next_frame() for _ in range(50)]
    lost = [header.lines_lost for header, _ in frames][1:]
    assert SHAPE[0] * 0.9 < sum(lost) / len(lost) < SHAPE[0] * 1.1


def test_a_camera_that_is_gone_ends_the_process_with_its_own_code(line: CameraLine) -> None:
    line.start_fake()
    with receiving(line) as next_frame:
        line.start_camera()
        next_frame()
        line.kill("fake")
        assert line.processes["camera"].wait(30) == ExitCode.CAMERA
    assert b"no frame for" in line.log("camera")
    assert b"Traceback" not in line.log("camera")


def test_a_camera_that_is_not_there_is_a_sentence(line: CameraLine) -> None:
    line.start_camera()
    assert line.processes["camera"].wait(60) == ExitCode.CAMERA
    assert b"does not answer" in line.log("camera")
    assert b"Traceback" not in line.log("camera")


def test_a_feature_out_of_range_is_refused_with_the_range(line: CameraLine) -> None:
    line.config.cameras[0].source.features["ExposureTime"] = 1e6  # type: ignore[union-attr]
    from stripwatch.config.toml import config_toml

    line.path.write_text(config_toml(line.config))
    line.start_fake()
    line.start_camera()
    assert line.processes["camera"].wait(60) == ExitCode.CONFIG
    assert b"ExposureTime = 1000000.0" in line.log("camera")
    assert b"allowed: 2 to 10000 us" in line.log("camera")


def test_sigterm_ends_the_process_and_frees_the_camera(line: CameraLine, tmp_path: Path) -> None:
    line.start_fake()
    with receiving(line) as next_frame:
        line.start_camera()
        next_frame()
        line.kill("camera", signal.SIGTERM)
        assert line.processes["camera"].returncode == ExitCode.OK, line.logs()
        before = line.log("camera")
        line.start_camera()  # at once: control must be free
        for _ in range(400):
            header, _pixels = next_frame()
            if header.seq == 0:
                break
        assert header.seq == 0
    assert b"another program" not in line.log("camera")[len(before) :]
