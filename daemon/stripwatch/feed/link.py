"""The sending end of an input of a configuration."""

from __future__ import annotations

from typing import Literal

import msgspec

from stripwatch.config.sections import Attach, Input
from stripwatch.net.curve import ClientCurve
from stripwatch.net.peer import peer_endpoint


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """The sending end of an input: pub sends to sub, push to pull."""

    endpoint: str
    pattern: Literal["pub", "push"] = "pub"
    attach: Attach = "connect"
    queue_frames: int = 32
    curve: ClientCurve | None = None  # the key, where the receiver wants one


def link_to(entry: Input) -> Link:
    """The sending end of an input of a configuration."""
    endpoint, attach = peer_endpoint(entry.endpoint, entry.attach)
    return Link(
        endpoint=endpoint,
        pattern="pub" if entry.pattern == "sub" else "push",
        attach=attach,
        queue_frames=entry.queue_frames,
    )
