"""The section [security] of config.toml."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

import msgspec

from stripwatch.config.credentials import FilePath, with_absolute_files


class Security(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Encryption of all sockets with CURVE, and who may do what; without files there is none."""

    key_file: FilePath | None = None  # of the daemon: its secret key
    allow_list: FilePath | None = None  # public keys of the clients, and their rights
    allow_plaintext: bool = False  # off loopback, without CURVE


def security_mistakes(security: Security, bound: Iterable[tuple[str, str]]) -> list[str]:
    """What is wrong with the section; `bound` are keys and endpoints that the daemon binds."""
    if (security.key_file is None) != (security.allow_list is None):
        return ["security.key_file and security.allow_list go together"]
    if security.key_file is not None and security.allow_plaintext:
        return ["security.allow_plaintext = true has no use with security.key_file; leave it out"]
    if security.key_file is not None or security.allow_plaintext:
        return []
    found = [f"{key} = {endpoint!r}" for key, endpoint in bound if is_exposed(endpoint)]
    return [exposed(", ".join(found))] if found else []


def exposed(where: str) -> str:
    """The refusal of endpoints that other computers reach, and how to set up CURVE."""
    return (
        f"{where}: other computers can reach this, and nothing is encrypted. "
        "Bind 127.0.0.1, or make keys for the daemon and for each client:\n"
        "      stripwatch keys new keys/daemon.key\n"
        "      stripwatch keys grant CLIENT.pub --allow-list keys/allowed.toml --send CAMERA\n"
        '    and name them: [security] key_file = "keys/daemon.key", '
        'allow_list = "keys/allowed.toml" (docs/security.md). '
        "On a network that is trusted as a whole: security.allow_plaintext = true"
    )


def is_exposed(endpoint: str) -> bool:
    """Whether other computers can reach an endpoint that is bound here."""
    if not endpoint.startswith("tcp://"):
        return False
    host = endpoint.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    if host in ("localhost", "lo"):
        return False
    try:
        return not ip_address(host.partition("%")[0]).is_loopback
    except ValueError:  # "*", the name of an interface or of this computer
        return True


def with_absolute_keys(security: Security, folder: Path) -> Security:
    """The same with files that start at `folder`, or at systemd's credentials."""
    return with_absolute_files(security, ("key_file", "allow_list"), folder)
