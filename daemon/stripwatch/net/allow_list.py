"""The allow-list: the public keys of the clients of a daemon, and what each may do."""

from __future__ import annotations

import datetime
import stat
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import tomli_w
from msgspec import Meta

from stripwatch.errors import ConfigError, StorageError
from stripwatch.files import write_whole
from stripwatch.net.keys import PublicKey, read_struct
from stripwatch.wire.names import CameraName, CurveKey, KeyName

Right = Literal["events", "requests", "write"]
KEYS_MAX = 1000
_HEAD = """\
# Clients of the daemon, by their public keys. `stripwatch keys grant` and `revoke` write this file;
# it may also be edited (comments below are not kept). The daemon follows it without a restart.
#   send: cameras whose frames the key may send
#   may:  "events": subscribe to events; "requests": ask the journal; "write": reviews, thresholds
"""


class Grant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One key and its rights."""

    name: KeyName
    public_key: CurveKey
    granted: datetime.date
    send: tuple[CameraName, ...] = ()
    may: tuple[Right, ...] = ()
    revoked: datetime.date | None = None  # it may do nothing since then

    def has(self, right: Right) -> bool:
        """Whether the key has a right; who may write may ask as well."""
        if self.revoked is not None:
            return False
        return right in self.may or (right == "requests" and "write" in self.may)

    def may_send(self, camera: str) -> bool:
        """Whether the key may send frames of a camera."""
        return self.revoked is None and camera in self.send


class AllowList(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    keys: Annotated[tuple[Grant, ...], Meta(max_length=KEYS_MAX)] = ()

    def with_grant(self, grant: Grant) -> AllowList:
        """The same with a key added, or its entry replaced.

        Raises:
            ConfigError: another entry has the name, or the key.
        """
        kept = []
        for entry in self.keys:
            if (entry.name, entry.public_key) == (grant.name, grant.public_key):
                continue
            if entry.name == grant.name:
                raise ConfigError(
                    f"another key has the name {grant.name} already; give this one another with "
                    "--name, or remove the entry of the old one from the file"
                )
            if entry.public_key == grant.public_key:
                raise ConfigError(f"this key is granted already, under the name {entry.name}")
            kept.append(entry)
        return AllowList(keys=(*kept, grant))

    def without(self, name: str, day: datetime.date) -> AllowList:
        """The same with a key revoked; its entry stays, so that attempts with it have a name.

        Raises:
            ConfigError: no key has the name, or it is revoked already.
        """
        known = {entry.name: entry for entry in self.keys}
        if name not in known:
            raise ConfigError(f"no key has the name {name}; there are: {', '.join(known) or '-'}")
        if known[name].revoked is not None:
            raise ConfigError(f"the key {name} was revoked on {known[name].revoked}")
        revoked = msgspec.structs.replace(known[name], revoked=day)
        return AllowList(
            keys=tuple(revoked if entry.name == name else entry for entry in self.keys)
        )


def new_grant(
    key: PublicKey, cameras: tuple[str, ...], rights: tuple[Right, ...], day: datetime.date
) -> Grant:
    """The entry of a key.

    Raises:
        ConfigError: it would have no right at all.
    """
    if not cameras and not rights:
        raise ConfigError(
            "give the key at least one right: --send CAMERA, --events, --requests or --write"
        )
    return Grant(name=key.name, public_key=key.public_key, granted=day, send=cameras, may=rights)


def read_allow_list(path: Path) -> AllowList:
    """Read the file.

    Raises:
        ConfigError: it cannot be read, or breaks a rule.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    allowed = read_struct(path, AllowList)
    if mode & stat.S_IWOTH:
        raise ConfigError(
            f"{path}: every user of this computer can change it; protect it with: chmod o-w {path}"
        )
    for what in ("name", "public_key"):
        values = [getattr(entry, what) for entry in allowed.keys]
        for value in dict.fromkeys(values):
            if values.count(value) > 1:
                raise ConfigError(f"{path}: keys.{what} = {value!r} is given twice")
    return allowed


def write_allow_list(path: Path, allowed: AllowList) -> None:
    """Replace the file as a whole.

    Raises:
        StorageError: it cannot be written; the old one stays.
    """
    tables = []
    for entry in allowed.keys:
        table = msgspec.to_builtins(entry, builtin_types=(datetime.date,))
        tables.append({key: value for key, value in table.items() if value not in (None, ())})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, (_HEAD + "\n" + tomli_w.dumps({"keys": tables})).encode())
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
