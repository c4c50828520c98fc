"""The daemon's state, the reasons for it, and what the log says when they change."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from stripwatch.service.health import Facts, Health, reasons_now, state_line
from stripwatch.wire.state import Reason, State, Why

EVERYTHING = Facts(
    failure="thread outbox: disk is gone",
    engine_fault="the device failed",
    journal_fault="the disk is full",
    overloaded=("top",),
    late_ms=2500.0,
    second_senders=(("top", "s2"),),
    silent_cameras=("bottom",),
    light_faults=(("top", "its light is 30 % darker"),),
    stopped_cameras=("side",),
)


def test_every_reason_has_a_word_and_a_sentence() -> None:
    """All words there are come out, the gravest first, each once."""
    reasons = list(reasons_now(EVERYTHING))
    assert [reason.why for reason in reasons] == list(Why)
    assert all(reason.text for reason in reasons)
    assert [reason.camera for reason in reasons if reason.camera] == [
        *("top", "top", "top", "bottom", "side")
    ]


def test_a_daemon_without_faults_is_ok() -> None:
    health = Health()
    assert health.latest == (State.STARTING, ())
    health.update(Facts())
    assert health.latest == (State.OK, ())


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (Facts(stopping=True), State.STOPPING),
        (Facts(stopping=True, overloaded=("top",)), State.STOPPING),
        (Facts(stopping=True, failure="the device failed"), State.FAILED),
        (Facts(stopping=True, journal_fault="full"), State.FAILED),
    ],
)
def test_a_daemon_that_stops_says_so_unless_it_has_failed(facts: Facts, state: State) -> None:
    health = Health()
    health.update(facts)
    assert health.latest[0] is state


def test_the_log_tells_of_changes_alone() -> None:
    """A reason whose words change, such as how late frames are, is not a change."""
    health = Health()
    with capture_logs() as logged:
        for facts in (
            Facts(),
            Facts(),
            Facts(late_ms=1500.0),
            Facts(late_ms=1900.0),
            Facts(late_ms=1900.0, overloaded=("top",)),
            Facts(journal_fault="full"),
            Facts(),
        ):
            health.update(facts)
    assert [(entry["before"], entry["state"], entry["log_level"]) for entry in logged] == [
        ("STARTING", "OK", "info"),
        ("OK", "DEGRADED", "warning"),
        ("DEGRADED", "DEGRADED", "warning"),
        ("DEGRADED", "FAILED", "error"),
        ("FAILED", "OK", "info"),
    ]
    assert logged[1]["reasons"] == ["frames stay in the daemon for 1.5 s"]


def test_a_line_for_people_has_state_and_reasons() -> None:
    assert state_line(State.OK, ()) == "OK"
    reasons = (
        Reason(why=Why.LATE, text="frames are late"),
        Reason(why=Why.OVERLOAD, text="frames are dropped", camera="top"),
    )
    assert state_line(State.DEGRADED, reasons) == (
        "DEGRADED: frames are late; camera top: frames are dropped"
    )
