"""One look at each kind of source: what it says now."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import zmq

from stripwatch.camera.strip.state import (
    ANSWER_BYTES_MAX,
    SourceFault,
    StripState,
    parse_strip,
)
from stripwatch.config.strip_source import StripSource
from stripwatch.net.sockets import Context, open_socket

ANSWER_S_MAX = 2.0

Ask = Callable[[], StripState | None]  # None: nothing new; raises SourceFault
Close = Callable[[], None]


def open_source(source: StripSource, context: Context) -> tuple[Ask, Close]:
    """Functions that ask a source, and that close it.

    Raises:
        SourceFault: it cannot be reached now.
        AddressError: its endpoint cannot be used.
        ModuleNotFoundError: the extra that it needs is not installed.
    """
    match source.kind:
        case "file":
            return lambda: parse_strip(_file(Path(source.address))), _nothing
        case "http":
            return lambda: parse_strip(_http(source.address)), _nothing
        case "zmq":
            return _zmq(source, context)
        case "opcua":
            return _opcua(source)
        case "barrier":
            raise AssertionError("a light barrier is read with each frame")


def _nothing() -> None:
    pass


def _file(path: Path) -> bytes:
    try:
        # Without O_NONBLOCK a pipe without a writer would never open.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SourceFault(f"{path} is not a regular file")
            return file.read(ANSWER_BYTES_MAX + 1)
    except OSError as error:
        raise SourceFault(f"{path} cannot be read: {error.strerror}") from None


def _http(url: str) -> bytes:
    assert url.startswith(("http://", "https://")), url  # the configuration is checked
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_S_MAX) as answer:  # noqa: S310 - as above
            return bytes(answer.read(ANSWER_BYTES_MAX + 1))
    except (OSError, ValueError) as error:  # also no answer in time, and what is no HTTP
        raise SourceFault(f"{url} does not answer: {error}") from None


def _zmq(source: StripSource, context: Context) -> tuple[Ask, Close]:
    """The last part of each message that is published there, whatever its topic."""
    socket = open_socket(
        context,
        "sub",
        source.address,
        attach="connect",
        queue=16,
        message_bytes_max=ANSWER_BYTES_MAX,
    )
    socket.setsockopt(zmq.SUBSCRIBE, b"")

    def ask() -> StripState | None:
        if not socket.poll(round(source.poll_s * 1000)):
            return None
        return parse_strip(socket.recv_multipart()[-1])

    return ask, lambda: socket.close(0)


def _opcua(source: StripSource) -> tuple[Ask, Close]:
    """The value of one node: a string, or bytes."""
    from asyncua.client.client import Client

    assert source.node  # the configuration is checked
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # faults are told as `SourceFault`
    client = Client(source.address, timeout=ANSWER_S_MAX)
    node = client.get_node(source.node)
    runner = asyncio.Runner()

    def close() -> None:
        with suppress(Exception):  # of a server that has just failed
            runner.run(asyncio.wait_for(client.disconnect(), ANSWER_S_MAX))
        runner.close()

    def ask() -> StripState:
        try:
            value: Any = runner.run(asyncio.wait_for(node.read_value(), ANSWER_S_MAX))
        except Exception as error:  # noqa: BLE001 - the library raises many kinds
            raise SourceFault(f"{source.node} cannot be read: {_words(error)}") from None
        if isinstance(value, str | bytes):
            return parse_strip(value if isinstance(value, bytes) else value.encode())
        return parse_strip(b"" if value is None else msgspec.json.encode(value))

    try:
        runner.run(asyncio.wait_for(client.connect(), 2 * ANSWER_S_MAX))
    except Exception as error:  # noqa: BLE001 - as above
        close()
        raise SourceFault(f"{source.address} does not answer: {_words(error)}") from None
    return ask, close


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
