"""`stripwatch camera NAME`: the frames of one real camera, to the daemon."""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack, closing

from stripwatch.cli.address import add_key, curve_of
from stripwatch.cli.camera_source import add_camera, configured_camera
from stripwatch.errors import ExitCode


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = actions.add_parser(
        "run",
        allow_abbrev=False,
        help="send the frames of one camera to the daemon (the word may be left out)",
        description="Connect one camera, and send its frames to the first input of the "
        "configuration until SIGTERM or Ctrl-C. Where the camera stops or does not answer, the "
        "process ends with exit code 10: a new one connects it again.",
    )
    add_camera(parser)
    add_key(parser)
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace) -> ExitCode:
    import msgspec
    import structlog

    from stripwatch.camera.essentials import configure
    from stripwatch.camera.libraries import library_of
    from stripwatch.camera.network_link import NetworkLink
    from stripwatch.camera.parts import make_parts
    from stripwatch.camera.process import CameraProcess
    from stripwatch.feed.frame_sender import FrameSender
    from stripwatch.feed.link import link_to
    from stripwatch.service.logs import set_up_logs
    from stripwatch.service.sdnotify import Notifier
    from stripwatch.service.signals import stop_on_signals

    config, camera, source = configured_camera(args)
    library = library_of(source)
    with ExitStack() as stack:
        notifier = stack.enter_context(closing(Notifier(os.environ.get("NOTIFY_SOCKET"))))
        stack.enter_context(closing(set_up_logs(config.service)))
        stop = stack.enter_context(stop_on_signals())
        link = link_to(config.inputs[0])
        link = msgspec.structs.replace(link, curve=curve_of(args.key, config))
        sender = stack.enter_context(FrameSender(link))
        opened = stack.enter_context(closing(library.open(source)))
        for remark in configure(opened, source, config.line):
            structlog.get_logger().warning("camera is set up with a remark", detail=remark)
        parts = make_parts(config, camera, source, opened)
        stack.callback(parts.close)
        network = NetworkLink(opened.identity.address)
        CameraProcess(camera, config.line, opened, parts, sender, notifier, network).run(stop)
    return ExitCode.OK
