"""`stripwatch forward`: the events of the journal, sent to a broker of the plant."""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack
from pathlib import Path

from stripwatch.cli.address import add_key, curve_of
from stripwatch.errors import ExitCode

SINKS = ("mqtt",)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "forward",
        allow_abbrev=False,
        help="send every event to a broker",
        description="Send every event of the daemon's journal to a broker, at least once, until "
        "SIGTERM or Ctrl-C. Runs beside the daemon; a broker that is away is waited for.",
    )
    parser.add_argument("sink", choices=SINKS, help="kind of the broker")
    parser.add_argument(
        "--config", type=Path, required=True, metavar="CONFIG.TOML", help="of the daemon"
    )
    add_key(parser)
    parser.set_defaults(command=_forward)


def _forward(args: argparse.Namespace) -> ExitCode:
    from stripwatch.client.subscriber import Subscriber
    from stripwatch.config.load import load_config
    from stripwatch.errors import ConfigError
    from stripwatch.net.peer import peer_endpoint
    from stripwatch.outputs.forward import Forwarder
    from stripwatch.outputs.mqtt import MqttSink
    from stripwatch.service.forward_status import DaemonStatus
    from stripwatch.service.forwarding import Forwarding
    from stripwatch.service.logs import set_up_logs
    from stripwatch.service.sdnotify import Notifier
    from stripwatch.service.signals import stop_on_signals

    config = load_config(args.config)
    settings = config.forward.mqtt
    if settings is None:
        raise ConfigError(
            f"{args.config}: has no section [forward.mqtt]; add one with the broker's address: "
            'endpoint = "mqtt://HOST:1883"'
        )
    sink = MqttSink(settings)
    assert config.journal.folder is not None  # load_config fills it in
    notifier = Notifier(os.environ.get("NOTIFY_SOCKET"))
    log = set_up_logs(config.service)
    try:
        with ExitStack() as stack:
            stop = stack.enter_context(stop_on_signals())
            status = None
            if config.publish.attach == "bind":  # else its one subscriber is another
                endpoint, _ = peer_endpoint(config.publish.endpoint, "bind")
                curve = curve_of(args.key, config)
                status = stack.enter_context(Subscriber(endpoint, ("status",), curve=curve))
            forwarder = Forwarder(Path(config.journal.folder), f"forward-{args.sink}")
            forwarding = Forwarding(forwarder, sink, DaemonStatus(status), notifier)
            return forwarding.run(stop, config.service.drain_timeout_s)
    finally:
        notifier.close()
        log.close()  # before an error is printed
