"""`stripwatch keys`: keys of CURVE, and what the daemon lets their owners do."""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from stripwatch.config.load import load_config
from stripwatch.errors import ConfigError, ExitCode
from stripwatch.net.allow_list import (
    AllowList,
    Grant,
    Right,
    new_grant,
    read_allow_list,
    write_allow_list,
)
from stripwatch.net.keys import make_key, read_public_key
from stripwatch.wire.names import CameraName

_RIGHTS: dict[Right, str] = {
    "events": "subscribe to events",
    "requests": "ask the journal for events and pictures, and keep a reader's place",
    "write": "review defects and change thresholds; includes --requests",
}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "keys",
        allow_abbrev=False,
        help="make CURVE keys, and say what their owners may do",
        description="Make keys for CURVE, and keep the list of those that the daemon lets in. A "
        "running daemon follows the list without a restart. docs/security.md shows a set-up.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    new = actions.add_parser("new", allow_abbrev=False, help="make a key")
    new.add_argument("key", type=Path, metavar="FILE.KEY", help="beside it comes FILE.pub")
    new.add_argument("--name", help="of its owner (default: that of the file)")
    new.add_argument(
        "--daemon",
        type=Path,
        metavar="DAEMON.PUB",
        help="of a client: the public key of the daemon that it talks to",
    )
    new.set_defaults(command=_new)
    show = actions.add_parser("list", allow_abbrev=False, help="show who may do what")
    _add_list(show)
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(command=_list)
    grant = actions.add_parser("grant", allow_abbrev=False, help="give a key rights")
    grant.add_argument("key", type=Path, metavar="FILE.PUB", help="the client's public key")
    _add_list(grant)
    grant.add_argument("--name", help="in place of that in the file")
    grant.add_argument(
        "--send",
        action="append",
        metavar="CAMERA",
        help="send frames of this camera; may be given more than once",
    )
    for right, meaning in _RIGHTS.items():
        grant.add_argument(f"--{right}", action="store_true", help=meaning)
    grant.set_defaults(command=_grant)
    revoke = actions.add_parser("revoke", allow_abbrev=False, help="take all rights from a key")
    revoke.add_argument("name", metavar="NAME")
    _add_list(revoke)
    revoke.set_defaults(command=_revoke)


def _add_list(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--config", type=Path, metavar="CONFIG.TOML", help="of the daemon")
    group.add_argument("--allow-list", type=Path, metavar="FILE", help="of the daemon")


def _new(args: argparse.Namespace) -> ExitCode:
    daemon_key = read_public_key(args.daemon).public_key if args.daemon else None
    name = args.name or args.key.name.removesuffix(".key")
    public = make_key(args.key, name, daemon_key)
    use = "the daemon is told of it with: stripwatch keys grant"
    if daemon_key is None:
        use = "clients of this daemon are made with: stripwatch keys new CLIENT.key --daemon"
    sys.stdout.write(
        f"{args.key}: the secret key of {name}; it stays on the computer that uses it\n"
        f"{public}: its public half; {use} {public}\n"
    )
    return ExitCode.OK


def _list(args: argparse.Namespace) -> ExitCode:
    allowed = read_allow_list(_path(args))
    if args.json:
        sys.stdout.write(
            msgspec.json.format(msgspec.json.encode(allowed), indent=2).decode() + "\n"
        )
        return ExitCode.OK
    table = Table("name", "sends", "may", "granted", "revoked", box=None)
    for entry in allowed.keys:
        table.add_row(
            entry.name,
            ", ".join(entry.send) or "-",
            ", ".join(entry.may) or "-",
            str(entry.granted),
            str(entry.revoked or ""),
        )
    Console(highlight=False, markup=False).print(table)
    return ExitCode.OK


def _grant(args: argparse.Namespace) -> ExitCode:
    path = _path(args)
    key = read_public_key(args.key)
    if args.name:
        key = msgspec.structs.replace(key, name=args.name)
    rights = tuple(right for right in _RIGHTS if getattr(args, right))
    grant = new_grant(key, _cameras(args), rights, _today())
    allowed = read_allow_list(path) if path.exists() else AllowList()
    write_allow_list(path, allowed.with_grant(grant))
    sys.stdout.write(f"{path}: {_sentence(grant)}\n")
    return ExitCode.OK


def _revoke(args: argparse.Namespace) -> ExitCode:
    path = _path(args)
    write_allow_list(path, read_allow_list(path).without(args.name, _today()))
    sys.stdout.write(f"{path}: {args.name} may do nothing any more\n")
    return ExitCode.OK


def _path(args: argparse.Namespace) -> Path:
    """The allow-list.

    Raises:
        ConfigError: the configuration names none.
    """
    if args.allow_list is not None:
        path: Path = args.allow_list
        return path
    security = load_config(args.config).security
    if security.allow_list is None:
        raise ConfigError(
            f"{args.config}: has no security.allow_list; add a section [security] with key_file "
            "and allow_list, or name the file with --allow-list"
        )
    return Path(security.allow_list)


def _cameras(args: argparse.Namespace) -> tuple[str, ...]:
    """The cameras of `--send`.

    Raises:
        ConfigError: one is no name of a camera, or not one of the configuration.
    """
    cameras = tuple(dict.fromkeys(args.send or ()))
    try:
        msgspec.convert(cameras, tuple[CameraName, ...])
    except msgspec.ValidationError:
        raise ConfigError(
            f"--send {' '.join(cameras)}: a camera's name has 1 to 32 of the characters a-z 0-9 _ -"
        ) from None
    if args.config is not None:
        known = [camera.name for camera in load_config(args.config).cameras]
        for camera in cameras:
            if camera not in known:
                raise ConfigError(
                    f"--send {camera}: {args.config} has the cameras {', '.join(known)}"
                )
    return cameras


def _sentence(grant: Grant) -> str:
    rights = [f"send frames of {', '.join(grant.send)}"] if grant.send else []
    rights += [_RIGHTS[right].split(";")[0] for right in grant.may]
    return f"{grant.name} may {'; '.join(rights)}"


def _today() -> datetime.date:
    return datetime.datetime.now(tz=datetime.UTC).astimezone().date()
