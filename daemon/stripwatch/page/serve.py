"""The life of the page's process: bind, serve, tell the service manager, stop."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time

import structlog
import uvicorn

from stripwatch.config.sections import Config
from stripwatch.errors import AddressError, ConfigError, ExitCode, StripwatchError
from stripwatch.net.curve import ClientCurve
from stripwatch.page.application import Application, make_application
from stripwatch.service.priority import give_way
from stripwatch.service.sdnotify import Notifier

TICK_S = 0.1
REPORT_S = 1.0
SILENT_S_MAX = 10.0  # after which the watchdog is not fed any more
STOP_S_MAX = 3.0  # for answers that are under way
CONNECTIONS_MAX = 256
BACKLOG = 128


class _ToOurLog(logging.Handler):
    """What uvicorn has to say, among our own lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        log = structlog.get_logger()
        detail = ""
        if record.exc_info:
            detail = logging.Formatter().formatException(record.exc_info)
        log.error("page fault", message=record.getMessage(), detail=detail)


class _Server(uvicorn.Server):
    """A server that knows its event loop."""

    loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until it is told to exit."""
        self.loop = asyncio.get_running_loop()
        await super().serve(sockets)


def serve(
    config: Config, stop: threading.Event, notifier: Notifier, curve: ClientCurve | None = None
) -> ExitCode:
    """Serve the page until `stop`; `curve` is its key, where the daemon wants one.

    Raises:
        ConfigError: users or certificates cannot be used.
        AddressError: the address cannot be bound.
    """
    application = make_application(config, curve=curve)
    server = _Server(_settings(config, application))
    log = structlog.get_logger()
    with _bound(config) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), name="page")
        thread.start()
        try:
            is_ready, report_s = False, 0.0
            while not stop.wait(TICK_S) and thread.is_alive():
                if server.started and not is_ready:
                    is_ready = True
                    log.info("page is open", url=config.page.url)
                    notifier.ready()
                    give_way()  # only now: beside a busy engine it would hardly start
                if is_ready and time.monotonic() - report_s >= REPORT_S:
                    report_s = time.monotonic()
                    _report(application, notifier)
        finally:
            notifier.stopping()
            if server.loop and thread.is_alive():
                server.loop.call_soon_threadsafe(application.end_streams)
            server.should_exit = True
            thread.join()
    if not stop.is_set():
        raise StripwatchError("the page ended by itself; see the lines before")
    log.info("stopped")
    return ExitCode.OK


def _settings(config: Config, application: Application) -> uvicorn.Config:
    """uvicorn's configuration.

    Raises:
        ConfigError: the certificate cannot be used.
    """
    log = logging.getLogger("uvicorn.error")
    log.handlers, log.propagate = [_ToOurLog(logging.ERROR)], False
    settings = uvicorn.Config(
        application.serve,
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # access.py decides whose word is believed
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=round(STOP_S_MAX),
        ssl_certfile=config.page.cert_file,
        ssl_keyfile=config.page.key_file,
    )
    try:
        settings.load()
    except ssl.SSLError as error:
        reason = error.reason or str(error)
        raise ConfigError(
            f"page.cert_file and page.key_file cannot be used ({reason}): expected a certificate "
            "and its key without a password, in PEM"
        ) from None
    except OSError as error:
        raise ConfigError(f"page.cert_file or page.key_file: {error.strerror}") from None
    return settings


def _bound(config: Config) -> socket.socket:
    """A socket that listens.

    Raises:
        AddressError: the address cannot be bound.
    """
    host, port = config.page.address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise AddressError(
            f"page.endpoint {config.page.endpoint} cannot be bound: {error.strerror}; another "
            "program may have it"
        ) from error
    return listener


def _report(application: Application, notifier: Notifier) -> None:
    desk = application.desk
    if desk is None:
        return
    if time.monotonic() - desk.now.beat_s < SILENT_S_MAX:
        notifier.watchdog()
    notifier.status(f"open; browsers connected: {desk.streams.listeners}")
