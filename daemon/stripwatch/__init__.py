"""stripwatch: inspects moving steel strip and publishes every defect as a numbered event.

Names are loaded when they are first used: a command that needs none of them starts sooner.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from stripwatch._version import __version__

if TYPE_CHECKING:
    from stripwatch.client.messages import FrameImage
    from stripwatch.client.position import Lost, Renumbered
    from stripwatch.client.subscriber import Subscriber
    from stripwatch.wire.event import (
        DaemonReload,
        DaemonStart,
        DaemonStop,
        Defect,
        Event,
        FrameResult,
        Gap,
        Light,
        NumberedEvent,
        Periodic,
        Review,
        Status,
        StripEnd,
        StripStart,
        Threshold,
    )

__all__ = [
    "DaemonReload",
    "DaemonStart",
    "DaemonStop",
    "Defect",
    "Event",
    "FrameImage",
    "FrameResult",
    "Gap",
    "Light",
    "Lost",
    "NumberedEvent",
    "Periodic",
    "Renumbered",
    "Review",
    "Status",
    "StripEnd",
    "StripStart",
    "Subscriber",
    "Threshold",
    "__version__",
]
_OF_CLIENT = {
    "FrameImage": "client.messages",
    "Lost": "client.position",
    "Renumbered": "client.position",
    "Subscriber": "client.subscriber",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _OF_CLIENT.get(name, "wire.event")
    return getattr(import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
