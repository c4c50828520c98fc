"""States and the reasons for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from stripwatch.wire.state import Reason, State, Why, state_of


@pytest.mark.parametrize(
    ("whys", "state"),
    [
        ((), State.OK),
        ((Why.OVERLOAD,), State.DEGRADED),
        ((Why.LATE, Why.SILENT_CAMERA, Why.SECOND_SENDER), State.DEGRADED),
        ((Why.JOURNAL_FAILED,), State.FAILED),
        ((Why.OVERLOAD, Why.ENGINE_FAILED), State.FAILED),
        ((Why.DAEMON_ENDS,), State.FAILED),
    ],
)
def test_the_gravest_reason_makes_the_state(whys: tuple[Why, ...], state: State) -> None:
    assert state_of([Reason(why=why, text="x") for why in whys]) is state


def test_a_reason_that_only_a_newer_daemon_knows_degrades() -> None:
    assert state_of([Reason(why="unknown_light", text="x")]) is State.DEGRADED


def test_a_reason_in_words_names_its_camera() -> None:
    assert str(Reason(why=Why.LATE, text="frames are late")) == "frames are late"
    reason = Reason(why=Why.SILENT_CAMERA, text="nothing has come", camera="top")
    assert str(reason) == "camera top: nothing has come"


def test_the_page_explains_every_word() -> None:
    """docs/monitoring.md has a line for each state and for each reason, with its state."""
    page = (Path(__file__).parents[3] / "docs" / "monitoring.md").read_text()
    for state in State:
        assert f"| `{state}` | " in page
    for why in Why:
        state = state_of([Reason(why=why, text="x")])
        assert f"| `{why}` | `{state}` | " in page
