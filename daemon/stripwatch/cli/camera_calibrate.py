"""`stripwatch camera calibrate NAME dark|bright`: the references of a camera's flat field."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing

from stripwatch.cli.camera_source import add_camera, configured_camera
from stripwatch.errors import ConfigError, ExitCode

FRAMES = 64
FRAMES_MAX = 1000


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = actions.add_parser(
        "calibrate",
        allow_abbrev=False,
        help="make the flat field of a camera: dark, then bright",
        description="Make the references of a camera's flat field (docs/flat-field.md): first "
        "`dark`, with the light off or the lens covered, then `bright`, over an evenly lit white "
        "plate that stands still. The camera must have run for half an hour, and must not be in "
        "use. A reference that would spoil the correction is refused with the reason.",
    )
    add_camera(parser)
    parser.add_argument("step", choices=("dark", "bright"), help="which reference")
    parser.add_argument(
        "--frames", type=int, default=FRAMES, metavar="N", help="that are averaged (%(default)s)"
    )
    parser.add_argument(
        "--target",
        type=float,
        metavar="GREY",
        help="of 8 bits, that the bright plate shall have (default: its mean, so that the "
        "brightness stays)",
    )
    parser.set_defaults(command=_calibrate)


def _calibrate(args: argparse.Namespace) -> ExitCode:
    import msgspec

    from stripwatch.camera.essentials import configure
    from stripwatch.camera.libraries import library_of
    from stripwatch.camera.light import calibrate
    from stripwatch.camera.light.part import flat_field_path

    _check(args)
    config, camera, source = configured_camera(args)
    # The plate stands still, so no encoder turns.
    free = msgspec.structs.replace(source, trigger="free")
    with closing(library_of(source).open(source)) as opened:
        configure(opened, free, config.line)
        opened.start(source.buffers, ())
        name = camera.name
        if args.step == "dark":
            dark = calibrate.calibrate_dark(name, source, opened, args.frames)
            sys.stdout.write(
                f"dark reference of {name}: mean {dark.grey:.2f}, kept in "
                f"{calibrate.dark_path(source, name)}\n"
                f"next, over the white plate: stripwatch camera calibrate {name} bright\n"
            )
            return ExitCode.OK
        bright, field = calibrate.calibrate_bright(name, source, opened, args.frames, args.target)
    sys.stdout.write(
        f"bright reference of {name}: mean {bright.grey:.1f}, brightest to darkest column "
        f"{calibrate.unevenness(bright):.2f}\n"
    )
    if field is None:
        sys.stdout.write("the camera corrects its frames by itself now\n")
        return ExitCode.OK
    sys.stdout.write(
        f"flat field to grey {field.target:g}, hash {field.sha256[:12]}, kept in "
        f"{flat_field_path(source.light, name)}\n"
    )
    if not source.light.flat_field:
        sys.stdout.write("it is applied with light = { flat_field = true } in cameras.source\n")
    return ExitCode.OK


def _check(args: argparse.Namespace) -> None:
    from stripwatch.camera.light.calibration import FRAMES_MIN

    if not FRAMES_MIN <= args.frames <= FRAMES_MAX:
        raise ConfigError(f"--frames {args.frames}: give {FRAMES_MIN} to {FRAMES_MAX}")
    if args.target is not None and not 1 <= args.target <= 254:
        raise ConfigError(f"--target {args.target:g}: give a grey from 1 to 254")
