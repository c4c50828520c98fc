"""What /healthz and /readyz answer."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from stripwatch.config.sections import Camera
from stripwatch.service.health import Facts
from stripwatch.service.monitor.probes import health, readiness
from stripwatch.stages.heartbeat import Heartbeat
from stripwatch.testing import fake_line


def test_before_the_pipeline_is_there_the_process_lives_and_is_not_ready() -> None:
    assert health(None).status == HTTPStatus.OK
    assert (readiness(None).status, readiness(None).body) == (503, b"STARTING\n")


@pytest.mark.parametrize(
    ("facts", "status", "begins"),
    [
        (Facts(), HTTPStatus.OK, b"OK\n"),
        (Facts(late_ms=2000.0), HTTPStatus.OK, b"DEGRADED: frames stay"),
        (Facts(overloaded=("top",)), HTTPStatus.OK, b"DEGRADED: camera top: frames are dropped"),
        (Facts(stopped_cameras=("top",)), HTTPStatus.SERVICE_UNAVAILABLE, b"DEGRADED: camera top"),
        (Facts(journal_fault="full"), HTTPStatus.SERVICE_UNAVAILABLE, b"FAILED: full"),
        (Facts(engine_fault="gone"), HTTPStatus.SERVICE_UNAVAILABLE, b"FAILED: the engine"),
        (Facts(stopping=True), HTTPStatus.SERVICE_UNAVAILABLE, b"STOPPING\n"),
    ],
)
def test_ready_is_a_line_that_inspects_and_stores(
    facts: Facts, status: HTTPStatus, begins: bytes
) -> None:
    """Reasons that leave frames uninspected for good are not ready; lateness is."""
    with fake_line(cameras=(Camera(name="top"),)) as line:
        sources = line.pipeline.sources()
        line.camera.send("top", "s", 0)
        line.wait_for_frame("top", "s", 0)
        line.wait(lambda: not sources.telemetry.unseen_cameras)

        def answers() -> bool:
            sources.telemetry.health.update(facts)  # the next tick brings the line's own again
            reply = readiness(sources)
            return reply.status == status and reply.body.startswith(begins)

        line.wait(answers)
        assert health(sources).status == HTTPStatus.OK


def test_a_line_of_which_a_camera_was_never_seen_is_not_ready() -> None:
    with fake_line() as line:
        sources = line.pipeline.sources()
        line.camera.send("top", "s", 0)
        line.wait_for_frame("top", "s", 0)
        line.wait(lambda: readiness(sources).body == b"OK: no frame yet of camera bottom\n")
        assert readiness(sources).status == 503


def test_a_main_thread_that_hangs_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    main = Heartbeat()
    assert health(None, main).status == HTTPStatus.OK
    monkeypatch.setattr(Heartbeat, "is_late", lambda _beat: True)
    reply = health(None, main)
    assert reply.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert reply.body.startswith(b"thread main has made no progress for ")
