"""One run: a line on the fake engine, its faults, its recovery, and the verdict."""

from __future__ import annotations

import heapq
import signal
import sqlite3
import time
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from stripwatch.config.sections import (
    Batch,
    Camera,
    Config,
    EngineSection,
    Geometry,
    Input,
    JournalSection,
    Publish,
    Service,
)
from stripwatch.config.toml import config_toml
from stripwatch.engines.manifest import DefectClass, FakeBehaviour, Manifest, save_manifest
from stripwatch.errors import ExitCode
from stripwatch.journal.store import FILE
from stripwatch.lab.faults.camera import SHAPE, LabCamera
from stripwatch.lab.faults.daemon import ORDINARY_ENDS, Supervisor
from stripwatch.lab.faults.plan import CAMERA_FAULTS, CAMERAS, STORAGE_FAULTS, Fault, Plan, Step
from stripwatch.lab.faults.proxy import Proxy, free_port
from stripwatch.lab.faults.storage import Storage
from stripwatch.lab.faults.verdict import verdict
from stripwatch.lab.faults.witness import Witness

START_S_MAX = 30.0
RECOVERY_S_MAX = 30.0  # from the end of the last fault until every camera is inspected again
AFTER_STORAGE_S = 4.0  # a daemon that a fault of the disk has stopped may take so long to end
DRAIN_TIMEOUT_S = 4.0
REMOVAL_S_MAX = 10.0  # for frames to be inspected, before and after a journal is moved away
# SQLite maps a file into memory; a file system that turns read-only then ends who writes to it.
STORAGE_ENDS = {ExitCode.STORAGE, -signal.SIGBUS}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run has come to."""

    plan: Plan
    faults: tuple[str, ...]  # that the verdict has found; () where all holds
    wall_s: float
    lives: int  # of the daemon
    events: int
    inspected: int
    missed: Counter[str]  # by cause
    states: Counter[str]  # status messages, by state
    growth_bytes: int  # of the daemon's memory


def run_plan(plan: Plan, folder: Path) -> Outcome:
    """Run a plan in an empty folder; configuration, journals and log stay there."""
    started_s = time.monotonic()
    with ExitStack() as stack:
        config = _config(plan, folder)
        (folder / "config.toml").write_text(config_toml(config))
        _save_engine(plan, folder)
        log = folder / "log"
        storage = Storage(folder, lambda: supervisor.pid(), plan.small_disk)  # noqa: PLW0108
        stack.callback(storage.close)
        supervisor = Supervisor(folder / "config.toml", log, storage.environment())
        witness = Witness(config.publish.endpoint, plan.slow_subscribers)
        endpoint = config.inputs[0].endpoint
        proxy: Proxy | None = None
        if plan.proxied:
            proxy = Proxy(int(endpoint.rpartition(":")[2]))
            proxy.start()
            stack.callback(proxy.close)
            endpoint = f"tcp://127.0.0.1:{proxy.port}"
        cameras = [
            LabCamera(
                name,
                endpoint,
                is_push=plan.pattern == "pull",
                frames_per_s=plan.frames_per_s,
                chances=plan.chances,
                seed=plan.seed,
            )
            for name in CAMERAS
        ]
        stack.callback(supervisor.abandon)
        for thread in (witness, supervisor, *cameras):
            thread.start()
        line = _Line(cameras, storage, supervisor, proxy)
        faults = line.live_through(plan.steps)
        supervisor.finish()
        for camera in cameras:
            camera.close()
        witness.close()
        journals = [*storage.removed, storage.folder / FILE]
        faults += verdict(journals, cameras, witness, supervisor, log)
    return Outcome(
        plan,
        tuple(faults),
        time.monotonic() - started_s,
        supervisor.lives,
        sum(_count(journal, "SELECT count(*) FROM event") for journal in journals),
        sum(_count(journal, "SELECT sum(inspected) FROM coverage") for journal in journals),
        _missed(journals),
        witness.states,
        supervisor.growth_bytes,
    )


class _Line:
    """The parts of a running line that faults are done to."""

    def __init__(
        self,
        cameras: list[LabCamera],
        storage: Storage,
        supervisor: Supervisor,
        proxy: Proxy | None,
    ) -> None:
        self._cameras = cameras
        self._storage = storage
        self._supervisor = supervisor
        self._proxy = proxy

    def live_through(self, steps: tuple[Step, ...]) -> list[str]:
        """Do what is planned, end it, and let the line recover; returns what did not come back."""
        if not self._wait_for_frames(START_S_MAX):
            return ["no frame was inspected after the start"]
        started_s = time.monotonic()
        due = [(step.at_s, number, True, step) for number, step in enumerate(steps)]
        heapq.heapify(due)
        storage_until_s = 0.0
        while due:
            at_s, number, begins, step = heapq.heappop(due)
            time.sleep(max(0, started_s + at_s - time.monotonic()))
            if step.fault in STORAGE_FAULTS:
                storage_until_s = time.monotonic() + step.for_s + AFTER_STORAGE_S
            in_doubt = time.monotonic() < storage_until_s
            self._supervisor.allowed = ORDINARY_ENDS | (STORAGE_ENDS if in_doubt else set())
            (self._begin if begins else self._end)(step)
            if begins:
                heapq.heappush(due, (at_s + step.for_s, number, False, step))
        for camera in self._cameras:
            camera.calm.set()
        if not self._wait_for_frames(RECOVERY_S_MAX):
            return [f"frames were not inspected {RECOVERY_S_MAX:g} s after the last fault"]
        for camera in self._cameras:
            camera.stop()
        if not self._wait_for_last_frames():
            return ["the last frames of the cameras are not booked"]
        return []

    def _begin(self, step: Step) -> None:
        if step.fault in CAMERA_FAULTS:
            camera = next(entry for entry in self._cameras if entry.camera == step.camera)
            camera.request(step)
        match step.fault:
            case Fault.KILL:
                self._supervisor.end_life(signal.SIGKILL, step.for_s)
            case Fault.TERMINATE:
                self._supervisor.end_life(signal.SIGTERM, step.for_s)
            case Fault.FREEZE:
                self._supervisor.send(signal.SIGSTOP)
            case Fault.NETWORK_CUT if self._proxy:
                self._proxy.cut()
            case Fault.REMOVED:
                # A daemon that starts without a journal knows nothing of the frames before.
                if self._wait_for_frames(REMOVAL_S_MAX) and not self._supervisor.is_ending:
                    self._storage.begin(step.fault)
                    self._wait_for_frames(REMOVAL_S_MAX)
            case _:
                self._storage.begin(step.fault)

    def _end(self, step: Step) -> None:
        if step.fault is Fault.FREEZE:
            self._supervisor.send(signal.SIGCONT)
        self._storage.end(step.fault)

    def _wait_for_frames(self, timeout_s: float) -> bool:
        """Wait until every camera has a frame inspected that it sends from now on."""
        until_s = time.monotonic() + timeout_s
        wanted = {camera: camera.last for camera in self._cameras}
        while wanted and time.monotonic() < until_s:
            time.sleep(0.05)
            for camera, (session, seq) in list(wanted.items()):
                if camera.last[0] != session or camera.last[1] < seq:  # it counts from 0 now
                    wanted[camera] = camera.last
                elif self._booked(camera.camera, session) > seq:
                    del wanted[camera]
        return not wanted

    def _wait_for_last_frames(self) -> bool:
        until_s = time.monotonic() + RECOVERY_S_MAX
        while time.monotonic() < until_s:
            if all(
                self._booked(camera.camera, camera.last[0]) >= camera.last[1]
                for camera in self._cameras
            ):
                return True
            time.sleep(0.05)
        return False

    def _booked(self, camera: str, session: str) -> int:
        """Number of the last frame booked of a session, also one that counts again; -1: none."""
        path = self._storage.folder / FILE
        # The session that counts again is booked under a name of its own.
        return _count(
            path,
            "SELECT last_seq FROM coverage WHERE camera = ? AND (session = ? OR session LIKE ?) "
            "ORDER BY t_ns DESC LIMIT 1",
            camera,
            session,
            f"{session}-%",
            default=-1,
        )


def _count(path: Path, query: str, *values: str, default: int = 0) -> int:
    """The number that a query answers; `default` where there is none, or no journal."""
    try:
        address = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as database:
            row = database.execute(query, values).fetchone()
    except sqlite3.Error:  # it is being made, or under a fault
        return default
    return default if row is None or row[0] is None else int(row[0])


def _missed(journals: list[Path]) -> Counter[str]:
    missed: Counter[str] = Counter()
    for journal in journals:
        with closing(sqlite3.connect(journal)) as database:
            for cause, count in database.execute(
                "SELECT json_extract(payload, '$.cause'), sum(json_extract(payload, '$.count')) "
                "FROM (SELECT CAST(payload AS TEXT) AS payload FROM event WHERE type = 'gap') "
                "GROUP BY 1"
            ):
                missed[cause] += count
    return missed


def _config(plan: Plan, folder: Path) -> Config:
    endpoint = f"tcp://127.0.0.1:{free_port()}" if plan.proxied else f"ipc://{folder}/in"
    return Config(
        line=Geometry(
            frame_lines=SHAPE[0], frame_pixels=SHAPE[1], mm_per_line=1.0, mm_per_pixel=1.0
        ),
        cameras=tuple(Camera(name=name) for name in CAMERAS),
        inputs=(Input(endpoint=endpoint, pattern=plan.pattern, queue_frames=200),),
        engine=EngineSection(folder="engine", rebuilds_max=1000, rebuild_delay_s_max=0.3),
        publish=Publish(endpoint=f"ipc://{folder}/out", frame_results=True, queue_events=100_000),
        batch=Batch(rows=plan.rows, wait_ms=5),
        journal=JournalSection(folder="journal"),
        service=Service(drain_timeout_s=DRAIN_TIMEOUT_S, log_format="json"),
    )


def _save_engine(plan: Plan, folder: Path) -> None:
    (folder / "engine").mkdir()
    manifest = Manifest(
        target="fake",
        engine_hash="0" * 64,
        builder="faults",
        precision="fp32",
        frame_shape=SHAPE,
        classes=tuple(DefectClass(id=index, name=f"kind{index}") for index in (1, 2, 3, 4)),
        fake=FakeBehaviour(delay_ms=plan.engine_delay_ms, fail_every=plan.engine_fail_every),
    )
    save_manifest(folder / "engine", manifest)
