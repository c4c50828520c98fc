"""`stripwatch page`: the operator's page, and its users."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from stripwatch.cli.address import add_key, curve_of
from stripwatch.config.page import ROLES
from stripwatch.errors import ConfigError, ExitCode


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "page",
        allow_abbrev=False,
        help="serve the operator's page",
        description="Serve the operator's page in a browser, beside the daemon, until SIGTERM or "
        "Ctrl-C.",
    )
    _add_config(parser)
    add_key(parser)
    parser.set_defaults(command=_page)
    inner = parser.add_subparsers(title="commands", metavar="COMMAND")
    user = inner.add_parser(
        "user",
        allow_abbrev=False,
        help="add, remove or list the users of the page",
        description="Change the file that page.users_file names; a page that runs follows it.",
    )
    what = user.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = what.add_parser(
        "add",
        allow_abbrev=False,
        help="add a user, or give him another role and password",
        description="Add a user, or give him another role and password. The password is asked for, "
        "or read as one line from a pipe.",
    )
    add.add_argument("name")
    add.add_argument("--role", choices=ROLES, required=True, help="what he may do")
    remove = what.add_parser("remove", allow_abbrev=False, help="remove a user; his session ends")
    remove.add_argument("name")
    show = what.add_parser("list", allow_abbrev=False, help="list the users and their roles")
    for one, command in ((add, _add), (remove, _remove), (show, _list)):
        _add_config(one)
        one.set_defaults(command=command)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="CONFIG.TOML", help="of the daemon (needed)")


def _config_path(args: argparse.Namespace) -> Path:
    if args.config is None:
        raise ConfigError("give the daemon's configuration: --config CONFIG.TOML")
    path: Path = args.config
    return path


def _page(args: argparse.Namespace) -> ExitCode:
    from stripwatch.config.load import load_config
    from stripwatch.page.serve import serve
    from stripwatch.service.logs import set_up_logs
    from stripwatch.service.sdnotify import Notifier
    from stripwatch.service.signals import stop_on_signals

    config = load_config(_config_path(args))
    notifier = Notifier(os.environ.get("NOTIFY_SOCKET"))
    log = set_up_logs(config.service)
    try:
        with ExitStack() as stack:
            stop = stack.enter_context(stop_on_signals())
            return serve(config, stop, notifier, curve_of(args.key, config))
    finally:
        notifier.close()
        log.close()  # before an error is printed


def _users_file(args: argparse.Namespace) -> Path:
    """The file that the configuration names.

    Raises:
        ConfigError: it names none.
    """
    from stripwatch.config.load import load_config

    path = _config_path(args)
    page = load_config(path).page
    if page.users_file is None:
        raise ConfigError(
            f'{path}: name the file of users first: users_file = "page-users.json" in [page]'
        )
    return Path(page.users_file)


def _add(args: argparse.Namespace) -> ExitCode:
    from stripwatch.page.users import load_users, make_user, save_users

    path = _users_file(args)
    users = load_users(path) if path.exists() else {}
    users[args.name] = make_user(args.name, args.role, _password())
    save_users(path, users)
    sys.stdout.write(f"{args.name} may {args.role} ({path})\n")
    return ExitCode.OK


def _remove(args: argparse.Namespace) -> ExitCode:
    from stripwatch.page.users import load_users, save_users

    path = _users_file(args)
    users = load_users(path)
    if args.name not in users:
        raise ConfigError(f"{path} has no user {args.name!r}; it has: {', '.join(users) or 'none'}")
    del users[args.name]
    save_users(path, users)
    sys.stdout.write(f"{args.name} removed ({path})\n")
    return ExitCode.OK


def _list(args: argparse.Namespace) -> ExitCode:
    from stripwatch.page.users import load_users

    for user in load_users(_users_file(args)).values():
        sys.stdout.write(f"{user.name:<20} {user.role}\n")
    return ExitCode.OK


def _password() -> str:
    """A new password, from the terminal twice, or from a pipe.

    Raises:
        ConfigError: the two differ.
    """
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass("password: ")
    if getpass.getpass("again: ") != first:
        raise ConfigError("the two passwords differ; nothing was changed")
    return first
