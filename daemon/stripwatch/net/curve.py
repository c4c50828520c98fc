"""CURVE on a socket: the daemon's end, and that of a client.

The daemon is the server of CURVE on all of its sockets, also where it connects and a camera binds:
so its allow-list decides everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
import zmq

from stripwatch.config.security import Security
from stripwatch.errors import ConfigError
from stripwatch.net.keys import SecretKey, read_secret_key

Domain = Literal["frames", "events", "requests"]  # of ZAP: what a socket is for


class _Curve(msgspec.Struct, frozen=True, kw_only=True):
    public_key: str
    secret_key: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"{self.__class__.__name__}(public_key={self.public_key!r})"


class DaemonCurve(_Curve, frozen=True, kw_only=True):
    """The daemon's end of a socket; who gets in is decided by the `Door` of its context."""

    domain: Domain
    watch: Callable[[zmq.Socket[bytes], str], None]  # is told of the socket and its endpoint


class ClientCurve(_Curve, frozen=True, kw_only=True):
    """A client's end of a socket."""

    daemon_key: str


Curve = DaemonCurve | ClientCurve


def secure(socket: zmq.Socket[bytes], curve: Curve, endpoint: str) -> None:
    """Set a socket up, before it is bound or connected to its endpoint."""
    socket.setsockopt(zmq.CURVE_SECRETKEY, curve.secret_key.encode())
    socket.setsockopt(zmq.CURVE_PUBLICKEY, curve.public_key.encode())
    if isinstance(curve, DaemonCurve):
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.ZAP_DOMAIN, curve.domain.encode())
        # Without it libzmq lets every key in where nobody answers its questions.
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        curve.watch(socket, endpoint)
    else:
        socket.setsockopt(zmq.CURVE_SERVERKEY, curve.daemon_key.encode())


def client_curve(key_file: Path | str) -> ClientCurve:
    """The client's end with the key in a file.

    Raises:
        ConfigError: the file is not a client's key, or other users can read it.
    """
    key = read_secret_key(Path(key_file))
    if key.daemon_key is None:
        raise ConfigError(
            f"{key_file}: lacks daemon_key, the public key of the daemon that this key is for; "
            "add that line, with the public_key of the daemon's .pub file"
        )
    return _client(key, key.daemon_key)


def client_curve_of(security: Security, key_file: Path | None) -> ClientCurve | None:
    """The client's end for a daemon whose configuration is at hand.

    Args:
        security: of its configuration.
        key_file: of the client. None: the daemon's own, which may do everything; who can read it
            is the daemon.

    Raises:
        ConfigError: the key cannot be read or used.
    """
    if security.key_file is None:
        if key_file is not None:
            raise ConfigError(
                "--key: this daemon's configuration has no security.key_file, so it takes no keys"
            )
        return None
    if key_file is not None:
        return client_curve(key_file)
    try:
        own = read_secret_key(Path(security.key_file))
    except ConfigError as error:
        raise ConfigError(f"{error}; or give a key of your own with --key") from error
    return _client(own, own.public_key)


def _client(key: SecretKey, daemon_key: str) -> ClientCurve:
    return ClientCurve(public_key=key.public_key, secret_key=key.secret_key, daemon_key=daemon_key)
