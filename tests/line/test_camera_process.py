"""`stripwatch camera` with real protocol stacks on loopback: nothing that is lost is silent."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.line.cameras import (
    SHAPE,
    CameraLine,
    is_of_one_piece,
    is_taken,
    need_aravis,
    receiving,
    wait,
)
from tests.programs import program

from stripwatch.config.cameras import CameraSource
from stripwatch.errors import ExitCode
from stripwatch.journal.store import FILE
from stripwatch.journal.verify import verify


@pytest.fixture
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CameraLine]:
    need_aravis()
    made = CameraLine(
        tmp_path_factory.mktemp("c"), lines_lost_chunk="ChunkLinesSkipped", frame_timeout_ms=200.0
    )
    yield made
    made.close()


def test_frames_arrive_in_order_across_the_wrap_of_their_ids_with_the_lines_skipped(
    line: CameraLine,
) -> None:
    """The encoder gives 4,000 lines a second, the camera takes 2,000."""
    line.set_feature("AcquisitionLineRate", 2000.0)
    line.start_fake("--first-frame-id", "65500", motion="4000")
    with receiving(line) as next_frame:
        line.start_camera()
        frames = [next_frame() for _ in range(100)]
    assert [header.seq for header, _ in frames] == list(range(100)), line.logs()
    assert len({header.session for header, _ in frames}) == 1
    assert all(is_of_one_piece(pixels) for _, pixels in frames)
    lost = [header.lines_lost for header, _ in frames][1:]
    assert SHAPE[0] * 0.9 < sum(lost) / len(lost) < SHAPE[0] * 1.1


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


def test_a_strip_that_stops_delivers_its_last_frame_and_the_process_waits(
    line: CameraLine,
) -> None:
    """Longer than the silence after which a camera that runs free is given up."""
    line.start_fake(motion="3210x0.6,0x2.7")
    with receiving(line) as next_frame:
        line.start_camera()
        frames = [next_frame() for _ in range(45)]  # about 30 a leg
    short = [header for header, pixels in frames if len(pixels) < SHAPE[0]]
    assert short, "no frame was left by the frame timeout"
    assert all(is_of_one_piece(pixels) for _, pixels in frames)
    assert [header.seq for header, _ in frames] == list(range(45))
    assert b"the strip stands" in line.log("camera")
    assert line.processes["camera"].poll() is None


def test_a_camera_that_is_gone_ends_the_process_with_its_own_code(line: CameraLine) -> None:
    line.start_fake()
    with receiving(line) as next_frame:
        line.start_camera()
        next_frame()
        line.kill("fake")
        assert line.processes["camera"].wait(30) == ExitCode.CAMERA
    assert b"no frame for" in line.log("camera")
    assert b"Traceback" not in line.log("camera")


def test_sigterm_ends_the_process_and_frees_the_camera(line: CameraLine) -> None:
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


def sessions(line: CameraLine) -> list[tuple[int, int, int, dict[str, int]]]:
    """First and last number, inspected, and missed by cause, of each session in the journal."""
    path = line.folder / "journal" / FILE
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        try:
            rows = database.execute("SELECT first_seq, last_seq, inspected, missed FROM coverage")
            return [(*row[:3], json.loads(row[3])) for row in rows]
        except sqlite3.OperationalError:  # it is being made
            return []


def inspected(line: CameraLine) -> int:
    return sum(count for _, _, count, _ in sessions(line))


def check_coverage(line: CameraLine) -> None:
    """Every number is inspected or missed for a cause, and the journal agrees with its events."""
    for first, last, count, missed in sessions(line):
        assert count + sum(missed.values()) == last - first + 1
    assert verify(line.folder / "journal" / FILE) == []


def test_aravis_own_camera_with_lost_packets_becomes_gaps_in_the_journal(
    line: CameraLine,
) -> None:
    """Another's implementation of the protocol; it sends nothing again."""
    found = program("arv-fake-gv-camera-0.8", "aravis-tools-cli")
    serial = f"SW{os.getpid()}"
    if is_taken("127.0.0.1"):
        pytest.skip("another fake camera has 127.0.0.1, the only address that this one takes")
    source = CameraSource(
        kind="aravis",
        id=f"Aravis-Fake-{serial}",
        trigger="free",
        packet_bytes=1400,
        features={"AcquisitionFrameRate": 100.0},
    )
    line.set_source(source)
    line.start_program("fake", [found, "-i", "127.0.0.1", "-s", serial, "-r", "20"])
    line.start_daemon()
    line.start_camera()
    wait(lambda: inspected(line) > 100, line.logs)
    line.kill("camera", signal.SIGTERM)
    line.kill("daemon", signal.SIGTERM)
    (found_session,) = sessions(line)
    assert found_session[3]["lost"] > 10
    check_coverage(line)


@pytest.mark.parametrize("seed", [21])
def test_kills_in_any_order_leave_a_journal_that_adds_up(line: CameraLine, seed: int) -> None:
    """Camera, its process and the daemon, again and again; the process ends by itself, too."""
    chance = random.Random(seed)
    starts = {
        "fake": lambda: line.start_fake("--lose", "5", "--no-resend"),
        "daemon": line.start_daemon,
        "camera": line.start_camera,
    }
    for start in starts.values():
        start()
    wait(lambda: inspected(line) > 20, line.logs)
    kills = [name for name in starts for _ in range(2)]
    chance.shuffle(kills)
    for name in kills:
        line.kill(name)
        time.sleep(chance.uniform(0, 0.3))
        starts[name]()
        until_s = time.monotonic() + chance.uniform(0.2, 1.5)
        while time.monotonic() < until_s:
            line.start_again("camera", starts["camera"])
            time.sleep(0.05)
    before = inspected(line)

    def runs_again() -> bool:
        line.start_again("camera", starts["camera"])
        return inspected(line) > before + 20

    wait(runs_again, lambda: f"seed {seed}, {kills}: {line.logs()}")
    line.kill("camera", signal.SIGTERM)
    line.kill("daemon", signal.SIGTERM)
    assert len(sessions(line)) >= 2, "each process of the camera has its own session"
    check_coverage(line)
    assert b"Traceback" not in line.log("camera"), line.logs()
