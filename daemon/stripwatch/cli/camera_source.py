"""The camera that a command of `stripwatch camera` is about."""

from __future__ import annotations

import argparse
from pathlib import Path

from stripwatch.config.cameras import CameraSource
from stripwatch.config.load import load_config
from stripwatch.config.sections import Camera, Config
from stripwatch.errors import ConfigError


def add_camera(parser: argparse.ArgumentParser) -> None:
    """Add the camera's name and the configuration."""
    parser.add_argument("name", metavar="NAME", help="of the camera in the configuration")
    parser.add_argument(
        "--config", type=Path, required=True, metavar="CONFIG.TOML", help="of the daemon"
    )


def configured_camera(args: argparse.Namespace) -> tuple[Config, Camera, CameraSource]:
    """The configuration, and its camera of this name with its source.

    Raises:
        ConfigError: there is no such camera, or it has no source.
    """
    config = load_config(args.config)
    camera = next((one for one in config.cameras if one.name == args.name), None)
    if camera is None:
        names = ", ".join(one.name for one in config.cameras)
        raise ConfigError(f"{args.config}: has no camera {args.name!r}; it has: {names}")
    if camera.source is None:
        raise ConfigError(
            f"{args.config}: camera {args.name!r} has no source; add one below its keys: "
            'source = { kind = "aravis", id = "ID" }, with an id that stripwatch camera list shows'
        )
    return config, camera, camera.source
