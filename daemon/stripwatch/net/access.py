"""Who may do what at a running daemon: its allow-list, followed while it changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import structlog

from stripwatch.config.security import Security
from stripwatch.errors import ConfigError
from stripwatch.net.allow_list import AllowList, Grant, Right, read_allow_list
from stripwatch.net.curve import Domain
from stripwatch.net.keys import SecretKey, read_secret_key
from stripwatch.wire.causes import Cause

OWN_NAME = "(daemon)"  # of the daemon's own key; no client's name has parentheses
_File = tuple[int, int, int]  # inode, size, time of change: another file, or another content


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a peer may not do what it tries."""

    cause: Cause
    detail: str


@dataclass(frozen=True)
class _Rights:
    """The allow-list, for look-ups; replaced as a whole."""

    by_key: dict[str, Grant]
    by_name: dict[str, Grant]


class Access:
    """Answers for any thread; only one thread calls `follow`."""

    def __init__(self, key: SecretKey, allow_list: Path) -> None:
        """Read the allow-list.

        Raises:
            ConfigError: it cannot be read, or breaks a rule.
        """
        self.key = key
        self._path = allow_list
        self._log = structlog.get_logger()
        self._fault = ""
        self._file = _state(allow_list)
        if self._file is None:
            raise ConfigError(
                f"security.allow_list: {allow_list} cannot be read; it comes with the first key: "
                f"stripwatch keys grant CLIENT.pub --allow-list {allow_list} --events"
            )
        self._rights = _look_up(read_allow_list(allow_list))
        self.version = 0  # grows with each change

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the keys that are not revoked."""
        grants = self._rights.by_name.values()
        return tuple(grant.name for grant in grants if grant.revoked is None)

    def admit(self, public_key: str, domain: Domain) -> str | Refusal:
        """The name of the key that may use a kind of sockets, or why it may not."""
        if public_key == self.key.public_key:
            return OWN_NAME
        grant = self._rights.by_key.get(public_key)
        if grant is None:
            return Refusal(Cause.UNKNOWN_KEY, f"key {public_key}")
        return self._refusal(grant, domain) or grant.name

    def refusal(self, name: str | None, domain: Domain) -> Refusal | None:
        """Why the owner of a connection may not use it any more; None: it may."""
        if name == OWN_NAME:
            return None
        grant = self._rights.by_name.get(name or "")
        if grant is None:
            return Refusal(Cause.REVOKED_KEY, f"key {name}")
        return self._refusal(grant, domain)

    def may_send(self, name: str | None, camera: str) -> bool:
        """Whether a key may send frames of a camera."""
        grant = self._rights.by_name.get(name or "")
        return name == OWN_NAME or (grant is not None and grant.may_send(camera))

    def may(self, name: str | None, right: Right) -> bool:
        """Whether a key has a right."""
        grant = self._rights.by_name.get(name or "")
        return name == OWN_NAME or (grant is not None and grant.has(right))

    def follow(self) -> None:
        """Take over a changed allow-list; one that cannot be read changes nothing."""
        file = _state(self._path)
        if file == self._file and not self._fault:
            return
        try:
            rights = _look_up(read_allow_list(self._path))
        except ConfigError as error:
            if str(error) != self._fault:
                self._log.error("allow-list not taken over; the last one stays", error=str(error))
            self._fault = str(error)
            return
        self._file, self._fault = file, ""
        if rights != self._rights:
            self._rights = rights
            self.version += 1
            self._log.info("allow-list taken over", keys=self.names)

    @staticmethod
    def _refusal(grant: Grant, domain: Domain) -> Refusal | None:
        if grant.revoked is not None:
            return Refusal(Cause.REVOKED_KEY, f"key {grant.name}, revoked on {grant.revoked}")
        if bool(grant.send) if domain == "frames" else grant.has(domain):
            return None
        return Refusal(Cause.NOT_GRANTED, f"key {grant.name} has no right to {domain}")


def open_access(security: Security) -> Access | None:
    """The rights at a daemon with this configuration; None: it does not use CURVE.

    Raises:
        ConfigError: the daemon's key or the allow-list cannot be used.
    """
    if security.key_file is None or security.allow_list is None:
        return None
    return Access(read_secret_key(Path(security.key_file)), Path(security.allow_list))


def may_write(access: Access | None, name: str | None) -> bool:
    """Whether the sender of a request may change something.

    Without CURVE everybody may: only this computer reaches the daemon, or `allow_plaintext` says
    that its network is trusted.
    """
    return access is None or access.may(name, "write")


def _look_up(allowed: AllowList) -> _Rights:
    return _Rights(
        {grant.public_key: grant for grant in allowed.keys},
        {grant.name: grant for grant in allowed.keys},
    )


def _state(path: Path) -> _File | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
