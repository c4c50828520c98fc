"""`stripwatch camera test NAME`: what a camera delivers, as a table and a picture."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from stripwatch.cli.camera_source import add_camera, configured_camera
from stripwatch.errors import ConfigError, ExitCode, StorageError

if TYPE_CHECKING:
    from stripwatch.camera.survey import Survey

SECONDS_MAX = 3600.0


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = actions.add_parser(
        "test",
        allow_abbrev=False,
        help="look at what a camera delivers for a minute",
        description="Configure a camera as the process would, take its frames for a minute, and "
        "print rates, losses, intervals and grey values; the picture shows the last frame, the "
        "column profile, a histogram and the intervals. Nothing is sent to the daemon.",
    )
    add_camera(parser)
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="(%(default)g)")
    parser.add_argument(
        "--png",
        type=Path,
        metavar="FILE",
        help="write the picture here (default: camera-NAME.png)",
    )
    parser.set_defaults(command=_test)


def _test(args: argparse.Namespace) -> ExitCode:
    import cv2

    from stripwatch.camera.essentials import configure
    from stripwatch.camera.libraries import library_of
    from stripwatch.camera.survey import Survey
    from stripwatch.camera.survey_picture import survey_picture
    from stripwatch.files import write_whole
    from stripwatch.service.console import ProgressBar
    from stripwatch.service.signals import stop_on_signals

    if not 0.1 <= args.seconds <= SECONDS_MAX:
        raise ConfigError(f"--seconds {args.seconds:g}: give 0.1 to {SECONDS_MAX:g}")
    config, camera, source = configured_camera(args)
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        opened = stack.enter_context(closing(library_of(source).open(source)))
        remarks = configure(opened, source, config.line)
        survey = Survey(source, config.line, opened.frame_id_period)
        opened.start(source.buffers, source.chunks)
        progress = stack.enter_context(ProgressBar())
        survey.run(
            opened,
            args.seconds,
            stop,
            lambda: progress.show("looking", int(survey.duration_s), int(args.seconds)),
        )
    identity = opened.identity
    title = f"{camera.name}: {identity.make} {identity.model}, serial {identity.serial}"
    _print(survey, title, remarks)
    path = args.png or Path(f"camera-{camera.name}.png")
    written, coded = cv2.imencode(".png", survey_picture(survey, title))
    assert written
    try:
        write_whole(path, coded.tobytes())
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
    sys.stdout.write(f"picture: {path}\n")
    return ExitCode.OK if survey.frames else ExitCode.CAMERA


def _print(survey: Survey, title: str, remarks: list[str]) -> None:
    import numpy as np
    from rich.table import Table

    from stripwatch.service.console import plain_console

    table = Table(title=title, title_justify="left", show_header=False)
    seconds = max(survey.duration_s, 1e-9)
    losses = survey.losses
    table.add_row("frames", f"{survey.frames} in {seconds:.1f} s, {survey.frames / seconds:.1f}/s")
    table.add_row("lines", f"{survey.lines / seconds:.0f}/s, {survey.lines} in all")
    table.add_row("data", f"{survey.bytes / seconds / 1e6:.1f} MB/s")
    table.add_row("lost frames", f"{losses.frames}, of which {losses.incomplete} came in part")
    table.add_row("lost lines", f"{losses.lines} (skipped by the camera within frames)")
    table.add_row("short frames", f"{survey.short_frames} (left by the frame timeout)")
    table.add_row("restarts", f"{losses.restarts} (of the camera's count)")
    if survey.intervals_s:
        middle, late, worst = np.percentile(survey.intervals_s, [50, 99, 100]) * 1e3
        table.add_row("interval", f"p50 {middle:.1f} ms, p99 {late:.1f} ms, longest {worst:.1f} ms")
    if survey.frames:
        profile = survey.profile()
        steps = np.cumsum(survey.histogram) / survey.histogram.sum()
        low, middle, high = np.searchsorted(steps, [0.01, 0.5, 0.99]) * (2**survey.bits // 256)
        full = 2**survey.bits - 1
        table.add_row("grey", f"p1 {low:.0f}, p50 {middle:.0f}, p99 {high:.0f} of {full}")
        table.add_row(
            "profile",
            f"mean {profile.mean():.1f}, darkest column {profile.argmin()} with "
            f"{profile.min():.1f}, brightest {profile.argmax()} with {profile.max():.1f}",
        )
    plain_console().print(table)
    for remark in (*remarks, *survey.remarks()):
        sys.stdout.write(f"{remark}\n")
