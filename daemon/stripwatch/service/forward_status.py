"""What a forwarder reports to its sink: its own state, and the daemon's."""

from __future__ import annotations

import time
from typing import Literal

import msgspec

from stripwatch.client.subscriber import Subscriber
from stripwatch.outputs.forward import Progress
from stripwatch.wire.event import Status

DAEMON_SILENT_S = 3.0  # a running daemon publishes its status each second

State = Literal["online", "failed", "offline"]


class ForwardStatus(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="forward_status"
):
    """Once a second, to the sink: how forwarding is doing, and the daemon's own status."""

    t_ns: int
    state: State
    reason: str  # why it is failed or offline; else empty
    stream: str
    acknowledged_seq: int  # everything up to here is acknowledged
    last_seq: int  # of the newest event in the journal
    backlog: int  # events between the two
    in_flight: int  # of them, sent
    lag_s: float  # age of the oldest event that is not acknowledged
    lost: int  # events since the start that were removed before they were sent
    unheard: int  # events since the start that nobody had subscribed to
    nobody_listens: bool  # that is so of all that were acknowledged last
    daemon: msgspec.Raw  # its status as published; null where none has come for 3 s
    v: Literal[1] = 1


class DaemonStatus:
    """The latest status of the daemon, in its own bytes."""

    def __init__(self, subscriber: Subscriber | None) -> None:
        """`subscriber` has the topic `status`; None: nothing is known of the daemon."""
        self._subscriber = subscriber
        self._latest, self._heard_s = b"null", 0.0

    def read(self) -> msgspec.Raw:
        """The latest status; null where none has come for `DAEMON_SILENT_S`."""
        while self._subscriber and (received := self._subscriber.receive_message(0)):
            if isinstance(received.event, Status):
                self._latest, self._heard_s = received.payload, time.monotonic()
        is_recent = time.monotonic() - self._heard_s < DAEMON_SILENT_S
        return msgspec.Raw(self._latest if is_recent else b"null")


def forward_status(
    progress: Progress,
    state: State,
    reason: str,
    *,
    unheard: int,
    nobody_listens: bool,
    daemon: msgspec.Raw,
) -> ForwardStatus:
    """A status of this moment."""
    return ForwardStatus(
        t_ns=time.time_ns(),
        state=state,
        reason=reason,
        stream=progress.stream,
        acknowledged_seq=progress.acknowledged_seq,
        last_seq=progress.last_seq,
        backlog=max(0, progress.last_seq - progress.acknowledged_seq),
        in_flight=progress.in_flight,
        lag_s=round(progress.lag_s, 3),
        lost=progress.lost,
        unheard=unheard,
        nobody_listens=nobody_listens,
        daemon=daemon,
    )
