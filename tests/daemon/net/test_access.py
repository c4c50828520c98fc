"""Rights by key, by name, and after the list has changed."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import msgspec
import pytest
import zmq

from stripwatch.config.security import Security
from stripwatch.errors import ConfigError
from stripwatch.net.access import OWN_NAME, Access, Refusal, may_write, open_access
from stripwatch.net.allow_list import AllowList, Grant, Right, read_allow_list, write_allow_list
from stripwatch.net.curve import Domain
from stripwatch.net.keys import make_key
from stripwatch.wire.causes import Cause

DAY = datetime.date(2026, 11, 28)


def grant(name: str, *cameras: str, may: tuple[Right, ...] = ()) -> Grant:
    key = zmq.curve_keypair()[0].decode()
    return Grant(name=name, public_key=key, granted=DAY, send=cameras, may=may)


GRANTS = (
    grant("top", "top"),
    grant("gate", may=("events", "requests")),
    grant("desk", may=("write",)),
    msgspec.structs.replace(grant("old", "top", may=("events", "write")), revoked=DAY),
)
KEYS = {entry.name: entry.public_key for entry in GRANTS}


@pytest.fixture
def security(tmp_path: Path) -> Security:
    make_key(tmp_path / "daemon.key", "daemon")
    write_allow_list(tmp_path / "allowed.toml", AllowList(keys=GRANTS))
    return Security(
        key_file=str(tmp_path / "daemon.key"), allow_list=str(tmp_path / "allowed.toml")
    )


@pytest.fixture
def access(security: Security) -> Access:
    access = open_access(security)
    assert access is not None
    return access


@pytest.mark.parametrize(
    ("name", "domain", "cause"),
    [
        ("top", "frames", None),
        ("top", "events", Cause.NOT_GRANTED),
        ("gate", "events", None),
        ("gate", "requests", None),
        ("gate", "frames", Cause.NOT_GRANTED),
        ("desk", "requests", None),
        ("desk", "events", Cause.NOT_GRANTED),
        ("old", "frames", Cause.REVOKED_KEY),
    ],
)
def test_a_key_gets_in_where_it_has_a_right(
    access: Access, name: str, domain: Domain, cause: Cause | None
) -> None:
    """And the owner of a connection keeps it by the same rule."""
    admitted = access.admit(KEYS[name], domain)
    kept = access.refusal(name, domain)
    if cause is None:
        assert (admitted, kept) == (name, None)
    else:
        assert isinstance(admitted, Refusal)
        assert isinstance(kept, Refusal)
        assert (admitted.cause, kept.cause) == (cause, cause)


def test_who_is_not_known_may_nothing(access: Access) -> None:
    """Nor who has no name, as a message that came past the door would have none."""
    unknown = access.admit("x" * 40, "events")
    assert isinstance(unknown, Refusal)
    assert unknown.cause is Cause.UNKNOWN_KEY
    for name in (None, "", "stranger"):
        assert access.refusal(name, "frames") is not None
        assert not access.may_send(name, "top")
        assert not access.may(name, "events")
        assert not may_write(access, name)


def test_who_may_write(access: Access) -> None:
    assert [name for name in (*KEYS, OWN_NAME) if may_write(access, name)] == ["desk", OWN_NAME]
    assert may_write(None, None), "without CURVE everybody may"


def test_no_client_can_have_the_daemons_name() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(msgspec.to_builtins(GRANTS[0]) | {"name": OWN_NAME}, Grant)


def test_a_changed_list_is_followed_and_a_broken_one_is_not(
    access: Access, security: Security
) -> None:
    path = Path(security.allow_list or "")
    access.follow()
    assert access.version == 0
    os.utime(path)
    access.follow()
    assert access.version == 0, "the rights are the same"
    write_allow_list(path, read_allow_list(path).without("top", DAY))
    access.follow()
    assert access.version == 1
    assert not access.may_send("top", "top")
    for broken in ("[[keys]\n", 'keys = "all"\n', "[[keys]]\nname = 'x'\n"):
        path.write_text(broken)
        access.follow()
        assert access.may("gate", "events")
    path.unlink()
    access.follow()
    assert access.may("gate", "events")
    assert access.version == 1
    write_allow_list(path, AllowList())
    access.follow()
    assert (access.version, access.names) == (2, ())


def test_a_list_that_is_not_there_is_asked_for(security: Security) -> None:
    Path(security.allow_list or "").unlink()
    with pytest.raises(ConfigError, match="stripwatch keys grant"):
        open_access(security)
    assert open_access(Security()) is None


@pytest.mark.parametrize("what", ["name", "public_key"])
def test_nothing_stands_there_twice(security: Security, what: str) -> None:
    twin = msgspec.structs.replace(GRANTS[1], **{what: getattr(GRANTS[0], what)})
    write_allow_list(Path(security.allow_list or ""), AllowList(keys=(GRANTS[0], twin)))
    with pytest.raises(ConfigError, match=f"keys.{what} = .* is given twice"):
        open_access(security)
