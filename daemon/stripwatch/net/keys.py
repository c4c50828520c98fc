"""Keys of CURVE in files: a secret one that stays where it is made, and its public half.

Both are TOML. The public half may be copied anywhere; a daemon grants rights to it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TypeVar

import msgspec
import tomli_w
import zmq

from stripwatch.config.errors import explain_all, in_one_text
from stripwatch.config.load import read_table
from stripwatch.errors import ConfigError, StorageError
from stripwatch.wire.names import CurveKey, KeyName

PUBLIC_SUFFIX = ".pub"
_Kind = TypeVar("_Kind", bound=msgspec.Struct)


class PublicKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The public half of a key, and the name of its owner."""

    name: KeyName
    public_key: CurveKey


class SecretKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole key. A client's also knows the daemon that it is for."""

    name: KeyName
    public_key: CurveKey
    secret_key: CurveKey
    daemon_key: CurveKey | None = None  # public key of the daemon

    def __repr__(self) -> str:
        """Without the secret."""
        return f"SecretKey(name={self.name!r}, public_key={self.public_key!r})"


def make_key(path: Path, name: str, daemon_key: str | None = None) -> Path:
    """Make a key and write it, and its public half beside it; returns the path of the latter.

    Args:
        path: of the secret key; only the user can read it.
        name: of its owner.
        daemon_key: public key of the daemon that a client's key is for.

    Raises:
        ConfigError: a file is there already, or the name breaks its rule.
        StorageError: a file cannot be written.
    """
    public_path = path.with_suffix(PUBLIC_SUFFIX)
    if path.suffix == PUBLIC_SUFFIX:
        raise ConfigError(f"{path}: name the secret key otherwise, for example {path.stem}.key")
    try:
        msgspec.convert(name, KeyName)
    except msgspec.ValidationError:
        raise ConfigError(
            f"{name!r} is not the name of a key: 1 to 32 of the characters a-z 0-9 _ -; "
            "give one with --name"
        ) from None
    for file in (path, public_path):
        if file.exists():
            raise ConfigError(f"{file} exists; a key is never replaced: name a new file")
    public, secret = (half.decode() for half in zmq.curve_keypair())
    table = {"name": name, "public_key": public, "secret_key": secret}
    if daemon_key is not None:
        table["daemon_key"] = daemon_key
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(path, f"# SECRET: who has this file is {name}.\n{tomli_w.dumps(table)}", 0o600)
        shown = {"name": name, "public_key": public}
        text = f"# Public: grant it rights with stripwatch keys grant.\n{tomli_w.dumps(shown)}"
        _write_new(public_path, text, 0o644)
    except OSError as error:
        raise StorageError(f"{error.filename} cannot be written: {error.strerror}") from error
    return public_path


def read_secret_key(path: Path) -> SecretKey:
    """Read a secret key.

    Raises:
        ConfigError: it cannot be read, is not a key, or other users of this computer can read it.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: there is no such key; make one with: stripwatch keys new {path}"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: the key cannot be read: {error.strerror}") from error
    if mode & stat.S_IRWXO:
        raise ConfigError(
            f"{path}: every user of this computer can read this secret key; make it private "
            f"with: chmod 600 {path}"
        )
    table = read_table(path)
    try:
        key = msgspec.convert(table, SecretKey)
    except msgspec.ValidationError as error:
        # Not `explain`, which shows the value.
        where = str(error).partition(" - at `$")[2].strip("`.") or "the file"
        raise ConfigError(
            f"{path}: {where} is not what a secret key holds; make one with: "
            "stripwatch keys new FILE"
        ) from None
    if zmq.curve_public(key.secret_key.encode()).decode() != key.public_key:
        raise ConfigError(f"{path}: public_key does not belong to secret_key; make a new key")
    return key


def read_public_key(path: Path) -> PublicKey:
    """Read the public half of a key.

    Raises:
        ConfigError: it cannot be read, or is not one.
    """
    if "secret_key" in read_table(path):
        raise ConfigError(
            f"{path}: is a secret key, which stays where it was made; give its public half, "
            f"{path.with_suffix(PUBLIC_SUFFIX)}"
        )
    return read_struct(path, PublicKey)


def read_struct(path: Path, kind: type[_Kind]) -> _Kind:
    """Read a TOML file of a known structure that holds no secrets.

    Raises:
        ConfigError: it cannot be read, or breaks a rule.
    """
    table = read_table(path)
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        mistakes = explain_all(table, kind) or [str(error)]
        raise ConfigError(in_one_text(path, mistakes)) from None


def _write_new(path: Path, text: str, mode: int) -> None:
    """Write a file that must not be there yet; nobody else may read it at any moment.

    Raises:
        OSError: it is there, or cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
