"""Events of the daemon itself: its start, its stop, and changes of its configuration."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stripwatch.wire.numbered import Seq, Stream


class _OfDaemon(msgspec.Struct, frozen=True, kw_only=True):
    stream: Stream
    seq: Seq


class DaemonStart(_OfDaemon, frozen=True, kw_only=True, tag_field="type", tag="daemon_start"):
    """The daemon has started. Topic `daemon`."""

    t_ns: int
    version: Annotated[str, Meta(description="of stripwatch")]
    model: Annotated[str, Meta(description="hash of the engine")]
    config: Annotated[str, Meta(description="SHA-256 of the configuration in force")]
    v: Literal[1] = 1


class DaemonStop(_OfDaemon, frozen=True, kw_only=True, tag_field="type", tag="daemon_stop"):
    """The daemon has stopped. Topic `daemon`."""

    t_ns: Annotated[int, Meta(description="of the stop; of the next start where it is unclean")]
    reason: Annotated[
        Literal["stopped", "failed", "unclean"],
        Meta(description="unclean: killed, or power was lost; written by the next start"),
    ]
    detail: Annotated[str, Meta(description="the error, where it failed; else empty")]
    v: Literal[1] = 1


class DaemonReload(_OfDaemon, frozen=True, kw_only=True, tag_field="type", tag="daemon_reload"):
    """The daemon was asked to take over a changed configuration. Topic `daemon`."""

    t_ns: int
    result: Annotated[
        Literal["done", "refused"], Meta(description="refused: all is as it was before")
    ]
    model: Annotated[str, Meta(description="hash of the engine that runs now")]
    config: Annotated[str, Meta(description="SHA-256 of the configuration in force now")]
    changes: Annotated[
        tuple[str, ...], Meta(description="that were made: key, value before -> value now")
    ]
    need_restart: Annotated[
        tuple[str, ...], Meta(description="changes in the file that were not made")
    ]
    detail: Annotated[str, Meta(description="why it was refused; else empty")]
    v: Literal[1] = 1
