"""The fault harness itself: plans come from their seeds, and the verdict finds what is wrong."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from stripwatch.inspect.coverage import Account
from stripwatch.journal.records import CoverageRecord, Transaction, event_record
from stripwatch.journal.store import FILE, Journal
from stripwatch.lab.faults.camera import FIRST_SEQ, LabCamera, defect_area
from stripwatch.lab.faults.daemon import Supervisor
from stripwatch.lab.faults.plan import Chances, Fault, plan_of
from stripwatch.lab.faults.verdict import verdict
from stripwatch.lab.faults.witness import Witness
from stripwatch.wire.causes import Cause
from stripwatch.wire.event import DaemonStart, Defect, Gap, NumberedEvent, build_event, with_number

SESSION = "top-s1x"
MISSED = range(FIRST_SEQ + 3, FIRST_SEQ + 5)
LAST = FIRST_SEQ + 7


def test_a_plan_comes_from_its_seed_alone() -> None:
    assert plan_of(7) == plan_of(7)
    assert plan_of(7) != plan_of(8)


def test_what_is_impossible_here_is_left_out() -> None:
    """Whatever the seed."""
    impossible = {Fault.KILL, Fault.DISK_FULL}
    for seed in range(200):
        plan = plan_of(seed, impossible)
        assert not impossible & {step.fault for step in plan.steps}
        assert not plan.small_disk


class Run:
    """What a run has left: eight frames of one camera, two of them missed."""

    def __init__(self, folder: Path, make_defect: Callable[..., Defect]) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.log.write_text("")
        self.camera = LabCamera(
            "top", "ipc://x", is_push=True, frames_per_s=1, chances=Chances(), seed=0
        )
        self.camera.used[SESSION, 1] = LAST
        self.witness = Witness(f"ipc://{folder}/out", 0)
        self.supervisor = Supervisor(folder / "config.toml", self.log, {})
        journal = Journal(folder)
        events: list[NumberedEvent] = [
            DaemonStart(stream=journal.stream, seq=1, t_ns=0, version="1", model="m", config="c")
        ]
        for seq in range(FIRST_SEQ, LAST + 1):
            stream, number = journal.stream, len(events) + 1
            if seq == MISSED[0]:
                events.append(
                    Gap(
                        stream=stream,
                        seq=number,
                        session=SESSION,
                        camera="top",
                        strip=None,
                        first_frame_seq=MISSED[0],
                        last_frame_seq=MISSED[-1],
                        count=len(MISSED),
                        cause=Cause.LOST,
                        downweb_mm=None,
                    )
                )
            elif seq not in MISSED:
                defect = make_defect(session=SESSION, frame_seq=seq, area_px=defect_area(seq))
                events.append(with_number(defect, stream, number))
                self.witness.inspected.add(("top", SESSION, seq))
        account = Account(SESSION, FIRST_SEQ, LAST, inspected=6)
        account.missed[Cause.LOST] = len(MISSED)
        records = []
        for event in events:
            topic, payload = build_event(event)
            records.append(event_record(event, topic, payload, 0))
            self.witness.numbered.append((event.stream, event.seq, payload))
        coverage = {("top", SESSION): CoverageRecord("top", account)}
        journal.append(Transaction(records, coverage))
        journal.close()

    def verdict(self) -> list[str]:
        return verdict([self.folder / FILE], [self.camera], self.witness, self.supervisor, self.log)

    def change(self, kind: str, **changes: object) -> None:
        """Change the first event of a kind in the journal."""
        with closing(sqlite3.connect(self.folder / FILE)) as database, database:
            seq, payload = database.execute(
                "SELECT seq, payload FROM event WHERE type = ? ORDER BY seq", (kind,)
            ).fetchone()
            changed = msgspec.json.encode(msgspec.json.decode(payload) | changes)
            database.execute("UPDATE event SET payload = ? WHERE seq = ?", (changed, seq))


@pytest.fixture
def run(
    tmp_path_factory: pytest.TempPathFactory, make_defect: Callable[..., Defect]
) -> Iterator[Run]:
    made = Run(tmp_path_factory.mktemp("run"), make_defect)
    made.witness.start()
    yield made
    made.witness.close()
    made.camera.close()


def test_a_run_without_faults_has_none(run: Run) -> None:
    assert run.verdict() == []


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda run: run.change("defect", frame_seq=FIRST_SEQ + 1), "absent 100000 (1), twice"),
        (lambda run: run.change("defect", area_px=999), "has the pixels of another frame"),
        (lambda run: run.change("gap", last_frame_seq=MISSED[0]), "absent 100004 (1)"),
        (lambda run: run.witness.numbered.append(run.witness.numbered[1]), "after event 8"),
        (lambda run: run.witness.inspected.add(("top", SESSION, MISSED[0])), "without an event"),
        (lambda run: run.camera.used.clear(), "nothing was sent under this name"),
        (lambda run: run.camera.used.update({(SESSION, 1): 1}), "100007 is booked, 1 was the last"),
        (lambda run: run.log.write_text("Traceback"), "a traceback is in the log"),
        (lambda run: run.supervisor.faults.append("exit code 1"), "exit code 1"),
        (lambda run: setattr(run.supervisor, "growth_bytes", 2**30), "memory grew by 1024 MiB"),
        (lambda run: (run.folder / FILE).unlink(), "it cannot be opened"),
    ],
)
def test_what_is_wrong_is_named(run: Run, spoil: Callable[[Run], object], fault: str) -> None:
    spoil(run)
    assert any(fault in found for found in run.verdict()), run.verdict()


@pytest.mark.slow
def test_a_daemon_that_cannot_start_is_started_again_and_named(tmp_path: Path) -> None:
    """Here for want of a configuration."""
    supervisor = Supervisor(tmp_path / "config.toml", tmp_path / "log", {})
    supervisor.start()
    while len(supervisor.faults) < 2:
        supervisor.join(0.1)
    supervisor.end_life(signal.SIGTERM, 0)
    supervisor.finish()
    assert supervisor.faults[:2] == [f"life {life} ended with exit code 3" for life in (1, 2)]
