"""/healthz and /readyz: whether the process lives, and whether it does its work."""

from __future__ import annotations

from http import HTTPStatus

from stripwatch.service.health import state_line
from stripwatch.service.monitor.server import Reply
from stripwatch.service.monitor.sources import Sources
from stripwatch.stages.heartbeat import Heartbeat
from stripwatch.wire.state import State, Why

# A line that stands still is ready; one of which a camera was never seen, or has stopped alone
# while others send, is not.
_NOT_READY = frozenset({Why.SILENT_CAMERA, Why.CAMERA_STOPPED})


def health(sources: Sources | None, main: Heartbeat | None = None) -> Reply:
    """200 while every thread makes progress; `main` is of the main thread, once it ticks."""
    silent = sources.silent_threads() if sources else {}
    if main and main.is_late():
        silent["main"] = main.silent_s
    if not silent:
        return _reply(HTTPStatus.OK, "every thread makes progress")
    words = (f"{name} has made no progress for {time_s:.0f} s" for name, time_s in silent.items())
    return _reply(HTTPStatus.SERVICE_UNAVAILABLE, f"thread {', thread '.join(words)}")


def readiness(sources: Sources | None) -> Reply:
    """200 while frames are inspected and stored, or would be if the strip moved."""
    if sources is None:
        return _reply(HTTPStatus.SERVICE_UNAVAILABLE, f"{State.STARTING}")
    state, reasons = sources.telemetry.health.latest
    is_ready = state in {State.OK, State.DEGRADED}
    is_ready &= not any(reason.why in _NOT_READY for reason in reasons)
    is_ready &= not sources.telemetry.unseen_cameras
    status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    line = state_line(state, reasons)
    if sources.telemetry.unseen_cameras and not reasons:
        line += f": no frame yet of camera {', '.join(sources.telemetry.unseen_cameras)}"
    return _reply(status, line)


def _reply(status: HTTPStatus, text: str) -> Reply:
    return Reply(status, f"{text}\n".encode())
