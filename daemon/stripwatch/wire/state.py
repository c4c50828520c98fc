"""How the daemon is: one word, and the reasons for it.

The words are the same in `status`, in systemd's status line, in logs, in metrics and on the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from stripwatch.wire.names import CameraName


class State(StrEnum):
    """What the daemon says of itself."""

    STARTING = "STARTING"  # the engine is being loaded; no frame is inspected yet
    OK = "OK"
    DEGRADED = "DEGRADED"  # it inspects, and something is missing or wrong
    FAILED = "FAILED"  # nothing is inspected, or nothing can be stored and published
    STOPPING = "STOPPING"  # what was received is being inspected and published


class Why(StrEnum):
    """Reasons for a state other than OK. A new one also needs a line in docs/monitoring.md."""

    # FAILED
    DAEMON_ENDS = "daemon_ends"  # a thread or the engine has failed for good
    ENGINE_FAILED = "engine_failed"  # it is being rebuilt; frames are gaps meanwhile
    JOURNAL_FAILED = "journal_failed"  # it cannot be written; events are held

    # DEGRADED
    OVERLOAD = "overload"  # frames are dropped: no slot is free
    LATE = "late"  # frames stay in the daemon for too long
    SECOND_SENDER = "second_sender"  # two senders use one camera's name
    LIGHT = "light"  # a lamp, glass or exposure is not as it should be
    SILENT_CAMERA = "silent_camera"  # nothing has come from a camera since the start
    CAMERA_STOPPED = "camera_stopped"  # nothing comes from a camera any more, but from others


_FAILS = frozenset({Why.DAEMON_ENDS, Why.ENGINE_FAILED, Why.JOURNAL_FAILED})


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One reason, for programs and for people."""

    # No closed list of words in the schema: an older reader must understand a newer daemon.
    why: Annotated[str, Meta(pattern="^[a-z_]{1,32}$", description="docs/monitoring.md has all")]
    text: Annotated[str, Meta(description="one sentence")]
    camera: CameraName | None = None

    def __str__(self) -> str:
        """For people: the sentence, after the camera that it is about."""
        return f"camera {self.camera}: {self.text}" if self.camera else self.text


def state_of(reasons: Sequence[Reason]) -> State:
    """The state of a daemon that inspects, for these reasons."""
    if any(reason.why in _FAILS for reason in reasons):
        return State.FAILED
    return State.DEGRADED if reasons else State.OK
