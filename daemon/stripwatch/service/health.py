"""The daemon's state and the reasons for it, from what its threads count.

`reasons_now` is the one place where a reason is added.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from stripwatch.wire.state import Reason, State, Why, state_of

_LEVELS = {State.DEGRADED: "warning", State.FAILED: "error"}  # of log lines; else info


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What decides the state, read at one moment."""

    stopping: bool = False
    failure: str = ""  # that ends the daemon
    engine_fault: str = ""  # the engine is being rebuilt after it
    journal_fault: str = ""
    overloaded: tuple[str, ...] = ()  # cameras whose frames are dropped
    late_ms: float = 0.0  # that frames stay in the daemon, where it is too long
    second_senders: tuple[tuple[str, str], ...] = ()  # camera, session
    silent_cameras: tuple[str, ...] = ()
    light_faults: tuple[tuple[str, str], ...] = ()  # camera, sentence
    stopped_cameras: tuple[str, ...] = ()


def reasons_now(facts: Facts) -> Iterator[Reason]:
    """All reasons for a state other than OK, the gravest first."""
    if facts.failure:
        yield Reason(why=Why.DAEMON_ENDS, text=facts.failure)
    if facts.engine_fault:
        yield Reason(
            why=Why.ENGINE_FAILED, text=f"the engine is being rebuilt: {facts.engine_fault}"
        )
    if facts.journal_fault:
        yield Reason(why=Why.JOURNAL_FAILED, text=facts.journal_fault)
    for camera in facts.overloaded:
        yield Reason(
            why=Why.OVERLOAD,
            text="frames are dropped: they come faster than they are inspected",
            camera=camera or None,
        )
    if facts.late_ms:
        seconds = facts.late_ms / 1000
        yield Reason(why=Why.LATE, text=f"frames stay in the daemon for {seconds:.1f} s")
    for camera, session in facts.second_senders:
        text = f"another session sends under its name: {session}"
        yield Reason(why=Why.SECOND_SENDER, text=text, camera=camera)
    for camera, text in facts.light_faults:
        yield Reason(why=Why.LIGHT, text=text, camera=camera)
    for camera in facts.silent_cameras:
        yield Reason(
            why=Why.SILENT_CAMERA, text="nothing has come from it since the start", camera=camera
        )
    for camera in facts.stopped_cameras:
        yield Reason(
            why=Why.CAMERA_STOPPED,
            text="nothing has come from it for 30 s, while others have sent",
            camera=camera,
        )


class Health:
    """The latest state; logs when it changes. Written by one thread, read by any."""

    def __init__(self) -> None:
        self._log = structlog.get_logger()
        # In one value: a reader never sees the state of one moment with reasons of another.
        self.latest: tuple[State, tuple[Reason, ...]] = (State.STARTING, ())

    def update(self, facts: Facts) -> None:
        """Follow what the threads count."""
        reasons = tuple(reasons_now(facts))
        state = state_of(reasons)
        if facts.stopping and state is not State.FAILED:
            state = State.STOPPING
        before, reasons_before = self.latest
        self.latest = state, reasons
        words, words_before = _words(reasons), _words(reasons_before)
        if (state, words) != (before, words_before):
            log = getattr(self._log, _LEVELS.get(state, "info"))
            log("state", state=state, before=before, reasons=[*map(str, reasons)])


def state_line(state: State, reasons: tuple[Reason, ...]) -> str:
    """State and reasons for a line that people read."""
    return f"{state}: {'; '.join(map(str, reasons))}" if reasons else str(state)


def _words(reasons: tuple[Reason, ...]) -> list[tuple[str, str | None]]:
    return [(reason.why, reason.camera) for reason in reasons]
