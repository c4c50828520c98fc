"""Metrics and health of a real daemon, and the dashboard and alerts that use them."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.programs import program

from stripwatch.engines.manifest import FakeBehaviour
from stripwatch.errors import ExitCode
from stripwatch.lab.faults.proxy import free_port
from stripwatch.testing import FakeCamera
from stripwatch.wire.light import LightFault

if TYPE_CHECKING:
    from tests.line.conftest import Daemon

DOCS = Path(__file__).parents[2] / "docs"
ALERTS = DOCS / "monitoring" / "alerts.yml"
DASHBOARD = DOCS / "monitoring" / "grafana.json"
PAGE = DOCS / "monitoring.md"
NAME = re.compile(r"\b(?:stripwatch|process)_[a-z_]+\b")


class Watched:
    """A daemon with a port for metrics."""

    def __init__(self, daemon: Daemon) -> None:
        self.port = free_port()
        daemon.config.write_text(daemon.config.read_text() + f"[metrics]\nport = {self.port}\n")

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of an answer."""
        url = f"http://127.0.0.1:{self.port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def value(self, series: str) -> float:
        """The value of a series, as it stands in the text."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(f"{series} "):
                return float(line.rpartition(" ")[2])
        raise AssertionError(f"{series} is not served")


@pytest.fixture
def watched(daemon: Daemon) -> Watched:
    return Watched(daemon)


def test_metrics_and_probes_follow_the_line(
    daemon: Daemon, camera: FakeCamera, watched: Watched
) -> None:
    """Not ready before the first frame; then counts of what came, and nothing of it is missing."""
    daemon.start()
    daemon.wait_for("READY=1")
    assert watched.get("/healthz") == (200, "every thread makes progress\n")
    status, text = watched.get("/readyz")
    assert status == 503
    assert text.startswith(("STARTING", "OK: no frame yet of camera top"))
    for seq in (*range(20), *range(25, 30)):
        camera.send("top", "s", seq)
    camera.send("other", "s", 0)
    inspected = 'stripwatch_frames_inspected_total{camera="top"}'
    daemon.wait(lambda: watched.value(inspected) == 25)
    daemon.wait(lambda: watched.get("/readyz") == (200, "OK\n"))
    assert watched.value('stripwatch_frames_missed_total{camera="top",cause="lost"}') == 5
    assert watched.value('stripwatch_frames_missed_total{camera="top",cause="overload"}') == 0
    rejected = 'stripwatch_messages_rejected_total{camera="",cause="unknown_camera"}'
    daemon.wait(lambda: watched.value(rejected) == 1)
    assert watched.value('stripwatch_stage_seconds_count{stage="total"}') == 25
    assert watched.value("stripwatch_journal_commit_seconds_count") > 0
    assert watched.value('stripwatch_state{state="OK"}') == 1
    assert watched.value('stripwatch_engine_info{model="0000000000000000"}') == 1
    assert (
        sum(
            watched.value(f'stripwatch_slots{{state="{state}"}}')
            for state in ("free", "filling", "closed", "ready", "running", "done")
        )
        == 6
    )
    dim = LightFault(kind="dim", from_px=0, to_px=64, share=0.5)
    camera.send("top", "s", 30, light=101.5, light_faults=(dim,))
    daemon.wait(lambda: watched.value('stripwatch_light_faults{camera="top",kind="dim"}') == 1)
    assert watched.value('stripwatch_light_faults{camera="top",kind="line"}') == 0
    assert watched.value('stripwatch_light_grey{camera="top"}') == 101.5
    assert watched.value("process_resident_memory_bytes") > 1e7
    assert daemon.stop() == ExitCode.OK


def test_all_that_docs_name_is_served_and_the_page_lists_all(
    daemon: Daemon, watched: Watched
) -> None:
    """Of dashboard, alerts and page; promtool finds nothing wrong with what is served."""
    daemon.start()
    daemon.wait_for("READY=1")
    daemon.wait(lambda: "stripwatch_sample_age_seconds" in watched.get("/metrics")[1])
    text = watched.get("/metrics")[1]
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    served = set(kinds)
    for name, kind in kinds.items():
        if kind == "histogram":
            served |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
    expressions = [
        target["expr"]
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel["targets"]
    ]
    assert len(expressions) > 20
    for source in (ALERTS.read_text(), "\n".join(expressions), PAGE.read_text()):
        named = set(NAME.findall(source)) - {"process_"}
        assert named
        assert named <= served, named - served
    on_page = set(NAME.findall(PAGE.read_text()))
    assert {name for name in kinds if name.startswith("stripwatch_")} <= on_page
    promtool = program("promtool", "prometheus")
    subprocess.run([promtool, "check", "metrics"], input=text.encode(), check=True)
    assert daemon.stop() == ExitCode.OK


def test_the_alert_rules_pass_their_tests() -> None:
    """promtool: each fires when it should, and none of them on a line that is well."""
    promtool = program("promtool", "prometheus")
    subprocess.run([promtool, "check", "rules", str(ALERTS)], check=True)
    tests = ALERTS.with_name("alerts_test.yml")
    subprocess.run([promtool, "test", "rules", str(tests)], check=True)


def test_every_alert_is_tested_and_the_page_says_what_to_do() -> None:
    alerts = set(re.findall(r"- alert: (\w+)", ALERTS.read_text()))
    tests = ALERTS.with_name("alerts_test.yml").read_text()
    fires = set(re.findall(r"^  - name: (\w+)$", tests, re.MULTILINE))
    on_page = re.findall(r"^\| `(Stripwatch\w+)` \| \S", PAGE.read_text(), re.MULTILINE)
    assert alerts == fires == set(on_page)
    assert len(on_page) == len(alerts)


def test_an_engine_that_hangs_is_neither_healthy_nor_hidden(
    daemon: Daemon, camera: FakeCamera, watched: Watched
) -> None:
    daemon.make_engine(FakeBehaviour(hang_after=1))
    daemon.start()
    daemon.wait_for("READY=1")
    camera.send("top", "s", 0)
    daemon.wait(lambda: watched.get("/healthz")[0] == 503)
    assert watched.get("/healthz")[1].startswith("thread engine has made no progress for ")
    assert watched.value('stripwatch_thread_silence_seconds{thread="engine"}') > 5


def test_strangers_at_the_port_do_not_harm_inspection(
    daemon: Daemon, camera: FakeCamera, watched: Watched
) -> None:
    """Hundreds of idle connections, garbage and a flood of scrapes: every frame is inspected."""
    daemon.start()
    daemon.wait_for("READY=1")
    over = threading.Event()

    def flood() -> None:
        while not over.is_set():
            with (
                suppress(OSError),  # the daemon closes those that come too fast
                socket.create_connection(("127.0.0.1", watched.port), timeout=20) as client,
            ):
                client.sendall(b"\x00garbage\r\n\r\n" if time.time_ns() % 2 else b"GET /metrics HT")

    with ExitStack() as idle:
        flooder = threading.Thread(target=flood)
        flooder.start()
        try:
            for _ in range(200):
                client = socket.create_connection(("127.0.0.1", watched.port), timeout=20)
                idle.enter_context(client)
            for seq in range(300):
                camera.send("top", "s", seq)
                time.sleep(0.002)
            inspected = 'stripwatch_frames_inspected_total{camera="top"}'
            daemon.wait(lambda: watched.value(inspected) == 300, timeout_s=90)
        finally:
            over.set()
            flooder.join()
    assert daemon.process
    assert len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir())) < 100
    assert daemon.stop() == ExitCode.OK


def test_a_port_that_is_taken_ends_the_start_with_a_sentence(
    daemon: Daemon, watched: Watched
) -> None:
    with socket.create_server(("127.0.0.1", watched.port)):
        process = daemon.start()
        assert process.wait(30) == ExitCode.ADDRESS
    assert f"metrics.port = {watched.port}" in daemon.log.read_text()
    assert "Traceback" not in daemon.log.read_text()
