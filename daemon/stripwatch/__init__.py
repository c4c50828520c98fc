"""stripwatch: inspects moving steel strip and publishes every defect as a numbered event."""

from stripwatch._version import __version__
from stripwatch.client.subscriber import FrameImage, Subscriber
from stripwatch.wire.event import (
    Defect,
    Event,
    FrameResult,
    Gap,
    NumberedEvent,
    Status,
    StripEnd,
    StripStart,
)

__all__ = [
    "Defect",
    "Event",
    "FrameImage",
    "FrameResult",
    "Gap",
    "NumberedEvent",
    "Status",
    "StripEnd",
    "StripStart",
    "Subscriber",
    "__version__",
]
