"""A copy made beside a running daemon is whole, and a daemon goes on with it."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from tests.line.conftest import DAEMON_SHAPE, Daemon
from tests.line.test_restart import LINES, booked, journalled

from stripwatch.client.subscriber import NUMBERED_TOPICS, Subscriber
from stripwatch.engines.fake import PAINT
from stripwatch.errors import ExitCode
from stripwatch.journal.pictures import PictureStore
from stripwatch.journal.verify import verify
from stripwatch.testing import FakeCamera
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import DaemonStart, DaemonStop, Defect, Gap, NumberedEvent

FILES = ("positions.db", "pictures.db", "journal.db")  # in this order, so that all belong together
DEFECTIVE = np.zeros(DAEMON_SHAPE, np.uint8)
DEFECTIVE[2:5, 4:9] = PAINT + 1


def back_up(journal: Path, target: Path) -> None:
    """The commands of docs/operations.md."""
    target.mkdir()
    for name in FILES:
        uri = f"{(journal / name).as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as database:
            database.execute("VACUUM INTO ?", (str(target / name),))


def read(folder: Path, count: int) -> list[int]:
    """Numbers of the next events of the reader `gate`, all acknowledged."""
    with Subscriber(
        f"ipc://{folder}/out",
        NUMBERED_TOPICS,
        requests=f"ipc://{folder}/requests",
        reader="gate",
        start="beginning",
    ) as events:
        numbers = []
        for event in islice(events, count):
            assert isinstance(event, NumberedEvent)
            numbers.append(event.seq)
        events.acknowledge()
    return numbers


@contextmanager
def frames_flow(camera: FakeCamera) -> Iterator[None]:
    """Defective frames from number 0 on, one every few milliseconds."""
    is_over = threading.Event()

    def send() -> None:
        seq = 0
        while not is_over.wait(0.005):
            camera.send("top", "s", seq, DEFECTIVE, strip="coil-7", line=seq * LINES)
            seq += 1

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@pytest.mark.slow
def test_a_backup_is_whole_and_a_daemon_goes_on_with_it(
    daemon: Daemon, camera: FakeCamera, tmp_path: Path
) -> None:
    """What was inspected after the backup is a gap where the copy is put back."""
    journal, backup = daemon.folder / "journal", tmp_path / "backup"
    process = daemon.start()
    daemon.wait_for("READY=1")
    with frames_flow(camera):
        daemon.wait(lambda: booked(daemon.folder) >= 20)
        read(daemon.folder, 6)
        back_up(journal, backup)
        copied = sqlite3.connect(backup / "journal.db").execute(
            "SELECT max(seq), max(last_seq) FROM event, coverage"
        )
        last_seq, last_frame = copied.fetchone()
        daemon.wait(lambda: booked(daemon.folder) >= last_frame + 20)
    last_sent = booked(daemon.folder)
    process.kill()
    process.wait()
    assert verify(backup / "journal.db") == []
    assert verify(journal / "journal.db") == []  # it was only read

    shutil.rmtree(journal)
    shutil.copytree(backup, journal)
    daemon.messages.clear()
    daemon.start()
    daemon.wait_for("READY=1")
    camera.send("top", "s", 100_000, DEFECTIVE, strip="coil-7", line=100_000 * LINES)
    daemon.wait(lambda: booked(daemon.folder) == 100_000)
    # The reader goes on where it was, through the copy and into what came since.
    assert read(daemon.folder, last_seq - 4) == list(range(7, last_seq + 3))
    assert daemon.stop() == ExitCode.OK

    assert verify(journal / "journal.db") == []
    events = journalled(daemon.folder)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert len({event.stream for event in events}) == 1
    stop, start, *rest = events[last_seq:]
    assert isinstance(stop, DaemonStop)
    assert stop.reason == "unclean"
    assert isinstance(start, DaemonStart)
    gaps = [event for event in rest if isinstance(event, Gap)]
    assert [(gap.first_frame_seq, gap.last_frame_seq, gap.cause) for gap in gaps] == [
        (last_frame + 1, 99_999, Cause.DAEMON_DOWN)
    ]
    assert last_frame < last_sent
    newest = next(event for event in rest if isinstance(event, Defect))
    with closing(PictureStore(journal, read_only=True)) as pictures:
        assert len(pictures.get(newest.stream, newest.seq)) == 2  # none of a number given before
