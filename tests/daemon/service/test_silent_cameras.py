"""A camera of the configuration from which nothing comes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import structlog

from stripwatch.service import status
from stripwatch.testing import fake_line
from stripwatch.wire.event import Status


def test_it_is_named_once_with_what_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the log, and in every status until it sends; a camera that sends is not named."""
    warned: list[Mapping[str, object]] = []
    with structlog.testing.capture_logs() as logs, fake_line() as line:

        def silent() -> tuple[str, ...]:
            states = [event for event in line.events if isinstance(event, Status)]
            return states[-1].silent_cameras if states else ()

        line.camera.send("top", "s", 0)
        line.wait_for_frame("top", "s", 0)
        monkeypatch.setattr(status, "SILENT_S_MAX", 0.5)
        line.wait(lambda: silent() == ("bottom",))
        for seq in (0, 1):
            line.camera.send("bottom", "s", seq)
        line.wait(lambda: silent() == ())
        warned = [entry for entry in logs if "nothing has come" in str(entry["event"])]
    (warning,) = warned
    assert (warning["log_level"], warning["camera"]) == ("warning", "bottom")
    assert "its topic frame.bottom" in str(warning["detail"])
