"""Logs: structlog, as JSON under systemd or as text on a terminal."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, MutableMapping
from typing import TextIO, cast

import structlog

from stripwatch.config.sections import Service
from stripwatch.service.journald import is_journal, with_priority
from stripwatch.service.log_stream import LogStream

STDERR = 2
Renderer = Callable[[object, str, MutableMapping[str, object]], str | bytes]


def set_up_logs(service: Service) -> LogStream:
    """Configure structlog for the process; the caller closes the stream at the end."""
    stream = LogStream(STDERR)
    # Pillow warns on stderr of damaged images: a peer must not be able to fill our log.
    warnings.filterwarnings("ignore", module="PIL")
    console = service.log_format == "console" or (service.log_format == "auto" and stream.isatty())
    renderer: Renderer = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty())
        if console
        else structlog.processors.JSONRenderer()
    )
    if is_journal(STDERR):
        renderer = _for_journal(renderer)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            renderer,
        ],
        wrapper_class=_filter(service.log_level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", stream)),
        cache_logger_on_first_use=False,
    )
    return stream


def _for_journal(renderer: Renderer) -> Renderer:
    def render(logger: object, method: str, event: MutableMapping[str, object]) -> str:
        return with_priority(str(event["level"]), str(renderer(logger, method, event)))

    return render


def set_log_level(level: str) -> None:
    """Write lines of this level and above from now on."""
    structlog.configure(wrapper_class=_filter(level))


def _filter(level: str) -> type[structlog.typing.FilteringBoundLogger]:
    return structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()])
