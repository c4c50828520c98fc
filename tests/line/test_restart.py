"""A daemon that was killed or stopped: numbers, coverage and strips go on where it ended."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.line.conftest import DAEMON_SHAPE, Daemon

from stripwatch.engines.fake import PAINT
from stripwatch.engines.manifest import FakeBehaviour
from stripwatch.errors import ExitCode
from stripwatch.journal.verify import verify
from stripwatch.testing import WAIT_S, FakeCamera
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import (
    DaemonStart,
    DaemonStop,
    Defect,
    DefectClosed,
    Gap,
    NumberedEvent,
    StripEnd,
    StripStart,
)

LINES = DAEMON_SHAPE[0]


def journalled(folder: Path) -> list[NumberedEvent]:
    with sqlite3.connect(f"file:{folder}/journal/journal.db?mode=ro", uri=True) as database:
        rows = database.execute("SELECT payload FROM event ORDER BY seq").fetchall()
    return [msgspec.json.decode(row[0], type=NumberedEvent) for row in rows]


def booked(folder: Path) -> int:
    """Number of the last frame booked; -1: none, or the journal is being made."""
    with sqlite3.connect(f"file:{folder}/journal/journal.db?mode=ro", uri=True) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if not version:
            return -1
        (last,) = database.execute("SELECT max(last_seq) FROM coverage").fetchone()
    return -1 if last is None else int(last)


def send(camera: FakeCamera, first: int, end: int, last: int) -> None:
    for seq in range(first, end):
        camera.send("top", "s", seq, strip="coil-7", line=seq * LINES, end=seq == last)


def wait_for_booking(daemon: Daemon, seq: int) -> None:
    daemon.wait(lambda: booked(daemon.folder) == seq)


@pytest.mark.slow
@pytest.mark.parametrize("killed", [True, False])
def test_a_restart_shows_what_was_not_inspected_meanwhile(
    daemon: Daemon, camera: FakeCamera, killed: bool
) -> None:
    """The gap has its metres, the strip one start and one report, the events one numbering."""
    process = daemon.start()
    daemon.wait_for("READY=1")
    send(camera, 0, 10, last=29)
    wait_for_booking(daemon, 9)
    if killed:
        process.kill()
        process.wait()
    else:
        assert daemon.stop() == ExitCode.OK
    daemon.messages.clear()
    daemon.start()
    daemon.wait_for("READY=1")
    send(camera, 20, 30, last=29)  # 10 to 19 came while no daemon ran
    wait_for_booking(daemon, 29)
    assert daemon.stop() == ExitCode.OK

    events = journalled(daemon.folder)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert len({event.stream for event in events}) == 1
    start, strip_start, stop, second_start, gap, strip_end, last = events
    assert isinstance(start, DaemonStart)
    assert isinstance(second_start, DaemonStart)
    assert isinstance(strip_start, StripStart)
    assert isinstance(stop, DaemonStop)
    assert stop.reason == ("unclean" if killed else "stopped")
    assert isinstance(gap, Gap)
    assert (gap.cause, gap.first_frame_seq, gap.last_frame_seq) == (Cause.DAEMON_DOWN, 10, 19)
    assert gap.downweb_mm == (10 * LINES, 20 * LINES)
    assert isinstance(strip_end, StripEnd)
    assert strip_end.frames_inspected == 20
    assert strip_end.frames_missed == {Cause.DAEMON_DOWN: 10}
    assert isinstance(last, DaemonStop)


@pytest.mark.slow
def test_a_new_session_after_a_restart_counts_from_its_beginning(
    daemon: Daemon, camera: FakeCamera
) -> None:
    """The camera was started anew meanwhile: its first frames came while no daemon ran."""
    process = daemon.start()
    daemon.wait_for("READY=1")
    camera.send("top", "s", 0)
    wait_for_booking(daemon, 0)
    process.kill()
    process.wait()
    daemon.messages.clear()
    daemon.start()
    daemon.wait_for("READY=1")
    camera.send("top", "t", 5)
    wait_for_booking(daemon, 5)
    (gap,) = (event for event in journalled(daemon.folder) if isinstance(event, Gap))
    assert (gap.session, gap.first_frame_seq, gap.last_frame_seq, gap.cause) == (
        "t",
        0,
        4,
        Cause.DAEMON_DOWN,
    )


@pytest.mark.slow
def test_a_defect_that_was_open_at_a_kill_is_told_of_by_the_next_daemon(
    daemon: Daemon, camera: FakeCamera
) -> None:
    """With the camera's next frame, though that one has no defect."""
    painted = np.full(DAEMON_SHAPE, PAINT + 1, np.uint8)
    process = daemon.start()
    daemon.wait_for("READY=1")
    camera.send("top", "s", 0, painted, strip="coil-7", line=0)
    wait_for_booking(daemon, 0)
    process.kill()
    process.wait()
    daemon.messages.clear()
    daemon.start()
    daemon.wait_for("READY=1")
    send(camera, 1, 2, last=1)
    wait_for_booking(daemon, 1)
    assert daemon.stop() == ExitCode.OK
    events = journalled(daemon.folder)
    (piece,) = (event for event in events if isinstance(event, Defect))
    (whole,) = (event for event in events if isinstance(event, DefectClosed))
    (report,) = (event for event in events if isinstance(event, StripEnd))
    assert (whole.part_of, whole.area_px) == (piece.part_of, piece.area_px)
    assert whole.cut_by == ("restart",)
    assert report.whole_defects == report.defects == {piece.class_name: 1}


