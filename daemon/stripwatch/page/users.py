"""The users of the page, with their roles and hashes of their passwords, in a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from stripwatch.config.page import Role
from stripwatch.errors import ConfigError, StorageError
from stripwatch.files import write_whole
from stripwatch.wire.operator import UserName

PASSWORD_CHARACTERS_MIN = 8
PASSWORD_CHARACTERS_MAX = 200

_hasher = PasswordHasher()  # RFC 9106, low memory: 64 MiB and about 50 ms
# Of no password: to look at it takes as long for a name that does not exist.
_NOBODY = _hasher.hash(os.urandom(16).hex())


class User(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One user."""

    name: UserName
    role: Role
    password: str  # its hash, as argon2 writes it


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    users: tuple[User, ...]
    v: Literal[1] = 1


def load_users(path: Path) -> dict[str, User]:
    """The users of a file, by name.

    Raises:
        ConfigError: there is no such file, or it holds something else.
    """
    try:
        users = msgspec.json.decode(path.read_bytes(), type=_File).users
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist; make the first user with: stripwatch page user add NAME "
            "--role change --config CONFIG.TOML"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a file of users: {error}") from None
    return {user.name: user for user in users}


def save_users(path: Path, users: dict[str, User]) -> None:
    """Write the users whole, for nobody else to read.

    Raises:
        StorageError: they cannot be written; the file is as it was.
    """
    text = msgspec.json.encode(_File(users=tuple(users[name] for name in sorted(users))))
    before = os.umask(0o077)
    try:
        write_whole(path, msgspec.json.format(text, indent=2) + b"\n")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        os.umask(before)


def make_user(name: str, role: Role, password: str) -> User:
    """A user with a new password.

    Raises:
        ConfigError: the name or the password is not allowed.
    """
    if not PASSWORD_CHARACTERS_MIN <= len(password) <= PASSWORD_CHARACTERS_MAX:
        raise ConfigError(
            f"the password has {len(password)} characters; give {PASSWORD_CHARACTERS_MIN} to "
            f"{PASSWORD_CHARACTERS_MAX}"
        )
    try:
        msgspec.convert(name, UserName)
    except msgspec.ValidationError:
        raise ConfigError(f"user {name!r}: give 1 to 64 characters of a name") from None
    return User(name=name, role=role, password=_hasher.hash(password))


def is_password_of(user: User | None, password: str) -> bool:
    """Whether it is the user's password; takes as long for None, which has none."""
    if len(password) > PASSWORD_CHARACTERS_MAX:
        return False
    try:
        return _hasher.verify(user.password if user else _NOBODY, password) and user is not None
    except (VerificationError, InvalidHashError):
        return False