def test_a_second_daemon_with_the_same_journal_is_refused(daemon: Daemon, tmp_path: Path) -> None:
    """It ends with the exit code of storage, and a sentence that names the key."""
    daemon.start()
    daemon.wait_for("READY=1")
    second_folder = tmp_path / "second"
    second_folder.mkdir()
    second = Daemon(second_folder)
    second.make_engine(FakeBehaviour())
    with second.config.open("a") as file:
        file.write(f'[journal]\nfolder = "{daemon.folder}/journal"\n')
    try:
        assert second.start().wait(3 * WAIT_S) == ExitCode.STORAGE
        assert "journal.folder" in second.log.read_text()
    finally:
        second.close()


@pytest.mark.slow
def test_a_daemon_that_is_stopped_while_storage_fails_says_so(
    daemon: Daemon, camera: FakeCamera
) -> None:
    """It ends within its limit, with the exit code of storage; what it held is a gap afterwards."""
    daemon.start()
    daemon.wait_for("READY=1")
    send(camera, 0, 10, last=29)
    wait_for_booking(daemon, 9)
    with closing(sqlite3.connect(daemon.folder / "journal" / "journal.db")) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        send(camera, 10, 20, last=29)
        daemon.wait(lambda: "another program has locked it" in daemon.log.read_text())
        assert daemon.stop() == ExitCode.STORAGE
    daemon.messages.clear()
    daemon.start()
    daemon.wait_for("READY=1")
    send(camera, 20, 30, last=29)
    wait_for_booking(daemon, 29)
    (gap,) = (event for event in journalled(daemon.folder) if isinstance(event, Gap))
    assert (gap.cause, gap.first_frame_seq, gap.last_frame_seq) == (Cause.DAEMON_DOWN, 10, 19)
    assert verify(daemon.folder / "journal" / "journal.db") == []


@pytest.mark.slow
def test_a_journal_that_comes_back_is_taken_up_by_the_next_start(
    daemon: Daemon, camera: FakeCamera
) -> None:
    """Such as one on a disk that was away: the two are never mixed, and both are sound."""
    folder, away = daemon.folder / "journal", daemon.folder / "away"
    process = daemon.start()
    daemon.wait_for("READY=1")
    send(camera, 0, 10, last=29)
    wait_for_booking(daemon, 9)
    shutil.copytree(folder, away)
    for path in folder.glob("journal.db*"):
        path.unlink()
    send(camera, 10, 20, last=29)
    daemon.wait(lambda: (folder / "journal.db").exists() and booked(daemon.folder) == 19)
    shutil.copytree(folder, daemon.folder / "between")
    for path in folder.glob("journal.db*"):
        path.unlink()
    for path in away.glob("journal.db*"):
        path.rename(folder / path.name)
    send(camera, 20, 25, last=29)
    assert process.wait(WAIT_S) == ExitCode.STORAGE
    assert "another journal is in its place" in daemon.log.read_text()
    daemon.messages.clear()
    daemon.start()
    daemon.wait_for("READY=1")
    send(camera, 25, 30, last=29)
    wait_for_booking(daemon, 29)
    (gap,) = (event for event in journalled(daemon.folder) if isinstance(event, Gap))
    assert (gap.cause, gap.first_frame_seq, gap.last_frame_seq) == (Cause.DAEMON_DOWN, 10, 24)
    assert verify(folder / "journal.db") == []
    assert verify(daemon.folder / "between" / "journal.db") == []
